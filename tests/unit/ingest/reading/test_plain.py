"""A page's text, made plain."""

import time

import pytest

from ingest.reading.plain import clean


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("one\r\ntwo\rthree", "one\ntwo\nthree"),
        ("nul\x00 bell\x07 \ud800surrogate\x9f \ufeffmark", "nul bell surrogate mark"),
        ("e\u0301te\u0301", "été"),
        ("o\ufb03ce \ufb01nance", "office finance"),
        ("a   b\t\tc  \n\n\n\n\nd", "a b c\n\nd"),
        ("tabs\tstay apart", "tabs stay apart"),
        ("東京は日本の首都です。 שלום عالم 😀", "東京は日本の首都です。 שלום عالم 😀"),
    ],
)
def test_text_is_made_plain(raw: str, plain: str) -> None:
    assert clean(raw) == plain


@pytest.mark.parametrize(
    ("raw", "mended"),
    [
        ("The informa-\ntion. All information.", "The information. All information."),
        ("The Informa\x02tion. All information.", "The Information. All information."),
        ("a long-\nterm plan", "a long-term plan"),
        ("coal\x02fired plants", "coal-fired plants"),
        ("10-\r\nK", "10-K"),
        ("soft\u00adware, soft\u00ad\nware", "software, software"),
        ("[x] yes -\n[ ] no", "[x] yes -\n[ ] no"),
        ("at the end \x02", "at the end -"),
    ],
)
def test_a_broken_word_keeps_its_hyphen_unless_the_page_knows_the_whole_word(raw: str, mended: str) -> None:
    assert clean(raw) == mended


@pytest.mark.parametrize(
    "text", ["x" * 1_000_000, "a\x02" * 500_000, "-\n" * 500_000, " " * 1_000_000, "a-" * 500_000, "\n \n" * 300_000]
)
def test_cleaning_takes_linear_time(text: str) -> None:
    began = time.perf_counter()
    clean(text)
    assert time.perf_counter() - began < 10  # quadratic: hours
