"""Pages as pictures."""

from pathlib import Path

import pypdfium2
import pytest

from ingest.reading.pdf.picture import PIXELS_MAX, Picture
from tests.support import pdfs


@pytest.mark.parametrize("box", [b"[0 0 14400 14400]", b"[0 0 3 14400]", b"[0 0 14400 1]", b"[0 0 600 800]"])
def test_a_picture_has_no_more_pixels_than_fit_however_large_its_page(tmp_path: Path, box: bytes) -> None:
    path = pdfs.raw_page_pdf(tmp_path / "a.pdf", b"")
    page = pypdfium2.PdfDocument(path.read_bytes().replace(b"[0 0 600 800]", box))[0]
    picture = Picture.of(page.raw, 108, is_grey=False)
    assert picture.width * picture.height <= PIXELS_MAX
    assert len(picture.pixels) == 4 * picture.width * picture.height


def test_a_box_in_points_has_its_place_in_pixels_counted_from_above(tmp_path: Path) -> None:
    page = pypdfium2.PdfDocument(pdfs.raw_page_pdf(tmp_path / "a.pdf", b"10 20 30 40 re f").read_bytes())[0]
    picture = Picture.of(page.raw, 72, is_grey=True)
    left, top, right, bottom = picture.place((10, 20, 40, 60))
    assert (left, top, right, bottom) == (10, 740, 40, 780)
    rows = [picture.pixels[y * picture.width :][left:right] for y in range(top, bottom)]
    assert set(b"".join(rows)) == {0}
