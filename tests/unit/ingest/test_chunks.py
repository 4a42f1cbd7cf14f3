"""Pages into chunks."""

import time

import pytest

from ingest.chunks import Piece, Splitter

SENTENCE = "The quick brown fox jumps over the lazy dog. "


def test_a_short_page_is_one_piece() -> None:
    assert Splitter(100, 10).split(["one", "two"]) == [Piece(1, "one"), Piece(2, "two")]


def test_no_piece_crosses_a_page_or_is_too_long() -> None:
    pieces = Splitter(200, 40).split([SENTENCE * 20, SENTENCE * 20])
    assert {piece.page for piece in pieces} == {1, 2}
    assert [piece.page for piece in pieces] == sorted(piece.page for piece in pieces)
    assert max(len(piece.text) for piece in pieces) <= 200


def test_pieces_are_the_page_s_own_words() -> None:
    page = "\n\n".join(SENTENCE * 5 for _ in range(5))
    assert all(piece.text in page for piece in Splitter(200, 40).split([page]))


def test_neighbours_share_words() -> None:
    first, second, *_ = Splitter(200, 40).split([SENTENCE * 20])
    assert first.text[-20:] in second.text


def test_blank_and_unreadable_pages_have_no_pieces_and_are_counted() -> None:
    assert Splitter(100, 10).split(["", None, " \n ", "four"]) == [Piece(4, "four")]


def test_a_word_longer_than_a_chunk_is_cut_and_nothing_is_lost() -> None:
    word = "".join(chr(ord("a") + n % 26) for n in range(1_003))
    pieces = Splitter(100, 10).split([word])
    assert all(len(piece.text) <= 100 for piece in pieces)
    assert pieces[0].text + "".join(piece.text[10:] for piece in pieces[1:]) == word


@pytest.mark.parametrize("page", ["x" * 5_000_000, "a " * 500_000, "\n" * 1_000_000])
def test_splitting_takes_linear_time(page: str) -> None:
    began = time.perf_counter()
    Splitter(1_000, 150).split([page])
    assert time.perf_counter() - began < 20  # quadratic: hours


def test_the_tag_tells_sizes_apart() -> None:
    assert len({Splitter(100, 10).tag, Splitter(100, 20).tag, Splitter(200, 10).tag}) == 3
