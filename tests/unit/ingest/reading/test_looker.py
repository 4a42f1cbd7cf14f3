"""A look at one page by the child: what it says, what it draws, and what becomes of a page that is made to harm."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import psutil
import pypdfium2
import pytest
from fpdf import FPDF
from PIL import Image

from app.core import contract
from app.core.contract import PictureWidth
from ingest.reading import page_look
from ingest.reading.child import Child, Sight
from ingest.reading.looker import Looker
from ingest.reading.page_look import Wish
from ingest.reading.pdf import page_picture, quote_boxes
from ingest.reading.pdf.quote_boxes import find_boxes
from ingest.reading.reasons import FileError, Reason
from tests.support import pdfs
from tests.support.processes import wait_until
from tests.unit.ingest.reading.test_portfolio import _portfolio

QUOTE = "The key hangs behind the third oar."
WIDTH = 900


@pytest.fixture(scope="module")
def looker() -> Iterator[Looker]:
    with Looker() as looker:
        yield looker


def wish(page: int = 0, quote: str = "", *, runs_over: bool = False, width_px: int = 0) -> Wish:
    return Wish(page, quote, runs_over, width_px)


def lines_pdf(path: Path, *lines: str) -> Path:
    """A page with nothing on it but these lines, which go down from where they begin."""
    pdf = FPDF(unit="pt")
    pdf.set_auto_page_break(False)
    pdf.add_page()
    pdf.set_font("Helvetica", size=10)
    for number, line in enumerate(lines):
        pdf.text(90, 200 + 14 * number, line)
    pdf.output(str(path))
    return path


def changed(path: Path, *, turned: int = 0, is_cropped: bool = False) -> Path:
    """The file with its first page turned, and cropped to what is around the words."""
    document = pypdfium2.PdfDocument(path.read_bytes())
    page = document[0]
    page.set_rotation(turned)
    if is_cropped:
        page.set_cropbox(40, 300, 400, 760)
    document.save(str(path))
    return path


def inked(picture: bytes, sight: Sight) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of what is drawn, in the page's points."""
    assert sight.seen is not None
    image = Image.open(io.BytesIO(picture)).convert("L")
    rows, columns = np.nonzero(np.asarray(image) < 128)
    scale = sight.seen.width / image.width
    assert image.height * scale == pytest.approx(sight.seen.height, abs=1)
    return columns.min() * scale, rows.min() * scale, columns.max() * scale, rows.max() * scale


@pytest.mark.parametrize("turned", [0, 90, 180, 270])
@pytest.mark.parametrize("is_cropped", [False, True])
@pytest.mark.parametrize("lines", [(QUOTE,), ("The key hangs behind", "the third oar.")], ids=len)
def test_the_boxes_are_where_the_picture_has_the_words(
    looker: Looker, tmp_path: Path, turned: int, is_cropped: bool, lines: tuple[str, ...]
) -> None:
    path = changed(lines_pdf(tmp_path / "a.pdf", *lines), turned=turned, is_cropped=is_cropped)
    sight, picture = looker.look(path, "a.pdf", wish(quote=QUOTE, width_px=WIDTH))
    assert sight.seen is not None
    assert picture is not None
    assert Image.open(io.BytesIO(picture)).width == WIDTH
    boxes = sight.seen.boxes
    assert len(boxes) == len(lines)
    around = (
        min(x for x, _, _, _ in boxes),
        min(y for _, y, _, _ in boxes),
        max(x + w for x, _, w, _ in boxes),
        max(y + h for _, y, _, h in boxes),
    )
    assert inked(picture, sight) == pytest.approx(around, abs=5)


def test_the_words_are_those_of_the_index_and_tell_where_the_quote_stands(looker: Looker, tmp_path: Path) -> None:
    path = pdfs.make_pdf(tmp_path / "a.pdf", ["The boat house opens at six.", [QUOTE, "Ask."]])
    sight, picture = looker.look(path, "a.pdf", wish(1, "key hangs behind the"))
    assert picture is None, "none was wanted"
    assert (sight.pages, sight.words) == (2, f"{QUOTE}\nAsk.")
    assert sight.span is not None
    assert sight.words[slice(*sight.span)] == "key hangs behind the"


def test_what_is_not_on_the_page_is_not_marked(looker: Looker, tmp_path: Path) -> None:
    path = pdfs.make_pdf(tmp_path / "a.pdf", ["The boat house opens at six.", QUOTE])
    for quote in (QUOTE, "", "The boat house opens at sixteen."):
        sight, _ = looker.look(path, "a.pdf", wish(0, quote))
        assert sight.seen is not None
        assert (sight.seen.boxes, sight.span) == ((), None)


def test_a_quote_that_runs_over_is_marked_on_both_pages(looker: Looker, tmp_path: Path) -> None:
    path = pdfs.make_pdf(tmp_path / "a.pdf", ["Ask first. The key hangs behind", "the third oar. Nobody rows alone."])
    sight, _ = looker.look(path, "a.pdf", wish(0, QUOTE, runs_over=True))
    assert sight.seen is not None
    assert (len(sight.seen.boxes), len(sight.seen.next_boxes)) == (1, 1)
    assert sight.span is not None
    assert sight.words[slice(*sight.span)] == "The key hangs behind"
    alone, _ = looker.look(path, "a.pdf", wish(0, QUOTE))
    assert alone.seen is not None
    assert (alone.seen.boxes, alone.seen.next_boxes, alone.span) == ((), (), None)


def test_the_last_page_has_none_after_it(looker: Looker, tmp_path: Path) -> None:
    path = pdfs.make_pdf(tmp_path / "a.pdf", ["The key hangs behind"])
    sight, _ = looker.look(path, "a.pdf", wish(0, QUOTE, runs_over=True))
    assert sight.seen is not None
    assert sight.seen.boxes == ()


