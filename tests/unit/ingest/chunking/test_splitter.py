"""Pages into chunks."""

import time

import pytest

from ingest.chunking.splitter import Piece, Splitter

SENTENCE = "The quick brown fox jumps over the lazy dog. "
ROWS = "\n".join(f"Year {year} {year * 3:,} {year * 2:,}" for year in range(2000, 2016))


def test_a_short_page_is_one_piece() -> None:
    assert Splitter(100, 10).split(["one", "two"]) == [Piece(1, 1, "", "one"), Piece(2, 2, "", "two")]


def test_no_piece_crosses_a_page_or_is_too_long() -> None:
    pieces = Splitter(200, 40).split([SENTENCE * 20, SENTENCE * 20])
    assert {(piece.page, piece.last_page) for piece in pieces} == {(1, 1), (2, 2)}
    assert [piece.page for piece in pieces] == sorted(piece.page for piece in pieces)
    assert max(len(piece.text) for piece in pieces) <= 200


def test_pieces_are_the_page_s_own_words() -> None:
    page = "\n\n".join(SENTENCE * 5 for _ in range(5))
    assert all(piece.text in page for piece in Splitter(200, 40).split([page]))


def test_neighbours_share_whole_sentences() -> None:
    first, second, *_ = Splitter(200, 50).split([SENTENCE * 20])
    assert second.text.startswith(SENTENCE)
    assert first.text.endswith(SENTENCE.strip())


def test_neighbours_share_nothing_across_a_heading() -> None:
    page = SENTENCE * 3 + "\n\nNext matter\n\n" + SENTENCE.upper() * 3
    first, second = Splitter(200, 50).split([page], [["Next matter"]])
    assert first.text == (SENTENCE * 3).strip()
    assert second.text.startswith("Next matter")


def test_blank_and_unreadable_pages_have_no_pieces_and_are_counted() -> None:
    assert Splitter(100, 10).split(["", None, " \n ", "four"]) == [Piece(4, 4, "", "four")]


def test_a_piece_knows_the_heading_that_it_stands_under_across_pages() -> None:
    pages = ["Risks\n\n" + SENTENCE * 6, SENTENCE * 6, "Results\n\n" + SENTENCE]
    pieces = Splitter(200, 0).split(pages, [["Risks"], [], ["Results"]])
    assert {(piece.page, piece.heading) for piece in pieces} == {(1, "Risks"), (2, "Risks"), (3, "Results")}


def test_a_heading_of_two_lines_is_one_heading() -> None:
    page = "How we earn\nour living\n\n" + SENTENCE
    assert Splitter(500, 0).split([page], [["How we earn", "our living"]])[0].heading == "How we earn our living"


def test_a_heading_is_never_left_at_the_end_of_a_piece() -> None:
    for before in range(1, 12):
        page = SENTENCE * before + "\n\nA heading\n\n" + SENTENCE.upper() * 8
        pieces = Splitter(300, 50).split([page], [["A heading"]])
        assert not any(piece.text.endswith("A heading") for piece in pieces), before


def test_without_known_headings_short_lines_that_stand_apart_are_taken_for_them() -> None:
    page = f"Opening hours\n\n{SENTENCE}\n\n1.2 Lost keys\n\n{SENTENCE}"
    headings = [piece.heading for piece in Splitter(100, 0).split([page])]
    assert headings == ["Opening hours", "1.2 Lost keys"]


def test_a_table_s_rows_are_kept_together_and_never_cut() -> None:
    page = SENTENCE * 9 + "\n\n" + ROWS
    pieces = Splitter(600, 60).split([page])
    assert any(ROWS in piece.text for piece in pieces)
    rows = set(ROWS.splitlines())
    for piece in Splitter(100, 20).split([ROWS]):
        assert set(piece.text.splitlines()) <= rows


def test_no_crumb_is_left_at_the_end_of_a_page() -> None:
    for sentences in range(5, 60):
        pieces = Splitter(400, 50).split([SENTENCE * sentences])
        assert min(len(piece.text) for piece in pieces) >= 100, sentences


def test_running_headers_and_footers_are_dropped_and_numbers_in_tables_are_not() -> None:
    pages = [f"ACME Annual Report 2025\n\nMatter {n} of weight.\n{n} 1,00{n}\n\nPage {n} of 9" for n in range(1, 6)]
    texts = [piece.text for piece in Splitter(500, 50).split(pages)]
    assert texts == [f"Matter {n} of weight.\n{n} 1,00{n}" for n in range(1, 6)]


def test_a_page_of_nothing_but_a_running_line_keeps_it() -> None:
    assert [piece.text for piece in Splitter(500, 50).split(["Same words"] * 4)] == ["Same words"] * 4


