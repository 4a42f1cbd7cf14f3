"""What becomes of hits after the search: near-duplicates collapse, neighbours are joined."""

from dataclasses import replace
from random import Random

from worker.retrieval.duplicates import NUMBER, SAME_SHARE, distinct
from worker.retrieval.neighbours import OVERLAP_MAX, sides, with_context
from worker.vectors import Hit

TEXT = (
    "The slipway was repaired in spring for 12,500 euros, and the members thanked the harbour master with a cake. "
    "Nobody had asked why it broke, but everyone agreed on who should pay."
)


def _hit(text: str, *, chunk_index: int = 0, document_id: str = "d") -> Hit:
    return Hit(
        document_id=document_id,
        filename=f"{document_id}.pdf",
        page=1,
        chunk_index=chunk_index,
        text=text,
        score=1.0,
        version="v",
    )


def test_the_same_text_again_is_left_out_and_the_better_hit_stays() -> None:
    first, again = _hit(TEXT), _hit(TEXT.replace(" ", "\n"), document_id="copy")
    assert list(distinct([first, again, _hit("Another text.")])) == [first, _hit("Another text.")]


def test_a_typing_error_makes_no_new_text() -> None:
    assert len(list(distinct([_hit(TEXT), _hit(TEXT.replace("spring", "sprimg"))]))) == 1


def test_another_number_does() -> None:
    assert len(list(distinct([_hit(TEXT), _hit(TEXT.replace("12,500", "12,600"))]))) == 2


def test_short_and_long_texts_are_not_the_same() -> None:
    assert (
        len(list(distinct([_hit("Dogs stay outside."), _hit("Dogs stay outside. Cats may come in."), _hit("")]))) == 3
    )


def _all_compared(hits: list[Hit]) -> list[Hit]:
    """What `distinct` gives, each hit compared with every one that is kept."""
    kept: list[Hit] = []
    for hit in hits:
        words = set(hit.text.split())
        for other in kept:
            others = set(other.text.split())
            same = len(words & others) >= SAME_SHARE * len(words | others)
            if same and NUMBER.findall(hit.text) == NUMBER.findall(other.text):
                break
        else:
            kept.append(hit)
    return kept


def test_the_texts_that_are_not_compared_are_no_duplicates() -> None:
    chance, words, left_out = Random(7), ["a", "b", "12", "1", "2", "4,5", "45", "٣", "½", "²", "x3", "é"], 0
    for _ in range(1000):
        texts = [" ".join(chance.choices(words, k=chance.randint(0, 3))) for _ in range(12)]
        hits = [_hit(text, chunk_index=index) for index, text in enumerate(texts)]
        expected = _all_compared(hits)
        left_out += len(hits) - len(expected)
        assert list(distinct(hits)) == expected
    assert left_out > 100


def _texts(hit: Hit, before: str, after: str) -> dict[str, str]:
    ids = sides(hit, tenant="t", collection="c")
    return {point: text for point, text in zip(ids, (before, after), strict=True) if point is not None}


def _joined(hit: Hit, before: str, after: str, tokens: int = 1000) -> Hit:
    beside = [sides(hit, tenant="t", collection="c")]
    [joined] = with_context([hit], beside, _texts(hit, before, after), tokens)
    return joined


def test_the_words_before_and_after_surround_a_hits_own() -> None:
    hit = _hit("Dogs stay outside.", chunk_index=4)
    joined = _joined(hit, "In winter we open at six.", "Cats may come in.")
    assert joined.context == "In winter we open at six.\nDogs stay outside.\nCats may come in."
    assert replace(joined, context="") == hit


def test_what_neighbours_share_stands_once() -> None:
    hit = _hit("at six. Dogs stay outside.", chunk_index=1)
    assert _joined(hit, "We open at six.", "stay outside. Cats may come in.").context == (
        "We open at six. Dogs stay outside. Cats may come in."
    )


def test_the_first_chunk_has_none_before_it() -> None:
    assert sides(_hit("x"), tenant="t", collection="c")[0] is None
    assert _joined(_hit("First."), "", "Second.").context == "First.\nSecond."


def test_the_best_hits_get_their_neighbours_until_the_tokens_are_spent() -> None:
    hits = [_hit("a" * 40, chunk_index=10), _hit("b" * 40, chunk_index=20), _hit("c" * 40, chunk_index=30)]
    beside = [sides(hit, tenant="t", collection="c") for hit in hits]
    texts = {point: "w" * 40 for pair in beside for point in pair if point}
    joined = with_context(hits, beside, texts, tokens=(3 * 40 + 2 * 80) // 4)
    assert [bool(hit.context) for hit in joined] == [True, True, False]
    assert [bool(hit.context) for hit in with_context(hits, beside, texts, tokens=30)] == [False] * 3


def test_two_hits_do_not_get_the_same_neighbour() -> None:
    hits = [_hit("one", chunk_index=1), _hit("three", chunk_index=3)]
    beside = [sides(hit, tenant="t", collection="c") for hit in hits]
    texts = {beside[0][1]: "two"}
    assert [hit.context for hit in with_context(hits, beside, texts, 1000)] == ["one\ntwo", ""]  # type: ignore[arg-type]


def test_texts_share_the_longest_of_what_ends_one_and_begins_the_other() -> None:
    chance = Random(7)
    for letters, longest in (("ab", 60), ("abc \n", 40), ("a", 50), ("abcdefghij", 3000)):
        for _ in range(150):
            first, second = ("".join(chance.choices(letters, k=chance.randint(1, longest))) for _ in range(2))
            if chance.random() < 0.5:
                second = first[-chance.randint(1, len(first)) :] + second
            sizes = range(min(OVERLAP_MAX, len(first), len(second)), 0, -1)
            size = next((size for size in sizes if first.endswith(second[:size])), None)
            expected = f"{first}\n{second}" if size is None else first + second[size:]
            assert _joined(_hit(second, chunk_index=1), first, "", tokens=10**6).context == expected
