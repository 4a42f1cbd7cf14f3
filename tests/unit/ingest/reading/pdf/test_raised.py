"""Figures that a page raises or lowers do not join the number or word that they stand behind."""

from pathlib import Path

import pytest

from ingest.reading.pdf.document import PdfDocument
from tests.support import pdfs

Part = tuple[str, float, float]
"""Words, their size and how far up they stand, in points."""
SIZE = 12.0


def up(text: str, *, size: float = 7, rise: float = 4.5) -> Part:
    return text, size, rise


def down(text: str) -> Part:
    return text, 7, -2


def drawn(x: float, y: float, parts: tuple[str | Part, ...]) -> bytes:
    """A line of parts, drawn as word processors do: one object a part, raised by the text's rise."""
    content = f"BT 1 0 0 1 {x} {y} Tm "
    for part in parts:
        text, size, rise = (part, SIZE, 0.0) if isinstance(part, str) else part
        escaped = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
        content += f"/F {size} Tf {rise} Ts ({escaped}) Tj "
    return f"{content} ET ".encode("cp1252")


def text_of(tmp_path: Path, *lines: tuple[str | Part, ...], before: bytes = b"") -> str:
    content = b"".join(drawn(50, 700 - 20 * number, line) for number, line in enumerate(lines))
    page = PdfDocument(pdfs.raw_page_pdf(tmp_path / "a.pdf", before + content).read_bytes()).page(0)
    return page.text or ""


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (("Sales rose to 412", up("2"), " million euro in 2024."), "Sales rose to 412² million euro in 2024."),
        (("Sales rose to 412", up("2", rise=3, size=9)), "Sales rose to 412²"),
        (("Sales rose to 412", up("2", size=SIZE)), "Sales rose to 412²"),
        (("Sales rose to 412", up("12"), " million"), "Sales rose to 412¹² million"),
        (("Sales of 2024.", up("3"), " They rose"), "Sales of 2024.³ They rose"),
        (("The revenue", up("3"), " rose"), "The revenue³ rose"),
        ((up("1"), "2024 and later"), "¹2024 and later"),
        ((up("1"), " Restated for 2024 and 412"), "¹ Restated for 2024 and 412"),
        (("In all ", up("1"), "412 and 1,250", up("a"), " of them"), "In all ¹412 and 1,250ᵃ of them"),
        (("It is 20", up("o"), "C in room 12"), "It is 20°C in room 12"),
        (("leaves at 10", up("30"), " and 8", up("45")), "leaves at 10³⁰ and 8⁴⁵"),
        (("12 boats of 412", up("2")), "12 boats of 412²"),
        (("a sample of 3 x 10", up("6"), " cells"), "a sample of 3 x 10^6 cells"),
        (("a sample of 3 x 10", up("-6"), " g"), "a sample of 3 x 10^-6 g"),
        (("a hall of 1,250 m", up("2"), " of floor"), "a hall of 1,250 m² of floor"),
        (("Water is H", down("2"), "O and boils"), "Water is H₂O and boils"),
        (("the 4", up("th"), " of July"), "the 4th of July"),
        (("on 2", up("nd"), " May 2024"), "on 2nd May 2024"),
        (("a price of \xa39", up("99"), " each"), "a price of \xa39.99 each"),
        (("takes 2", up("1"), "/", down("2"), " hours"), "takes 2 1/2 hours"),
        (("Plain 4122 and 1,250 and 2024"), "Plain 4122 and 1,250 and 2024"),
    ],
)
def test_a_line_is_read_as_people_read_it(tmp_path: Path, parts: tuple[str | Part, ...], text: str) -> None:
    line = parts if isinstance(parts, tuple) else (parts,)
    assert text_of(tmp_path, line, ("Another line of the page.",)) == f"{text}\nAnother line of the page."


def test_raised_figures_in_a_table_stand_apart_in_every_row(tmp_path: Path) -> None:
    rows = [(f"Year {year} ", str(year), up("1")) for year in range(2000, 2010)]
    lines = text_of(tmp_path, *rows).split("\n")
    assert [line.split()[-1] for line in lines if line] == [f"{year}¹" for year in range(2000, 2010)]


def test_a_raised_mark_on_a_line_of_its_own_goes_back_to_its_number(tmp_path: Path) -> None:
    apart = drawn(50, 700, ("Sales rose to 412",)) + drawn(144, 704, (up("2", rise=0),))
    assert "412²" in text_of(tmp_path, before=apart + drawn(151, 700, ("million euro",)))


def test_numbers_of_a_scan_that_is_not_straight_stay_whole(tmp_path: Path) -> None:
    slanted = (
        b"BT /F 12 Tf 0.9986 0.0523 -0.0523 0.9986 50 500 Tm (In 2024 there were 1,250,000 and 4122 of 10) Tj ET "
    )
    assert "In 2024 there were 1,250,000 and 4122 of 10" in text_of(tmp_path, before=slanted)


@pytest.mark.parametrize("matrix", ["0 1 -1 0 300 100", "-1 0 0 -1 500 500", "0 -1 1 0 300 600"])
def test_numbers_that_run_upwards_or_upside_down_stay_whole(tmp_path: Path, matrix: str) -> None:
    turned = f"BT /F 12 Tf {matrix} Tm (In 2024 there were 1,250 and 4122) Tj ET ".encode()
    assert "In 2024 there were 1,250 and 4122" in text_of(tmp_path, before=turned)


def test_a_large_initial_raises_nothing(tmp_path: Path) -> None:
    assert "024 was a good year" in text_of(tmp_path, (("2", 40.0, -24.0), "024 was a good year"), ("and so on",))


def test_letters_of_another_size_stay_in_their_word(tmp_path: Path) -> None:
    small_capitals = ("N", ("ATO", 9.0, 0.0), " in 1999 and ", ("42", 9.0, 0.0), " more")
    assert text_of(tmp_path, small_capitals) == "NATO in 1999 and 42 more"