def test_two_pages_alike_at_the_edge_are_no_running_header() -> None:
    assert Splitter(500, 50).split(["Menu\n\nSoup", "Menu\n\nFish"])[0].text == "Menu\n\nSoup"


def test_chinese_and_arabic_are_split_at_their_own_sentence_ends() -> None:
    for sentence in (
        "東京は日本の首都であり、世界で最も人口の多い都市の一つです。",
        "هل الكتاب على الطاولة في الغرفة الكبيرة؟ ",
    ):
        pieces = Splitter(120, 0).split([sentence * 20])
        assert all(piece.text.endswith(sentence.strip()) for piece in pieces)


def test_a_word_longer_than_a_chunk_is_cut_and_nothing_is_lost() -> None:
    word = "".join(chr(ord("a") + n % 26) for n in range(1_003))
    pieces = Splitter(100, 10).split([word])
    assert all(len(piece.text) <= 100 for piece in pieces)
    assert pieces[0].text + "".join(piece.text[10:] for piece in pieces[1:]) == word


@pytest.mark.parametrize(
    "page", ["x" * 5_000_000, "a " * 500_000, "\n" * 1_000_000, "a. " * 100_000, "a\n\n" * 100_000]
)
def test_splitting_takes_linear_time(page: str) -> None:
    began = time.perf_counter()
    Splitter(1_000, 150).split([page])
    assert time.perf_counter() - began < 20  # quadratic: hours


def test_the_tag_tells_sizes_apart() -> None:
    assert len({Splitter(100, 10).tag, Splitter(100, 20).tag, Splitter(200, 10).tag}) == 3


HEADER = "Year | Boats | Oars"
CELLS = [f"{year} | {year * 3:,} | {year * 2:,}" for year in range(2000, 2040)]


def headers(pieces: list[Piece]) -> list[tuple[str, ...]]:
    return [piece.table_headers for piece in pieces]


def test_every_piece_of_a_long_table_has_its_header() -> None:
    page = "\n".join([SENTENCE, HEADER, *CELLS, SENTENCE * 8])
    pieces = Splitter(300, 40).split([page], [], [[HEADER]])
    for piece in pieces:
        has_rows = any(line in CELLS for line in piece.text.split("\n"))
        assert piece.table_headers == ((HEADER,) if has_rows or HEADER in piece.text else ())


def test_a_table_that_goes_on_at_the_top_of_the_next_page_keeps_its_header() -> None:
    pages = ["\n".join([HEADER, *CELLS[:9]]), "\n".join([*CELLS[9:15], "", SENTENCE, *CELLS[15:17]])]
    assert headers(Splitter(2_000, 0).split(pages, [], [[HEADER], []])) == [(HEADER,), (HEADER,)]
    apart = "\n".join([SENTENCE, *CELLS[9:15]])
    assert headers(Splitter(2_000, 0).split([pages[0], apart], [], [[HEADER], []])) == [(HEADER,), ()]
    own = "\n".join(["Year | Fish", "2001 | 3"])
    assert headers(Splitter(2_000, 0).split([pages[0], own], [], [[HEADER], ["Year | Fish"]]))[1] == ("Year | Fish",)
    ended = "\n".join([HEADER, *CELLS[:9], SENTENCE])
    assert headers(Splitter(2_000, 0).split([ended, "\n".join(CELLS[9:15])], [], [[HEADER], []]))[1] == ()


def test_running_lines_between_the_parts_of_a_table_do_not_end_it() -> None:
    pages = [["ACME Report", HEADER, *CELLS[:9]], ["ACME Report", *CELLS[9:15]], ["ACME Report", *CELLS[15:20]]]
    pieces = Splitter(2_000, 0).split(["\n".join(page) for page in pages], [], [[HEADER], [], []])
    assert headers(pieces) == [(HEADER,)] * 3


def test_two_tables_of_a_piece_have_two_headers() -> None:
    page = "\n".join([HEADER, *CELLS[:2], "", "Fish | Kilos", "Pike | 3"])
    assert headers(Splitter(2_000, 0).split([page], [], [[HEADER, "Fish | Kilos"]])) == [(HEADER, "Fish | Kilos")]


def test_a_row_is_never_cut_at_a_sentence_in_it_nor_parted_from_its_header() -> None:
    rows = [f"Name {n} | Comes at six. Leaves at nine. | {n}" for n in range(60)]
    for size in range(200, 400, 9):
        page = "\n".join([SENTENCE * 5, "", "Name | When | How many", *rows])
        pieces = Splitter(size, 50).split([page], [], [["Name | When | How many"]])
        lines = [line for piece in pieces for line in piece.text.split("\n") if "|" in line]
        assert set(lines) == {"Name | When | How many", *rows}
        assert not any(piece.text.endswith("How many") for piece in pieces), size
