"""A workbook: a page for each sheet that is shown, named after it, with the cells' values as they are shown.

Formulas are not computed: what was saved as their value is read. Rows and columns that are hidden are left out.
"""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from io import BytesIO
from typing import IO, Any

from openpyxl.reader.excel import ExcelReader
from openpyxl.styles.colors import COLOR_INDEX, Color
from openpyxl.styles.numbers import BUILTIN_FORMATS
from openpyxl.styles.stylesheet import apply_stylesheet
from openpyxl.utils.datetime import WINDOWS_EPOCH

from ingest.reading.limits import PAGE_CHARACTERS_MAX
from ingest.reading.office.lazy import LazyPages
from ingest.reading.office.number_formats import shown_number, shown_text
from ingest.reading.office.package import Package
from ingest.reading.office.page_writer import PageWriter, one_line
from ingest.reading.office.sheet import Line, write_sheet
from ingest.reading.office.sheet_xml import COLUMNS_MAX, Cell, Sheet, corner
from ingest.reading.page import Page

SHEET_CELLS_MAX = 150_000
"""Some seconds of a slow core; the rest of a longer sheet is cut, as of one with more characters than a page."""
MERGED_MAX = 10_000
"""Cells over several others that are looked at."""
MERGED_ROWS_MAX = 1_000
"""Rows beside such a cell that have its words."""
READ_PIECEMEAL = re.compile(
    r"(?i)/?xl/(worksheets/[^/]*|(media|embeddings|charts|drawings|pivotCache|externalLinks)/.*)"
)
"""Parts of a workbook that are read row by row, or not at all."""
NO_NAME = re.compile(
    r"(sheet|tabelle|feuil|hoja|foglio|blad|ark|arkusz|planilha|лист|シート|工作表|시트) ?\d*", re.IGNORECASE
)
"""What programs call a sheet until somebody does. Another name stands above the sheet's cells, as its heading."""
LOCAL_DATES = {14: "yyyy-mm-dd", 22: "yyyy-mm-dd h:mm"}
"""Formats that each country shows in its own way, which the file does not tell."""
LIGHT = 240
"""Of 255, in each of red, green and blue: white, to the eye."""
WHITE = "FFFFFF"
POINTS_MIN = 2
"""Smaller letters nobody reads."""
WHITE_OF_THE_THEME = 0
FIRST_OWN_FORMAT = 164
"""The formats below are the same in every workbook."""


def read(data: bytes) -> tuple[Sequence[Page], str]:
    """The pages, read when they are asked for, and the title. Raises `FileError`, or nearly anything."""
    package = Package(data)
    package.bound(name for name in package.names if not READ_PIECEMEAL.fullmatch(name))
    reader = _opened(data)
    looks = _Looks(reader.wb)
    pages = [
        partial(_page, package, sheet.name, link.target, reader.shared_strings, looks)
        for sheet, link in reader.parser.find_sheets()
        if sheet.state == "visible" and "worksheet" in link.Type
    ]
    return LazyPages(pages), str(reader.wb.properties.title or "")


