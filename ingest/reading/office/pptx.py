"""Slides: a page for each, its shapes' words in the order of reading, tables and charts as rows.

Speaker notes and comments are not on the slide, and are not read. A hidden slide keeps its number and has no words.
"""

import warnings
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from io import BytesIO
from typing import Any

from pptx import Presentation
from pptx.enum.shapes import PP_PLACEHOLDER
from pptx.oxml import parse_xml
from pptx.oxml.ns import qn

from ingest.reading.office.lazy import LazyPages
from ingest.reading.office.number_formats import shown_number
from ingest.reading.office.package import Package
from ingest.reading.office.page_writer import PageWriter, one_line
from ingest.reading.office.sheet import Line, header_rows
from ingest.reading.office.slide_inks import Inks
from ingest.reading.office.slide_places import Placed, in_order, shapes_of
from ingest.reading.page import Page
from ingest.reading.raised import lowered, raised

READ_PARTS = (".xml", ".rels")
SHAPES_MAX = 5_000
"""Of a slide."""
TITLES = {PP_PLACEHOLDER.TITLE, PP_PLACEHOLDER.CENTER_TITLE}
UNREAD = {PP_PLACEHOLDER.SLIDE_NUMBER}
"""What stands on each slide anew."""
CHART_ROWS_MAX = 1_000
CORNER = "Category"
"""Above a chart's categories, when it has no word for them."""
USUAL_TITLES = {"powerpoint presentation", "powerpoint-präsentation", "présentation powerpoint", "presentation"}
"""What PowerPoint calls a presentation itself."""
EPOCH = datetime(1899, 12, 30)
DIAGRAM = "http://schemas.openxmlformats.org/drawingml/2006/diagram"
RELATIONSHIP = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"


def read(data: bytes) -> tuple[Sequence[Page], str]:
    """The pages, read when they are asked for, and the title. Raises `FileError`, or nearly anything."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        presentation = Presentation(BytesIO(Package(data).only(READ_PARTS)))
    size = (int(presentation.slide_width or 0), int(presentation.slide_height or 0))
    first = int(presentation.element.get("firstSlideNum") or 1)
    labels = (str(first + number) if first != 1 else "" for number in range(len(presentation.slides)))
    slides = zip(presentation.slides, labels, strict=True)
    pages = LazyPages([partial(_page, slide, size, label) for slide, label in slides])
    return pages, _title(presentation, pages)


def _title(presentation: Any, pages: Sequence[Page]) -> str:
    """The first slide's, else what the file says."""
    named = one_line(presentation.core_properties.title or "")
    on_first = next(iter(pages[0].headings), "") if pages else ""
    return on_first or (named if named.lower() not in USUAL_TITLES else "")


def _page(slide: Any, size: tuple[int, int], label: str) -> Page:
    writer = PageWriter(label)
    if slide.element.get("show") in ("0", "false"):
        return writer.page()
    placed = list(shapes_of(slide.shapes, size))[:SHAPES_MAX]
    inks = Inks(slide, placed)
    for one in in_order(placed, is_first=_is_title):
        if _placeholder(one.shape) not in UNREAD:
            _write(one, inks, writer)
            writer.gap()
    return writer.page()


def _write(placed: Placed, inks: Inks, writer: PageWriter) -> None:
    shape = placed.shape
    if getattr(shape, "has_table", False):
        _write_table(shape.table, inks, writer)
    elif getattr(shape, "has_chart", False):
        _write_chart(shape.chart, writer)
    elif shape.has_text_frame:
        lines = [words for words in _paragraphs(shape.text_frame._txBody, inks, placed) if words.strip()]
        if _is_title(placed):
            writer.heading(" ".join(lines))
        else:
            for words in lines:
                writer.text(words)
    else:
        for words in _diagram(shape):
            writer.text(words)


def _placeholder(shape: Any) -> Any:
    """What kind of placeholder a shape is; None when it is none."""
    return shape.placeholder_format.type if getattr(shape, "is_placeholder", False) else None


