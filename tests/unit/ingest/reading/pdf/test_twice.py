"""What a page draws twice or more in one place is read once."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingest.reading.pdf.document import PdfDocument
from tests.support import pdfs

WIDTHS = dict.fromkeys("abdeghnopquL0123456789", 0.556) | dict.fromkeys("cksvxyz", 0.5)
WIDTHS |= {"i": 0.222, "l": 0.222, "t": 0.278, "f": 0.278, "r": 0.333, "m": 0.833, "M": 0.833, "T": 0.611, " ": 0.278}
SIZE = 12
SENTENCE = "The annual leave of every employee had had been less at Municipality 1100"


def piece(x: float, y: float, text: str) -> str:
    return f"BT /F {SIZE} Tf 1 0 0 1 {x:.2f} {y:.2f} Tm ({text}) Tj ET "


def placed(text: str, parts: list[str]) -> Iterator[tuple[float, str]]:
    x = 50.0
    for part in parts:
        yield x, part
        x += sum(WIDTHS[letter] for letter in part) * SIZE
    assert "".join(parts) == text


def letters(text: str, times: int, step: float) -> str:
    """Every letter an object, the line drawn so many times."""
    places = [one for one in placed(text, list(text)) if one[1] != " "]
    return "".join(piece(x + step * n, 700, letter) for n in range(times) for x, letter in places)


def words(text: str, times: int, step: float) -> str:
    """Every word an object, the line drawn so many times."""
    parts = [part for word in text.split() for part in (word, " ")][:-1]
    places = [one for one in placed(text, parts) if one[1] != " "]
    return "".join(piece(x + step * n, 700, word) for n in range(times) for x, word in places)


def each_word(text: str, times: int, step: float) -> str:
    """Every word an object, drawn so many times before the next."""
    parts = [part for word in text.split() for part in (word, " ")][:-1]
    places = [one for one in placed(text, parts) if one[1] != " "]
    return "".join(piece(x + step * n, 700, word) for x, word in places for n in range(times))


def lines(text: str, times: int, step: float) -> str:
    return "".join(piece(50 + step * n, 700, text) for n in range(times))


def raised_lines(text: str, times: int, step: float) -> str:
    return "".join(piece(50, 700 + step * n, text) for n in range(times))


def text_of(tmp_path: Path, content: str) -> str:
    path = pdfs.raw_page_pdf(tmp_path / "a.pdf", (content + piece(50, 600, "And so on.")).encode())
    return (PdfDocument(path.read_bytes()).page(0).text or "").partition("And so on.")[0].strip()


@pytest.mark.parametrize(("times", "step"), [(2, 0.2), (2, 0.4), (2, 0.8), (3, 0.2), (3, 0.4), (4, 0.2), (4, 0.4)])
@pytest.mark.parametrize("draw", [letters, words, each_word, lines, raised_lines])
def test_a_line_that_is_drawn_again_with_an_offset_is_read_once(
    tmp_path: Path, draw: Callable[[str, int, float], str], times: int, step: float
) -> None:
    assert text_of(tmp_path, draw(SENTENCE, times, step)) == SENTENCE


@pytest.mark.parametrize("times", [2, 3])
def test_a_page_that_is_drawn_again_is_read_once(tmp_path: Path, times: int) -> None:
    page = [f"Line {n} of annual leave" for n in range(9)]
    content = "".join(
        piece(50 + 0.4 * time, 760 - 15 * n, line) for time in range(times) for n, line in enumerate(page)
    )
    assert text_of(tmp_path, content).split("\n") == page


@pytest.mark.parametrize("line", ["aabbcc 001122 bookkeeper", "had had had", "no no", "1100 1100 1100", "Hawaii"])
def test_real_doubles_stay(tmp_path: Path, line: str) -> None:
    assert text_of(tmp_path, piece(50, 700, line)) == line


def test_equal_lines_in_other_places_stay(tmp_path: Path) -> None:
    content = "".join(piece(50, 760 - 15 * n, "none") for n in range(5))
    assert text_of(tmp_path, content).split() == ["none"] * 5
