"""Marks that point at a source become citations; all others go."""

from dataclasses import replace

import pytest

from worker.answer.citations import CitedAnswer, CitedStream, check, citation, stands_in
from worker.vectors import Hit


def hit(text: str, page: int = 1) -> Hit:
    return Hit(document_id="d", filename="f.pdf", page=page, chunk_index=0, text=text, score=0.5)


HITS = [hit("Boats are red. The harbour opens at six in winter.", 3), hit("Wash every boat after rowing.", 4)]


def test_a_mark_becomes_a_citation_that_quotes_the_sentence_meant() -> None:
    answer = check("In winter the harbour opens at six [1].", HITS)
    text, citations = answer.text, answer.citations
    assert text == "In winter the harbour opens at six [1]."
    assert [(c.n, c.page, c.quote) for c in citations] == [(1, 3, "The harbour opens at six in winter.")]


def test_numbers_that_point_at_no_source_are_removed() -> None:
    answer = check("Six [7]. Wash boats [2, 9]. Zero [0].", HITS)
    text, citations = answer.text, answer.citations
    assert text == "Six. Wash boats [1]. Zero."
    assert [(c.n, c.page) for c in citations] == [(1, 4)]


def test_lists_of_marks_are_told_apart() -> None:
    answer = check("Both hold [1, 2]. Again [2][1].", HITS)
    text, citations = answer.text, answer.citations
    assert text == "Both hold [1][2]. Again [2][1]."
    assert [c.n for c in citations] == [1, 2]


@pytest.mark.parametrize(
    ("said", "shown", "cited"),
    [
        ("Wash [2]. Six [1]. Wash [2].", "Wash [1]. Six [2]. Wash [1].", [(1, 4), (2, 3)]),
        ("Wash [5][2]. Six [1].", "Wash [1][2]. Six [3].", [(1, 7), (2, 4), (3, 3)]),
        ("Ice [3], ice [4].", "Ice [1], ice [1].", [(1, 6), (1, 6)]),
        ("Ice [3, 4].", "Ice [1].", [(1, 6), (1, 6)]),
        ("“The boats are painted in blue” [1]. Wash [2].", "“The boats are painted in blue”. Wash [1].", [(1, 4)]),
        ("“The harbour opens at six” [1], “it closes at dusk every day” [1].",
         "“The harbour opens at six” [1], “it closes at dusk every day”.", [(1, 3)]),
    ],
)  # fmt: skip
def test_pages_are_numbered_by_their_first_appearance_without_gaps(
    said: str, shown: str, cited: list[tuple[int, int]]
) -> None:
    others = [hit("Ice lies until May.", 6), hit("Ice is thick.", 6), hit("Wash the sails.", 7)]
    answer = check(said, [*HITS, *others])
    assert answer.text == shown
    assert [(c.n, c.page) for c in answer.citations] == cited