def _is_title(placed: Placed) -> bool:
    return _placeholder(placed.shape) in TITLES


def _paragraphs(body: Any, inks: Inks, placed: Placed | None) -> Iterator[str]:
    """The lines of a shape or a cell that are shown."""
    for paragraph in body.iter(qn("a:p")):
        words = ""
        raising, run = 0, ""
        for element in paragraph:
            script, text = _run(element, inks, placed)
            if script != raising:
                words, run = words + _set(words, run, raising), ""
            raising, run = script, run + text
        yield from (words + _set(words, run, raising)).split("\n")


def _run(element: Any, inks: Inks, placed: Placed | None) -> tuple[int, str]:
    """A run's words, and whether they are raised (1), lowered (-1) or neither."""
    if element.tag == qn("a:br"):
        return 0, "\n"
    if element.tag not in (qn("a:r"), qn("a:fld")) or inks.hide(element, placed):
        return 0, ""
    properties = element.find(qn("a:rPr"))
    offset = int(properties.get("baseline", "0").rstrip("%") or 0) if properties is not None else 0
    return (offset > 0) - (offset < 0), element.findtext(qn("a:t")) or ""


def _set(before: str, words: str, script: int) -> str:
    return raised(before, words) if script > 0 else lowered(words) if script < 0 else words


def _write_table(table: Any, inks: Inks, writer: PageWriter) -> None:
    rows: list[list[str]] = []
    for row in table.rows:
        cells = [one_line(" ".join(_paragraphs(cell._tc, inks, None))) for cell in row.cells]
        for at, cell in enumerate(row.cells):
            if cell._tc.vMerge and rows and at < len(rows[-1]):
                cells[at] = rows[-1][at]  # it goes on from the row above
        rows.append(cells)
    shown = [row for row in rows if any(row)]
    if shown:
        is_named = table.first_row and len(shown) > 1
        writer.table(shown, 1 if is_named else header_rows([Line(row) for row in shown]))


def _write_chart(chart: Any, writer: PageWriter) -> None:
    """A chart's values as a table, a row for each category; of one that has none, its words alone."""
    if chart.has_title and chart.chart_title.has_text_frame:
        writer.text(chart.chart_title.text_frame.text)
    plots = list(chart.plots)
    if not plots:
        return
    series = [one for plot in plots for one in plot.series]
    categories = [str(category.label or "") for category in plots[0].categories][:CHART_ROWS_MAX]
    if not categories or not series:
        return
    columns = [_values(one) for one in series]
    rows = [
        [category, *(column[at] if at < len(column) else "" for column in columns)]
        for at, category in enumerate(categories)
    ]
    writer.table([[_axis(chart) or CORNER, *(one_line(one.name or "") for one in series)], *rows], 1)


def _values(series: Any) -> list[str]:
    """A series' values as their format shows them."""
    code = series._element.findtext(".//" + qn("c:val") + "//" + qn("c:formatCode")) or "General"
    return ["" if value is None else _shown(value, code) for value in series.values][:CHART_ROWS_MAX]


def _shown(value: float, code: str) -> str:
    return shown_number(value, code, lambda serial: EPOCH + timedelta(days=serial))


def _axis(chart: Any) -> str:
    """What a chart's categories are called, if it says so."""
    try:
        axis = chart.category_axis
    except ValueError:  # a pie has none
        return ""
    return one_line(axis.axis_title.text_frame.text) if axis.has_title else ""


def _diagram(shape: Any) -> Iterator[str]:
    """The words of a diagram (SmartArt), which stand in a part of their own."""
    for reference in shape._element.iter(f"{{{DIAGRAM}}}relIds"):
        part = shape.part.related_part(reference.get(f"{RELATIONSHIP}dm"))
        root = parse_xml(part.blob)
        for point in root.iter(f"{{{DIAGRAM}}}pt"):
            if point.get("type", "node") in ("node", "asst"):
                yield " ".join(words for text in point.iter(qn("a:t")) if (words := one_line(text.text or "")))
