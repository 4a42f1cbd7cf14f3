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
    ("raw", "plain"),
    [
        ("The informa-\ntion. All information.", "The informa-\ntion. All information."),
        ("The informa\x02tion", "The informa-\ntion"),
        ("the ware\ufffehouse", "the ware-\nhouse"),
        ("a long-\nterm plan", "a long-\nterm plan"),
        ("10-\r\nK", "10-\nK"),
        ("soft\u00adware, soft\u00ad\nware", "software, soft-\nware"),
        ("[x] yes -\n[ ] no", "[x] yes -\n[ ] no"),
        ("at the end \x02", "at the end -"),
    ],
)
def test_a_broken_word_keeps_its_hyphen_and_the_line_s_end(raw: str, plain: str) -> None:
    assert clean(raw) == plain


@pytest.mark.parametrize(
    "text", ["x" * 1_000_000, "a\x02" * 500_000, "-\n" * 500_000, " " * 1_000_000, "a-" * 500_000, "\n \n" * 300_000]
)
def test_cleaning_takes_linear_time(text: str) -> None:
    began = time.perf_counter()
    clean(text)
    assert time.perf_counter() - began < 10  # quadratic: hours
