"""Marks that point at a source become citations; all others go."""

from worker.citations import citation, cite, stands_in
from worker.index import Hit


def hit(text: str, page: int = 1) -> Hit:
    return Hit(document_id="d", filename="f.pdf", page=page, chunk_index=0, text=text, score=0.5)


HITS = [hit("Boats are red. The harbour opens at six in winter.", 3), hit("Wash every boat after rowing.", 4)]


def test_a_mark_becomes_a_citation_that_quotes_the_sentence_meant() -> None:
    text, citations = cite("In winter the harbour opens at six [1].", HITS)
    assert text == "In winter the harbour opens at six [1]."
    assert [(c.n, c.page, c.quote) for c in citations] == [(1, 3, "The harbour opens at six in winter.")]


def test_numbers_that_point_at_no_source_are_removed() -> None:
    text, citations = cite("Six [7]. Wash boats [2, 9]. Zero [0].", HITS)
    assert text == "Six. Wash boats [2]. Zero."
    assert [c.n for c in citations] == [2]


def test_lists_of_marks_are_told_apart() -> None:
    text, citations = cite("Both hold [1, 2]. Again [2][1].", HITS)
    assert text == "Both hold [1][2]. Again [2] [1]."
    assert [c.n for c in citations] == [1, 2]


def test_an_answer_without_marks_has_no_citations() -> None:
    assert cite("I do not know.", HITS) == ("I do not know.", ())


def test_huge_numbers_and_empty_sources_do_no_harm() -> None:
    assert cite("x [999999999999] [1].", [hit("")]) == ("x.", ())
    assert cite("[1]" * 10_000, HITS)[1]


def test_a_quote_that_does_not_stand_there_is_no_citation() -> None:
    assert citation(1, HITS[0], "The harbour opens at seven.") is None


def test_layout_does_not_count_but_words_do() -> None:
    assert stands_in("the ware\u00adhouse is open", "the ware-\nhouse  is\nopen")
    assert not stands_in("the house", "the mouse")
    assert not stands_in("", "anything")
