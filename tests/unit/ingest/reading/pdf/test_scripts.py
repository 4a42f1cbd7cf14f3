"""Raised and lowered figures as plain text has them."""

import pytest

from ingest.reading.pdf.scripts import written


@pytest.mark.parametrize(
    ("text", "levels", "plain"),
    [
        ("4122", "bbbr", "412²"),
        ("412,2", "bbbbr", "412,²"),
        ("2024.2", "bbbbbr", "2024.²"),
        ("4121,2", "bbbrrr", "412¹,²"),
        ("412(1)", "bbbrrr", "412⁽¹⁾"),
        ("12024", "rbbbb", "¹2024"),
        ("revenue3", "bbbbbbbr", "revenue³"),
        ("412a", "bbbr", "412ᵃ"),
        ("4122)", "bbbrb", "412²)"),
        ("106", "bbr", "10^6"),
        ("x106", "bbbr", "x10^6"),
        ("10-6", "bbrr", "10^-6"),
        ("10\u22126", "bbrr", "10^-6"),
        ("101.5", "bbrrr", "10^1.5"),
        ("4106", "bbbr", "410⁶"),
        ("1106", "bbbr", "110⁶"),
        ("232", "brr", "2³²"),
        ("5-1", "brr", "5^-1"),
        ("1,250m2", "bbbbbbr", "1,250m²"),
        ("s-1", "brr", "s⁻¹"),
        ("H2O", "blb", "H₂O"),
        ("C6H12O6", "blbllbl", "C₆H₁₂O₆"),
        ("log10", "bbbll", "log₁₀"),
        ("x12", "blr", "x₁²"),
        ("1st", "brr", "1st"),
        ("22nd", "bbrr", "22nd"),
        ("1er", "brr", "1er"),
        ("19e", "bbr", "19e"),
        ("365TM", "bbbrr", "365™"),
        ("1/2", "rbl", "1/2"),
        ("1\u20442", "rbl", "1/2"),
        ("1/2", "rrl", "1/2"),
        ("1/2", "rss", "1/2"),
        ("21/2", "brbl", "2 1/2"),
        ("212", "brl", "2 1/2"),
        ("21/2", "brbs", "2 1/2"),
        ("235U", "rrrb", "²³⁵U"),
        ("23592U", "rrrllb", "²³⁵₉₂U"),
        ("\u00a3999", "bbrr", "\u00a39.99"),
        ("$1,29950", "bbbbbbrr", "$1,299⁵⁰"),
        ("\u00a341212", "bbbbrr", "\u00a3412¹²"),
        ("999", "brr", "9⁹⁹"),
        ("412*", "bbbr", "412*"),
        ("412\u2020", "bbbr", "412\u2020"),
        ("2024", "bsss", "2024"),
        ("4122", "bbbb", "4122"),
    ],
)
def test_a_word_is_written_as_people_read_it(text: str, levels: str, plain: str) -> None:
    assert written(text, levels) == plain