def test_beyond_the_end_there_is_nothing(looker: Looker, tmp_path: Path) -> None:
    path = pdfs.make_pdf(tmp_path / "a.pdf", [QUOTE])
    sight, picture = looker.look(path, "a.pdf", wish(1, QUOTE, width_px=WIDTH))
    assert (sight.pages, sight.words, sight.seen, picture) == (1, "", None, None)


def test_a_document_of_words_alone_has_no_picture(looker: Looker, tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text(f"# Boats 😀\n\n{QUOTE} Ask.\n")
    sight, picture = looker.look(path, "a.md", wish(0, "key hangs", width_px=WIDTH))
    assert (sight.seen, picture) == (None, None)
    assert sight.span is not None
    assert sight.words[slice(*sight.span)] == "key hangs"


def test_a_scan_is_shown_and_nothing_on_it_is_marked(looker: Looker, tmp_path: Path) -> None:
    path = pdfs.scanned_pdf(tmp_path / "a.pdf", text=QUOTE)
    sight, picture = looker.look(path, "a.pdf", wish(0, QUOTE, width_px=WIDTH))
    assert sight.seen is not None
    assert picture is not None
    assert (sight.words, sight.span, sight.seen.boxes) == ("", None, ())


def test_a_portfolio_s_pages_are_those_of_its_attachments(looker: Looker, tmp_path: Path) -> None:
    inner = lines_pdf(tmp_path / "oars.pdf", QUOTE).read_bytes()
    path = tmp_path / "a.pdf"
    path.write_bytes(_portfolio([("notes.txt", b"Words alone."), ("oars.pdf", inner)]))
    words, no_picture = looker.look(path, "a.pdf", wish(0, "Words", width_px=WIDTH))
    assert (words.pages, words.seen, no_picture) == (2, None, None)
    sight, picture = looker.look(path, "a.pdf", wish(1, QUOTE, width_px=WIDTH))
    assert sight.seen is not None
    assert picture is not None
    assert list(sight.seen.boxes) == find_boxes(pypdfium2.PdfDocument(inner)[0], QUOTE)


def test_a_page_that_takes_too_long_is_given_up_and_its_child_killed(tmp_path: Path) -> None:
    path = pdfs.slow_page_pdf(tmp_path / "a.pdf")
    with Looker(seconds_max=60) as looker:
        looker.look(path, "a.pdf", wish(0, width_px=WIDTH))
        pid = looker.child_pid
        assert pid is not None
        looker.seconds_max = 2
        with pytest.raises(FileError) as refused:
            looker.look(path, "a.pdf", wish(1, width_px=WIDTH))
        assert refused.value.reason is Reason.TIMEOUT
        wait_until(lambda: not psutil.pid_exists(pid), "the child is gone")
        looker.seconds_max = 60
        assert looker.look(path, "a.pdf", wish(2, "More words."))[0].span == (0, 11), "the next one has another child"


def test_what_asks_for_more_memory_than_there_is_ends_the_child_alone(tmp_path: Path) -> None:
    path = pdfs.flate_bomb_pdf(tmp_path / "a.pdf", megabytes=600)
    good = pdfs.make_pdf(tmp_path / "b.pdf", [QUOTE])
    with Looker(memory_bytes_max=400 * 2**20) as looker:
        with pytest.raises(FileError):
            looker.look(path, "a.pdf", wish(0, width_px=WIDTH))
        assert looker.look(good, "b.pdf", wish(0, QUOTE))[0].span is not None


@pytest.mark.parametrize("picture", ["", "not base64!", "AAAA", "iVBORw0KGgo"])
def test_what_is_no_picture_is_not_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picture: str
) -> None:
    """Whatever took the child over may say anything."""
    seen = {"width": 1, "height": 1, "boxes": [], "next_boxes": [], "picture": picture}
    monkeypatch.setattr(Child, "sight", lambda *_: Sight.model_validate({"pages": 1, "seen": seen}))
    with Looker() as looker, pytest.raises(FileError) as refused:
        looker.look(pdfs.make_pdf(tmp_path / "a.pdf", [QUOTE]), "a.pdf", wish())
    assert refused.value.reason is Reason.CRASHED


@pytest.mark.parametrize(
    "said",
    [
        {"boxes": [[1, 2, 3]]},
        {"boxes": [[float("nan")] * 4]},
        {"boxes": [[1e300] * 4]},
        {"boxes": [[0, 0, 1, 1]] * (page_look.MARKS_MAX + 1)},
        {"more": 1},
    ],
)
def test_boxes_that_are_none_are_refused(said: dict[str, Any]) -> None:
    seen = {"width": 1, "height": 1, "boxes": [], "next_boxes": [], "picture": None}
    assert Sight.model_validate({"seen": seen})
    with pytest.raises(ValueError, match="validation error"):
        Sight.model_validate({"seen": seen | said})


def test_a_look_at_what_cannot_be_read_says_why(looker: Looker, tmp_path: Path) -> None:
    with pytest.raises(FileError) as refused:
        looker.look(pdfs.encrypted_pdf(tmp_path / "a.pdf"), "a.pdf", wish())
    assert refused.value.reason is Reason.ENCRYPTED


def test_child_and_queue_have_the_same_bounds() -> None:
    """The child imports no contract, which would make its start twice as long."""
    assert page_look.WORDS_CHARACTERS_MAX == contract.WORDS_MAX_CHARACTERS
    assert page_look.MARKS_MAX == contract.MARKS_MAX
    assert quote_boxes.QUOTE_CHARACTERS_MAX == contract.QUOTE_MAX_CHARACTERS
    assert get_args(PictureWidth) == page_picture.WIDTHS
