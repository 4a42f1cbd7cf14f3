"""Tables, by the ways to draw one, are read as rows; by what is in them, cells and headers keep their meaning."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from fpdf import FPDF
from fpdf.fonts import FontFace

from tests.unit.ingest.reading.pdf.layout.drawing import column, lines_of, read
from worker.table_rows import is_row, row_of

HEAD = ("Ticket", "Zone A", "Zone B")
ROWS = (
    ("Single", "2.40", "3.10"),
    ("Day", "6.80", "8.90"),
    ("Week, for one adult", "24.00", "31.50"),
    ("Dog", "0.00", "1.20"),
)
PLACES = (60.0, 220.0, 320.0)


def _by_row(pdf: FPDF, rows: Sequence[Sequence[str]]) -> None:
    for number, row in enumerate(rows):
        for x, cell in zip(PLACES, row, strict=True):
            pdf.text(x, 200 + 16 * number, cell)


def _by_column(pdf: FPDF, rows: Sequence[Sequence[str]]) -> None:
    for at, x in enumerate(PLACES):
        column(pdf, x, 200, [row[at] for row in rows], 16)


def _bottom_up(pdf: FPDF, rows: Sequence[Sequence[str]]) -> None:
    for number in reversed(range(len(rows))):
        for x, cell in zip(PLACES, rows[number], strict=True):
            pdf.text(x, 200 + 16 * number, cell)


def _right_aligned(pdf: FPDF, rows: Sequence[Sequence[str]]) -> None:
    for number, row in enumerate(rows):
        for x, cell in zip(PLACES, row, strict=True):
            pdf.text(x if x < 100 else x + 50 - pdf.get_string_width(cell), 200 + 16 * number, cell)


def _of_fpdf(pdf: FPDF, rows: Sequence[Sequence[str]], borders: str) -> None:
    pdf.set_y(200)
    style = FontFace(emphasis="BOLD")
    with pdf.table(col_widths=(3, 1, 1), headings_style=style, borders_layout=borders, text_align="LEFT") as table:
        for row in rows:
            table.row(row)


Draw = Callable[[FPDF, Sequence[Sequence[str]]], None]
WAYS: dict[str, Draw] = {
    "drawn row by row": _by_row,
    "drawn column by column": _by_column,
    "drawn bottom-up": _bottom_up,
    "figures at the right": _right_aligned,
    "all borders": lambda pdf, rows: _of_fpdf(pdf, rows, "ALL"),
    "lines between rows": lambda pdf, rows: _of_fpdf(pdf, rows, "HORIZONTAL_LINES"),
    "a line below the header": lambda pdf, rows: _of_fpdf(pdf, rows, "SINGLE_TOP_LINE"),
    "no lines": lambda pdf, rows: _of_fpdf(pdf, rows, "NONE"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_table_is_read_as_rows_however_it_is_drawn(tmp_path: Path, way: str) -> None:
    page = read(tmp_path / "a.pdf", lambda pdf: WAYS[way](pdf, (HEAD, *ROWS)))

    assert lines_of(page) == [row_of(row) for row in (HEAD, *ROWS)]
    assert page.table_headers == (row_of(HEAD),)
    assert page.headings == ()


@pytest.mark.parametrize("way", WAYS)
def test_prose_around_a_table_stays_prose(tmp_path: Path, way: str) -> None:
    above = ["Fares are reviewed every spring by the board, which", "hears the passengers' council first."]
    below = ["Children under six ride free when an adult is with", "them. Refunds are given at the counter."]

    def draw(pdf: FPDF) -> None:
        column(pdf, 60, 150, above)
        WAYS[way](pdf, (HEAD, *ROWS))
        column(pdf, 60, 330, below)

    lines = lines_of(read(tmp_path / "a.pdf", draw))
    assert [line for line in lines if not is_row(line)] == [*above, *below]
    assert [line for line in lines if is_row(line)] == [row_of(row) for row in (HEAD, *ROWS)]


def test_a_wrapped_cell_is_joined_into_its_row(tmp_path: Path) -> None:
    rows = (
        ("Code", "Meaning", "What to do"),
        (
            "E1",
            "The tank holds no water",
            "Fill the tank with cold water up to the mark and push it in until it clicks",
        ),
        ("E2", "The boiler of the machine is far too hot to go on", "Wait"),
        ("E3", "Pump", "Open the valve for ten seconds and let all of the air out of it"),
    )
    for align in ("TOP", "MIDDLE", "BOTTOM"):

        def draw(pdf: FPDF, align: str = align) -> None:
            pdf.set_y(200)
            with pdf.table(
                text_align="LEFT", col_widths=(1, 3, 4), width=300, line_height=12, v_align=align, padding=2
            ) as table:
                for row in rows:
                    table.row(row)

        assert lines_of(read(tmp_path / "a.pdf", draw)) == [row_of(row) for row in rows]


def test_an_empty_cell_keeps_its_place(tmp_path: Path) -> None:
    rows = (
        HEAD,
        ("Single", "2.40", ""),
        ("Day", "", "8.90"),
        ("Week", "24.00", "31.50"),
        ("Month", "80.00", "99.00"),
    )
    page = read(tmp_path / "a.pdf", lambda pdf: _by_row(pdf, rows))
    assert lines_of(page) == [row_of(row) for row in rows]


def test_a_header_without_a_first_cell_keeps_its_place(tmp_path: Path) -> None:
    rows = (
        ("", "2024", "2025"),
        ("Revenue", "1,940", "2,310"),
        ("Costs", "1,702", "1,998"),
        ("Profit", "238", "312"),
    )
    page = read(tmp_path / "a.pdf", lambda pdf: _right_aligned(pdf, rows))
    assert lines_of(page)[0] == "| 2024 | 2025"
    assert page.table_headers == ("| 2024 | 2025",)


def test_years_in_a_column_are_its_values(tmp_path: Path) -> None:
    rows = (
        ("Boat", "Built", "Crew"),
        ("Heron", "2016", "eight"),
        ("Avocet", "2021", "four"),
        ("Dunlin", "2018", "two"),
    )
    page = read(tmp_path / "a.pdf", lambda pdf: _by_row(pdf, rows))
    assert lines_of(page) == [row_of(row) for row in rows]
    assert page.table_headers == ("Boat | Built | Crew",)


def _statement(pdf: FPDF) -> None:
    """As filings have it: currency, figure and unit apart, a label of two lines, a header of four."""
    pdf.set_font("Helvetica", "B", 8)
    pdf.text(230, 170, "Consolidated Statements of Income")
    pdf.text(412, 190, "Year Ended")
    for x, day, year in ((370, "December 30,", "2017"), (450, "December 31,", "2016")):
        pdf.text(x, 201, day)
        pdf.text(x + 14, 210, year)
    pdf.text(408, 222, "(In millions)")
    pdf.set_font("Helvetica", size=9)
    rows = (
        ("Net revenue", "$", "5,329", "", "$", "4,272", ""),
        ("Gross margin percentage", "", "34", "%", "", "23", "%"),
        ("Restructuring and other special charges that the board has decided on", "", "", "", "", "", ""),
        ("in the third quarter, net", "", "\x97".encode("latin-1").decode("cp1252"), "", "", "(10", ")"),
        ("Operating expenses:", "", "", "", "", "", ""),
        ("Licensing gain", "", "(52", ")", "", "(88", ")"),
        ("Net loss", "$", "(7", ")", "$", "(497", ")"),
    )
    pdf.core_fonts_encoding = "cp1252"
    for number, (label, *cells) in enumerate(rows):
        y = 236 + 12 * number
        pdf.text(40, y, label)
        for x, (currency, figure, end) in zip((370, 450), (cells[:3], cells[3:]), strict=True):
            pdf.text(x, y, currency)
            pdf.text(x + 50 - pdf.get_string_width(figure), y, figure)
            pdf.text(x + 50, y, end)


def test_a_statement_keeps_sign_unit_and_columns(tmp_path: Path) -> None:
    page = read(tmp_path / "a.pdf", _statement)
    assert lines_of(page) == [
        "Consolidated Statements of Income",
        "Year Ended (In millions) | December 30, 2017 | December 31, 2016",
        "Net revenue | $ 5,329 | $ 4,272",
        "Gross margin percentage | 34% | 23%",
        "Restructuring and other special charges that the board has decided on in the third quarter, net"
        " | \u2014 | (10)",
        "Operating expenses:",
        "Licensing gain | (52) | (88)",
        "Net loss | $ (7) | $ (497)",
    ]
    assert page.table_headers == ("Year Ended (In millions) | December 30, 2017 | December 31, 2016",)


def test_what_stands_over_some_columns_names_each(tmp_path: Path) -> None:
    places = (40.0, 200.0, 270.0, 360.0, 430.0)

    def draw(pdf: FPDF) -> None:
        pdf.text(235, 190, "Sales")
        pdf.text(395, 190, "Assets")
        rows = (
            ("", "2024", "2025", "2024", "2025"),
            ("Europe", "1,940", "2,310", "700", "710"),
            ("Asia", "1,702", "1,998", "640", "655"),
            ("Africa", "238", "312", "80", "95"),
        )
        for number, row in enumerate(rows):
            for x, cell in zip(places, row, strict=True):
                pdf.text(x, 204 + 14 * number, cell)

    page = read(tmp_path / "a.pdf", draw)
    assert lines_of(page) == [
        "| Sales 2024 | Sales 2025 | Assets 2024 | Assets 2025",
        "Europe | 1,940 | 2,310 | 700 | 710",
        "Asia | 1,702 | 1,998 | 640 | 655",
        "Africa | 238 | 312 | 80 | 95",
    ]


def test_two_tables_below_one_another_have_each_its_header(tmp_path: Path) -> None:
    def draw(pdf: FPDF) -> None:
        _by_row(pdf, (("", "2024", "2025"), *ROWS))
        for number, row in enumerate((("", "Share", "Rank"), ("Bus", "61 %", "1"), ("Tram", "39 %", "2"))):
            for x, cell in zip(PLACES, row, strict=True):
                pdf.text(x, 290 + 16 * number, cell)

    page = read(tmp_path / "a.pdf", draw)
    assert page.table_headers == ("| 2024 | 2025", "| Share | Rank")
    assert lines_of(page)[-2:] == ["Bus | 61 % | 1", "Tram | 39 % | 2"]


def test_the_mark_of_a_note_is_in_its_label_s_cell(tmp_path: Path) -> None:
    def draw(pdf: FPDF) -> None:
        _by_row(pdf, (HEAD, *ROWS))
        pdf.set_font("Helvetica", size=6)
        pdf.text(60 + 18, 200 + 32 - 4, "(1)")

    assert "Day (1) | 6.80 | 8.90" in lines_of(read(tmp_path / "a.pdf", draw))


def test_a_wrapped_cell_with_a_note_s_mark_is_no_header(tmp_path: Path) -> None:
    def draw(pdf: FPDF) -> None:
        rows = (
            ("Name", "Age", "Position"),
            ("Joaquin", "57", "Vice Chairman, Executive Committee"),
            ("Peter", "57", "Member, Executive Committee; Chief Human Resources"),
            ("", "", "Officer"),
            ("Alex", "59", "Chairman of the Board; Chairman, Executive Committee"),
            ("Ashley", "49", "Member, Executive Committee; Worldwide Chairman,"),
            ("", "", "Devices"),
        )
        for number, row in enumerate(rows):
            for x, cell in zip((60, 160, 220), row, strict=True):
                pdf.text(x, 200 + 13 * number, cell)
        pdf.set_font("Helvetica", size=6)
        pdf.text(220 + 35, 200 + 13 * 3 - 4, "(b)")
        pdf.text(220 + 38, 200 + 13 * 6 - 4, "(c)")

    page = read(tmp_path / "a.pdf", draw)
    assert page.table_headers == ("Name | Age | Position",)
    assert lines_of(page)[2] == "Peter | 57 | Member, Executive Committee; Chief Human Resources Officer (b)"
    assert lines_of(page)[4] == "Ashley | 49 | Member, Executive Committee; Worldwide Chairman, Devices (c)"


def test_a_page_that_is_shown_turned_is_read_as_it_is_shown(tmp_path: Path) -> None:
    """Drawn sideways on an upright page, which the page's own turn sets right."""
    import pypdfium2

    def draw(pdf: FPDF) -> None:
        with pdf.rotation(90, 300, 400):
            _by_row(pdf, (HEAD, *ROWS))

    read(tmp_path / "a.pdf", draw)
    document = pypdfium2.PdfDocument(tmp_path / "a.pdf")
    document[0].set_rotation(90)
    document.save(tmp_path / "b.pdf")
    from ingest.reading.pdf.document import PdfDocument

    page = PdfDocument((tmp_path / "b.pdf").read_bytes()).page(0)
    assert lines_of(page) == [row_of(row) for row in (HEAD, *ROWS)]
