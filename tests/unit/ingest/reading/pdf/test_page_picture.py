"""Pages as PNGs."""

import io
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image

from ingest.reading.pdf.page_picture import PIXELS_MAX, WIDTHS, draw
from tests.support import pdfs


def drawn(tmp_path: Path, content: bytes, width: int = WIDTHS[0], box: bytes = b"[0 0 600 800]") -> Image.Image:
    data = pdfs.raw_page_pdf(tmp_path / "a.pdf", content).read_bytes().replace(b"[0 0 600 800]", box)
    picture = Image.open(io.BytesIO(draw(pypdfium2.PdfDocument(data)[0], width)))
    picture.load()
    return picture


@pytest.mark.parametrize("width", WIDTHS)
def test_a_picture_has_the_width_asked_for_and_the_pages_shape(tmp_path: Path, width: int) -> None:
    assert drawn(tmp_path, b"", width).size == (width, width * 8 // 6)


@pytest.mark.parametrize(("colour", "rgb"), [(b"1 0 0", (255, 0, 0)), (b"0 0 1", (0, 0, 255)), (b"0 0 0", (0, 0, 0))])
def test_a_picture_has_the_pages_colours_in_their_places(
    tmp_path: Path, colour: bytes, rgb: tuple[int, int, int]
) -> None:
    # 100 points below the top
    picture = drawn(tmp_path, colour + b" rg 100 600 200 100 re f").convert("RGB")
    assert picture.getpixel((300, 225)) == rgb
    assert picture.getpixel((140, 225)) == picture.getpixel((300, 140)) == picture.getpixel((300, 310)) == (255,) * 3


@pytest.mark.parametrize("box", [b"[0 0 14400 14400]", b"[0 0 3 14400]", b"[0 0 14400 1]"])
def test_a_picture_has_no_more_pixels_than_fit_however_long_its_page(tmp_path: Path, box: bytes) -> None:
    picture = drawn(tmp_path, b"", WIDTHS[1], box)
    assert 0 < picture.width * picture.height <= PIXELS_MAX


@pytest.mark.parametrize("width", [0, -1, 901, 100_000])
def test_no_other_width_is_drawn(tmp_path: Path, width: int) -> None:
    with pytest.raises(ValueError, match="not one of"):
        drawn(tmp_path, b"", width)
