"""Numbers and dates by their format codes: right values as Excel shows them."""

from datetime import datetime, timedelta

import pytest

from ingest.reading.office.number_formats import shown_number, shown_text

MARCH_1 = 45717


def _day(serial: float) -> datetime:
    return datetime(1899, 12, 30) + timedelta(days=serial)


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        (7, "General", "7"),
        (4012345678901, "General", "4012345678901"),
        (0.1 + 0.2, "General", "0.3"),
        (3, 'General" kg"', "3 kg"),
        (2.5, "0", "3"),
        (1234.5, "#,##0.00", "1,234.50"),
        (1234567, "#,##0", "1,234,567"),
        (-1234, "#,##0", "-1,234"),
        (-1234, "#,##0;(#,##0)", "(1,234)"),
        (-1234, "#,##0_);[Red](#,##0)", "(1,234)"),
        (-12, "$#,##0;[Red]-$#,##0", "-$12"),
        (0, '#,##0;(#,##0);"-"', "-"),
        (0.256, "0%", "26%"),
        (0.285, "0%", "29%"),
        (0.2565, "0.0%", "25.7%"),
        (1800, "[$€-407] #,##0", "€ 1,800"),
        (1800, '"£"#,##0.00', "£1,800.00"),
        (1234.5, '_-* #,##0.00\\ "€"_-;-* #,##0.00\\ "€"_-', "1,234.50 €"),
        (1234567, '0.0,,"M"', "1.2M"),
        (1500, '[>=1000]#,##0,"K";0', "2K"),
        (500, '[>=1000]#,##0,"K";0', "500"),
        (42, "00000", "00042"),
        (5551234, "000-0000", "555-1234"),
        (0.5, "0.##", "0.5"),
        (12.25, "# ??/??", "12 1/4"),
        (12345.678, "0.00E+00", "1.23E+04"),
        (5, ";;;", ""),
        (12, "@", "12"),
        (MARCH_1, "yyyy-mm-dd", "2025-03-01"),
        (MARCH_1, "[$-409]mmmm d, yyyy;@", "March 1, 2025"),
        (MARCH_1, "ddd dd.mm.yy", "Sat 01.03.25"),
        (MARCH_1 + 0.75, "d mmm yyyy h:mm AM/PM", "1 Mar 2025 6:00 PM"),
        (MARCH_1 + 0.5, "hh:mm:ss", "12:00:00"),
        (1.5, "[h]:mm", "36:00"),
    ],
)
def test_a_number_is_shown_by_its_format(value: float, code: str, shown: str) -> None:
    assert shown_number(value, code, _day) == shown


@pytest.mark.parametrize(
    "code", ["[", '"', "\\", "0" * 5_000, ";" * 5_000, "yyyy" * 900, "[>=", "#,#,#,.,.0", "/", "?/?"]
)
@pytest.mark.parametrize("value", [0, -1, 1e300, 1e-300, 10**308, 0.1])
def test_no_code_and_no_number_brings_it_down(code: str, value: float) -> None:
    shown_number(value, code, _day)


def test_words_are_hidden_by_a_code_whose_fourth_section_is_empty() -> None:
    assert shown_text("words", ";;;") == ""
    assert shown_text("words", "0;-0;0;@") == "words"
    assert shown_text("words", "#,##0") == "words"
