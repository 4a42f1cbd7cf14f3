"""The header `traceparent`, read strictly: clients send it, and it stands in records that others may have written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.tracing.traceparent import Place, read

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PLACE = Place(int(TRACE, 16), int(SPAN, 16), 1)


def test_a_place_is_read_and_written_as_the_specification_has_it() -> None:
    assert read(f"00-{TRACE}-{SPAN}-01") == PLACE
    assert str(PLACE) == f"00-{TRACE}-{SPAN}-01"
    assert str(Place(1, 2, 0)) == f"00-{'0' * 31}1-{'0' * 15}2-00"


def test_of_the_flags_those_that_are_known_count() -> None:
    assert read(f"00-{TRACE}-{SPAN}-ff") == PLACE._replace(flags=3)
    assert read(f"00-{TRACE}-{SPAN}-fc") == PLACE._replace(flags=0)


def test_of_a_later_version_the_first_fields_count() -> None:
    assert read(f"01-{TRACE}-{SPAN}-01") == PLACE
    assert read(f"cc-{TRACE}-{SPAN}-01-what-will-be") == PLACE
    assert read(f"cc-{TRACE}-{SPAN}-01.what-will-be") is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        b"00",
        ["00"],
        {"trace": TRACE},
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\n",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE[:-1]}\u0663-{SPAN}-01",
        f"01-{TRACE}-{SPAN}-01-{'x' * 1_000}",
    ],
)
def test_anything_else_is_no_place(value: object) -> None:
    assert read(value) is None


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 3))
def test_what_is_written_is_read(trace_id: int, span_id: int, flags: int) -> None:
    place = Place(trace_id, span_id, flags)
    assert read(str(place)) == place


@given(st.text(max_size=300))
def test_no_text_is_too_much(text: str) -> None:
    found = read(text)
    assert found is None or found.trace_id