def _opened(data: bytes) -> ExcelReader:
    """The workbook without its sheets, which openpyxl would read through in search of their size."""
    reader = ExcelReader(BytesIO(data), read_only=True, data_only=True, keep_links=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it leaves out, to somebody who would write the file again
        reader.read_manifest()
        reader.read_strings()
        reader.read_workbook()
        reader.read_properties()
        apply_stylesheet(reader.archive, reader.wb)
    return reader


def _page(package: Package, name: str, part: str, strings: Sequence[str], looks: "_Looks") -> Page:
    writer = PageWriter(name)
    grid = _Grid(strings, looks)
    with package.open(part) as source:
        grid.read(source)
    if not NO_NAME.fullmatch(name):
        writer.heading(name)
    write_sheet(writer, grid.lines())
    return writer.page(is_cut=grid.is_cut)


class _Grid:
    """A sheet's cells that are shown, by row and column."""

    def __init__(self, strings: Sequence[str], looks: "_Looks") -> None:
        self._strings = strings
        self._looks = looks
        self._sheet = Sheet()
        self._rows: dict[int, dict[int, str]] = {}
        self._white: list[tuple[int, int, str]] = []
        self._bold: set[int] = set()
        self._spread: dict[int, dict[int, str]] = {}
        self.is_cut = False

    def read(self, source: IO[bytes]) -> None:
        """Read rows until there are none, or enough."""
        cells = characters = 0
        for number, row in self._sheet.rows(source):
            cells += 1 + len(row)
            characters += self._take(number, row)
            self.is_cut = self.is_cut or cells > SHEET_CELLS_MAX or characters > PAGE_CHARACTERS_MAX
            if cells > SHEET_CELLS_MAX or characters > PAGE_CHARACTERS_MAX:
                break
        self.is_cut = self.is_cut or self._sheet.is_cut
        if self._sheet.is_coloured:  # there may be something dark behind white words
            for number, column, words in self._white:
                self._rows[number][column] = words
        self._merge()

    def lines(self) -> Iterator[Line]:
        """The rows in their order; an empty one stands for any number of such."""
        last = 0
        for number, cells in sorted(self._rows.items()):
            if any(cells.values()):
                yield from [Line()] if number > last + 1 else []
                last = number
                yield Line(_in_order(cells), number in self._bold, _in_order(self._spread.get(number, {})))

    def _take(self, number: int, row: Sequence[Cell]) -> int:
        """Keep a row's cells; how many characters they have."""
        kept: dict[int, str] = {}
        is_bold = True
        for cell in row:
            if cell.column in self._sheet.hidden_columns:
                continue
            if cell.column > COLUMNS_MAX:
                self.is_cut = True
                break
            words = self._looks.shown(self._value(cell), cell.style)
            if words and self._looks.is_white(cell.style):
                self._white.append((number, cell.column, words))
            elif words:
                kept[cell.column] = words
                is_bold = is_bold and self._looks.is_bold(cell.style)
        self._rows[number] = kept
        if is_bold:
            self._bold.add(number)
        return sum(map(len, kept.values()))

    def _value(self, cell: Cell) -> str | int | float:
        """What a cell holds: words, or a number."""
        if cell.kind == "n":
            return float(cell.value) if set(cell.value) & set(".eE") else int(cell.value)
        if cell.kind == "s":
            return self._strings[int(cell.value)]
        return {"0": "FALSE", "1": "TRUE"}.get(cell.value, cell.value) if cell.kind == "b" else cell.value

    def _merge(self) -> None:
        """Give the rows beside a cell over several rows its words, and remember what is over several columns."""
        for reference in self._sheet.merged[:MERGED_MAX]:
            first, _, last = reference.partition(":")
            (left, top), (right, bottom) = corner(first), corner(last or first)
            words = self._rows.get(top, {}).get(left, "")
            for row in range(top + 1, min(bottom, top + MERGED_ROWS_MAX) + 1):
                if words and any(self._rows.get(row, {}).values()):
                    self._rows[row][left] = words
            if words and right > left and len(self._rows[top]) > 1:
                spread = self._spread.setdefault(top, dict(self._rows[top]))
                spread |= dict.fromkeys(range(left, min(right, COLUMNS_MAX) + 1), words)


class _Looks:
    """What the cells' styles do to their values."""

    def __init__(self, book: Any) -> None:
        self._book = book
        self._formats: dict[int, str] = {}
        self._fonts: dict[int, tuple[bool, bool]] = {}

    def shown(self, value: str | int | float, style: int) -> str:
        """The characters that are shown for a value; "" when the style hides it."""
        code = self._formats.get(style)
        if code is None:
            code = self._formats.setdefault(style, self._format(self._book._cell_styles[style].numFmtId))
        if isinstance(value, int | float):
            return shown_number(value, code, self._day)
        return one_line(shown_text(value, code))

    def is_bold(self, style: int) -> bool:
        """Whether its words are set in bold."""
        return self._font(style)[0]

    def is_white(self, style: int) -> bool:
        """Whether its words have the colour of what is behind them, or next to no size."""
        return self._font(style)[1]

    def _format(self, number: int) -> str:
        if number in LOCAL_DATES:
            return LOCAL_DATES[number]
        if number in BUILTIN_FORMATS:
            return str(BUILTIN_FORMATS[number])
        own = self._book._number_formats
        return str(own[number - FIRST_OWN_FORMAT]) if 0 <= number - FIRST_OWN_FORMAT < len(own) else "General"

    def _font(self, style: int) -> tuple[bool, bool]:
        if style not in self._fonts:
            styled = self._book._cell_styles[style]
            font, fill = self._book._fonts[styled.fontId], self._book._fills[styled.fillId]
            ground = WHITE
            if fill.fill_type is not None:
                ground = _rgb(getattr(fill, "fgColor", None)) if fill.fill_type == "solid" else ""
            ink = _rgb(font.color)
            is_lost = bool(ink and ground) and _is_like(ink, ground)
            self._fonts[style] = bool(font.b), is_lost or (font.sz or POINTS_MIN) < POINTS_MIN
        return self._fonts[style]

    def _day(self, serial: float) -> datetime:
        """The day of a serial number. Before March 1900, Excel counts a day that never was."""
        epoch: datetime = self._book.epoch
        late = 1 if epoch == WINDOWS_EPOCH and 0 < serial < 60 else 0
        return epoch + timedelta(days=int(serial) + late, milliseconds=round((serial - int(serial)) * 86_400_000))


def _in_order(cells: Mapping[int, str]) -> Sequence[str]:
    return [cells.get(column, "") for column in range(1, max(cells) + 1)] if cells else ()


def _rgb(color: Color | None) -> str:
    """A colour's six digits; "" when it is not told."""
    if color is None:
        return ""
    if color.type == "theme":
        return WHITE if color.theme == WHITE_OF_THE_THEME and not color.tint else ""
    if color.type == "indexed":
        return COLOR_INDEX[color.indexed][-6:] if color.indexed < len(COLOR_INDEX) else ""
    return str(color.rgb)[-6:] if color.type == "rgb" else ""


def _is_like(ink: str, ground: str) -> bool:
    """Whether nobody can tell one colour from the other."""
    pairs = [(int(ink[at : at + 2], 16), int(ground[at : at + 2], 16)) for at in (0, 2, 4)]
    return all(abs(one - other) <= 255 - LIGHT for one, other in pairs)
