"""Japanese written downwards is read by columns, from right to left, however it was drawn."""

from pathlib import Path

import pytest

from ingest.reading.pdf.document import PdfDocument
from tests.support.pdfs import _stream, _write

COLUMNS = ("吾輩は猫である。", "名前はまだ無い。", "どこで生れたか", "とんと見当がつかぬ")
PLACED = [
    (300 - 24 * at, 650 - 15 * row, sign) for at, column in enumerate(COLUMNS) for row, sign in enumerate(column)
]
ORDERS = {
    "from right to left": PLACED,
    "from left to right": sorted(PLACED, key=lambda place: (place[0], -place[1])),
    "row by row": sorted(PLACED, key=lambda place: (-place[1], place[0])),
}


@pytest.mark.parametrize("order", ORDERS)
def test_columns_are_read_from_right_to_left(tmp_path: Path, order: str) -> None:
    codes = {sign: number for number, sign in enumerate(dict.fromkeys("".join(COLUMNS)), 33)}
    meanings = "".join(f"<{code:02x}> <{sign.encode('utf-16-be').hex()}>\n" for sign, code in codes.items())
    cmap = f"begincmap 1 begincodespacerange <00> <ff> endcodespacerange {len(codes)} beginbfchar\n{meanings}"
    drawn = "".join(f"1 0 0 1 {x} {y} Tm <{codes[sign]:02x}> Tj " for x, y, sign in ORDERS[order])
    path = _write(
        tmp_path / "a.pdf",
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
        _stream(f"BT /F 14 Tf {drawn} ET".encode()),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 6 0 R>>",
        _stream(f"{cmap}endbfchar endcmap".encode()),
    )
    assert (PdfDocument(path.read_bytes()).page(0).text or "").split() == list(COLUMNS)
