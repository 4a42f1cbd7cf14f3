"""A sentence that goes on over a page's end is whole in one piece; all else stays on its page."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.chunking.splitter import Piece, Splitter

HEADER = "ACME GmbH - Internal handbook - Confidential"
ABOVE = [
    "The annual leave of every employee with more than ten",
    "years of service, counted from the first working day,",
]
BELOW = ["is thirty-one days and may be taken in at most three", "parts. Unused days lapse on 31 March."]
WHOLE = "\n".join(ABOVE) + "\fis thirty-one days and may be taken in at most three\nparts."
REST = "Unused days lapse on 31 March."


def split(*pages: list[str] | None, headings: list[list[str]] | None = None) -> list[Piece]:
    texts = [None if page is None else "\n".join(page) for page in pages]
    return Splitter(1_000, 150).split(texts, headings or [])


def places(pieces: list[Piece]) -> list[tuple[int, int, str]]:
    return [(piece.page, piece.last_page, piece.text) for piece in pieces]


def test_a_sentence_over_a_page_s_end_is_whole() -> None:
    assert places(split(ABOVE, BELOW)) == [(1, 2, WHOLE), (2, 2, REST)]


@pytest.mark.parametrize("numbers", [2, 3, 4])
def test_headers_and_footers_between_the_halves_are_left_out(numbers: int) -> None:
    pages = [ABOVE, BELOW, ["More."], ["And more."]][:numbers]
    framed = [[HEADER, *page, "", f"Page {n} of {numbers} Printed 24.11.2026"] for n, page in enumerate(pages, 1)]
    pieces = split(*framed)
    [whole] = [piece for piece in pieces if "\f" in piece.text]
    assert whole.text.endswith(WHOLE)
    assert (whole.page, whole.last_page) == (1, 2)


@pytest.mark.parametrize(
    "note", ["\u00b9 See section 4.", "* Of the parent.", "1 See section 4.", "[1] Ibid., p. 4."]
)
def test_a_footnote_between_the_halves_stays_on_its_page(note: str) -> None:
    assert places(split([*ABOVE, "", note, "and more of it."], BELOW)) == [
        (1, 2, WHOLE),
        (1, 1, f"{note}\nand more of it."),
        (2, 2, REST),
    ]


def test_a_word_that_is_broken_over_a_page_s_end_goes_on() -> None:
    pieces = split(["The insurance covers transporta-"], ["tion of the goods. And more."])
    assert places(pieces) == [
        (1, 2, "The insurance covers transporta-\ftion of the goods."),
        (2, 2, "And more."),
    ]


def test_a_sentence_that_goes_on_with_a_capital_is_whole_when_the_line_is_full() -> None:
    above = [
        "Die Kosten der Lieferung tragen in jedem Fall die",
        "Vermieter, doch die Kosten einer Reparatur tragen die",
    ]
    [first, _] = split(above, ["Mieter. Danach gilt anderes."])
    assert first.text.endswith("tragen die\fMieter.")


def test_abbreviations_do_not_end_the_sentence() -> None:
    [first, _] = split(ABOVE, ["is long, e.g. thirty days. Then more."])
    assert first.text.endswith("\fis long, e.g. thirty days.")


@pytest.mark.parametrize(
    ("above", "below"),
    [
        (["The fees of it end here.\u00b2"], ["and this is another matter. Really."]),
        (["It ends here."], ["and this is another matter. Really."]),
        (["Total of all fees is 412"], ["in the year before. More."]),
        (["Name | Fee", "Student | 110 in all of the year"], ["and so on. More."]),
        (["We offer the following to all:"], ["rooms and boats. More."]),
        (ABOVE, ["\u2022 a point of a list. More."]),
        (ABOVE, ["1. a point of a list. More."]),
        (ABOVE, ["Student | 110", "Family | 220."]),
        (
            ["A short line of words", "and another one that is longer than all others"],
            [*["Words without an end"] * 40],
        ),
        (["one"], ["two."]),
        (ABOVE, [""]),
        (ABOVE, None),
        (None, BELOW),
    ],
)
def test_what_is_no_sentence_over_a_page_s_end_stays_on_its_page(above: list[str] | None, below: list[str]) -> None:
    pieces = split(above, below)
    assert not any("\f" in piece.text for piece in pieces)
    assert all(piece.page == piece.last_page for piece in pieces)


def test_a_heading_neither_goes_on_nor_is_gone_on_with() -> None:
    headings = [["Our terms of service and more"], ["Next matter of the contract"]]
    assert "\f" not in split(["Our terms of service and more"], ["they hold. More."], headings=headings)[0].text
    assert "\f" not in split(ABOVE, ["Next matter of the contract", "It is."], headings=headings)[0].text


def test_a_line_in_lower_case_that_is_printed_large_is_no_heading() -> None:
    pieces = split(ABOVE, BELOW, headings=[["Any"], BELOW])
    assert places(pieces)[0] == (1, 2, WHOLE)
    assert pieces[0].heading == ""


def test_the_pieces_behind_a_long_sentence_s_page_end_are_on_its_second_page() -> None:
    above = ["Filling words of the first page. " * 10, "and the sentence that goes on over the page's end,"]
    below = ["which is long " + "and longer " * 30, "and ends here. Then more."]
    pieces = Splitter(200, 20).split(["\n".join(above), "\n".join(below)])
    for piece in pieces:
        second = piece.text.partition("\f")[2]
        assert (piece.page, piece.last_page) in ([(1, 2)] if second else [(1, 1), (2, 2)])
    assert [piece.page for piece in pieces] == sorted(piece.page for piece in pieces)


WORDS = st.lists(st.text("abcdefgh", min_size=1, max_size=8), min_size=1, max_size=12).map(" ".join)
LINES = st.builds(
    lambda words, start, end: start + words + end,
    WORDS,
    st.sampled_from(["", "A", "\u2022 ", "1. ", "\u00b9 "]),
    st.sampled_from(["", ".", ",", "-", ":", " 412", " | 3 | x"]),
)
PAGES = st.lists(st.none() | st.lists(LINES | st.just(""), max_size=14), max_size=5)


@settings(max_examples=300, deadline=None)
@given(PAGES, st.sampled_from([(60, 0), (200, 40), (1_000, 150)]), st.integers(0, 2**16))
def test_nothing_of_a_page_is_lost_and_every_piece_is_words_of_its_pages(
    pages: list[list[str] | None], sizes: tuple[int, int], seed: int
) -> None:
    numbered = [  # lest lines be alike, as running ones are, which are left out
        None if page is None else [line and f"{line} q{number}x{at}z{line[-1:]}" for at, line in enumerate(page)]
        for number, page in enumerate(pages)
    ]
    texts = [None if page is None else "\n".join(page) for page in numbered]
    pieces = Splitter(*sizes).split(texts)
    for number, text in enumerate(texts, 1):
        own = [part for piece in pieces for part in _parts(piece, number)]
        for word in (text or "").split():
            assert any(word in part or part in word for part in own)
        assert all("".join(part.split()) in "".join((text or "").split()) for part in own)


def _parts(piece: Piece, page: int) -> list[str]:
    """What of a piece stands on a page."""
    first, _, second = piece.text.partition("\f")
    if piece.page == piece.last_page:
        return [piece.text] if piece.page == page else []
    return [first] * (piece.page == page) + [second] * (piece.last_page == page)
