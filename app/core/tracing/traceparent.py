"""Where in a trace something belongs, as text: the header `traceparent` of W3C's Trace Context.

It comes from clients and stands in jobs' records, so what is read is checked; what is not of this form is no place.
https://www.w3.org/TR/trace-context-2/#traceparent-header
"""

import re
from typing import NamedTuple

FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
CHARACTERS_MAX = 256
"""A version to come may be longer than ours, which has 55."""
FORBIDDEN_VERSION = "ff"
SAMPLED, RANDOM = 1, 2
KNOWN_FLAGS = SAMPLED | RANDOM


class Place(NamedTuple):
    """A span of a trace, neither id being 0. `flags` are those of `KNOWN_FLAGS`."""

    trace_id: int
    span_id: int
    flags: int

    def __str__(self) -> str:
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{self.flags:02x}"


def read(value: object) -> Place | None:
    """The place that `value` names; None for whatever is no `traceparent`.

    Of a later version its first four fields count, as the specification has it.
    """
    if not isinstance(value, str) or len(value) > CHARACTERS_MAX:
        return None
    found = FORM.fullmatch(value)
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == FORBIDDEN_VERSION or (version == "00" and more is not None):
        return None
    place = Place(int(trace_id, 16), int(span_id, 16), int(flags, 16) & KNOWN_FLAGS)
    return place if place.trace_id and place.span_id else None