def test_two_pages_of_one_source_have_a_number_each() -> None:
    answer = check("Behind it all stands [1]. Before it all stands [1]. Behind it all stands [1].", [OVER])
    assert answer.text == "Behind it all stands [1]. Before it all stands [2]. Behind it all stands [1]."
    assert [(c.n, c.page, c.quote) for c in answer.citations] == [
        (1, 5, "Behind it all stands."),
        (2, 4, "Before it all stands."),
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_what_is_shown_as_it_comes_is_the_answer(size: int) -> None:
    said = (
        "  “Boats are painted blue today” [1]. It opens at www.evil.example/x six [1], (source 2) [9].\n\n`a[1]` [2] "
    )
    stream = CitedStream(HITS)
    pieces = [said[at : at + size] for at in range(0, len(said), size)]
    shown = "".join(map(stream.feed, pieces)) + stream.feed("", final=True)
    assert stream.answer() == check(said, HITS)
    assert stream.answer().text == shown
    assert "[2]" in shown


def test_an_answer_without_marks_has_no_citations() -> None:
    assert check("I do not know.", HITS) == CitedAnswer("I do not know.", (), False)


def test_huge_numbers_and_empty_sources_do_no_harm() -> None:
    assert check("x [999999999999] [1].", [hit("")]) == CitedAnswer("x.", (), False, dropped=1)
    assert check("[1]" * 10_000, HITS).citations


def test_a_quote_that_does_not_stand_there_is_no_citation() -> None:
    assert citation(1, HITS[0], "The harbour opens at seven.") is None


def test_layout_does_not_count_but_words_do() -> None:
    assert stands_in("the ware\u00adhouse is open", "the ware-\nhouse  is\nopen")
    assert not stands_in("the house", "the mouse")
    assert not stands_in("", "anything")


def test_words_between_quotation_marks_must_stand_in_the_source() -> None:
    said = "It says “the harbour opens at six in winter” [1] and “wash every boat before rowing” [2]."
    answer = check(said, HITS)
    assert [c.n for c in answer.citations] == [1]
    assert "[2]" not in answer.text
    assert not answer.grounded


def test_grounded_is_an_answer_of_which_every_citation_holds() -> None:
    assert check("Six [1]. Wash boats [2].", HITS).grounded
    assert not check("Six.", HITS).grounded
    assert not check("Six [7].", HITS).grounded


def test_the_question_tells_what_a_short_answer_rests_on() -> None:
    assert check("Yes [1].", HITS, "Does the harbour open in winter?").citations[0].quote == (
        "The harbour opens at six in winter."
    )


def test_brackets_in_code_and_formulas_are_no_marks() -> None:
    answer = check("Use `a[1]` and $x_{[2]} = 1$.", HITS)
    text, citations = answer.text, answer.citations
    assert (text, citations) == ("Use `a[1]` and $x_{[2]} = 1$.", ())


def test_an_answer_holds_no_link_and_no_image() -> None:
    assert check("![x](https://evil.example/?q=secret) Six [1](https://evil.example).", HITS).text == "x Six [1]."


@pytest.mark.parametrize(
    ("quote", "text"),
    [
        ("Sales rose to 412 million.", "Sales rose to 412² million."),
        ("Sales rose to 412² million.", "Sales rose to 412² million."),
        ("The revenue rose.", "The revenue³ rose."),
        ("Sales of 2024. They rose", "Sales of 2024.² They rose"),
        ("3 x 10^6 cells", "3 x 10^6 cells"),
        ("3 x 10\u2076 cells", "3 x 10^6 cells"),
        ("10\u207b\u2076 g", "10^-6 g"),
        ("1,250 m² of floor", "1,250 m² of floor"),
        ("Student £110 in full-time education", "Student | £110 | in full-time education"),
        ("the transportation of goods", "the transporta-\ntion of goods"),
        ("the transporta-tion of goods", "the transporta-\ntion of goods"),
        ("from the first day, is thirty days", "from the first day,\fis thirty days"),
        ("in 2019-2020", "in 2019-\n2020"),
    ],
)
def test_a_quote_stands_where_the_page_has_it_in_its_own_layout(quote: str, text: str) -> None:
    assert stands_in(quote, text)


@pytest.mark.parametrize(
    ("quote", "text"),
    [
        ("Sales rose to 4122 million", "Sales rose to 412² million"),
        ("Sales rose to 4122 million", "Sales rose to 412 2 million"),
        ("Sales rose to 4122", "Sales rose to 412 | 2"),
        ("Sales rose to 412³ million", "Sales rose to 412² million"),
        ("Sales rose to 41", "Sales rose to 412"),
        ("12 boats", "412 boats"),
        ("3 x 106 cells", "3 x 10^6 cells"),
        ("3 x 10 cells", "3 x 10^6 cells"),
        ("10 cells", "10\u2076 cells"),
        ("1,250 m of floor", "1,250 m² of floor"),
    ],
)
def test_another_number_than_the_page_s_does_not_stand_on_it(quote: str, text: str) -> None:
    assert not stands_in(quote, text)


def test_a_model_that_quotes_a_wrong_number_is_not_cited() -> None:
    source = [hit("Sales rose to 412² million euro in the year.")]
    assert check("“Sales rose to 412 million euro in the year” [1].", source).grounded
    assert not check("“Sales rose to 4122 million euro in the year” [1].", source).grounded


OVER = Hit(
    document_id="d",
    filename="f.pdf",
    page=4,
    last_page=5,
    page_label="iv",
    last_page_label="v",
    chunk_index=0,
    text="Before it all stands. The leave of every employee,\fis thirty days. Behind it all stands.",
    score=0.5,
)


@pytest.mark.parametrize(
    ("quote", "page", "last_page", "label"),
    [
        ("Before it all stands.", 4, None, "iv"),
        ("The leave of every employee, is thirty days.", 4, 5, "iv-v"),
        ("Behind it all stands.", 5, None, "v"),
    ],
)
def test_a_citation_names_the_pages_on_which_its_quote_stands(
    quote: str, page: int, last_page: int | None, label: str
) -> None:
    cited = citation(1, OVER, quote)
    assert cited is not None
    assert (cited.page, cited.last_page, cited.page_label) == (page, last_page, label)
    assert cited.url == f"/documents/d/file#page={page}"


@pytest.mark.parametrize(
    ("first", "last", "label"), [("", "", ""), ("iv", "1", "iv-1"), ("iv", "", "iv-5"), ("", "v", "4-v")]
)
def test_a_page_without_a_label_is_called_by_its_number(first: str, last: str, label: str) -> None:
    cited = citation(1, replace(OVER, page_label=first, last_page_label=last), "every employee, is thirty days.")
    assert cited is not None
    assert cited.page_label == label


def test_a_sentence_over_a_page_s_end_is_quoted_whole() -> None:
    [cited] = check("Every employee has thirty days of leave [1].", [OVER]).citations
    assert cited.quote == "The leave of every employee, is thirty days."


def test_a_row_is_quoted_as_its_page_has_it() -> None:
    fees = "Fees\nCategory | Per year | Who\nStudent | £110 | in full-time education\nSenior | | from 19 years"
    hit = Hit("d", "f.pdf", page=1, chunk_index=0, text=fees, score=1.0)
    answer = check("Students in education pay £110 [1].", [hit], "What do students pay?")
    assert [citation.quote for citation in answer.citations] == ["Student £110 in full-time education"]
