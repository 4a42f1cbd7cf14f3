"""A finished job's event log in one string, from which each event comes back as it was: its number, data and time.

A job that runs has its events in a stream, to which they are added one by one. To those of a finished one nothing is
added any more, and what came word by word is one text: the string takes a sixth of the stream's memory. It is JSON,
compressed: an array of runs, each its type and time, then its data. Pieces of text in a row are one run: the time of
the first, the text, and how many characters each piece had. See docs/decisions/finished-jobs.md.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.core.events import MAX_EVENTS, EventType, encode

PACKED_BYTES_MAX = 256 << 10
"""Of a string; the longest answers have 40 kB."""
PLAIN_BYTES_MAX = 1 << 20
"""Of what is in it: a few bytes can hold gigabytes. A log of more stays a stream."""
FAST = 1
"""zlib's level: more takes longer and saves little."""

_TYPES = {event_type.value: event_type for event_type in EventType}


@dataclass(slots=True)
class Run:
    """One event, or pieces of text in a row. `at` is the first's time, in milliseconds since 1970."""

    type: EventType
    at: int
    data: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    lengths: Sequence[int] = ()
    """How many characters each piece of `text` has."""

    @property
    def count(self) -> int:
        """How many events it is."""
        return len(self.lengths) if self.type is EventType.DELTA else 1

    def each(self) -> Iterator[bytes]:
        """The data of each of its events."""
        if self.type is not EventType.DELTA:
            yield encode(self.data)
            return
        start = 0
        for length in self.lengths:
            yield encode({"text": self.text[start : start + length]})
            start += length


Told = tuple[EventType, bytes | str, int]
"""An event that is to be packed: its type, its data, which of a piece of text is the text alone, and its time."""


def pack(events: Sequence[Told]) -> bytes | None:
    """A log's events from number 1 on; None when that is too long to be packed."""
    if len(events) > MAX_EVENTS:
        return None
    runs: list[list[Any]] = []
    pieces: list[str] = []
    for event_type, data, at in events:
        if isinstance(data, str):
            if not pieces:
                runs.append([EventType.DELTA, at])
            pieces.append(data)
            continue
        if pieces:
            runs[-1] += ["".join(pieces), list(map(len, pieces))]
            pieces = []
        runs.append([event_type, at, orjson.Fragment(data)])
    if pieces:
        runs[-1] += ["".join(pieces), list(map(len, pieces))]
    plain = orjson.dumps(runs)
    packed = zlib.compress(plain, FAST) if len(plain) <= PLAIN_BYTES_MAX else b""
    return packed if 0 < len(packed) <= PACKED_BYTES_MAX else None


def unpack(packed: object) -> list[Run]:
    """The runs in a string that was read from Valkey, which may be anything; none when it is no log of ours."""
    if not isinstance(packed, bytes) or len(packed) > PACKED_BYTES_MAX:
        return []
    try:
        plain = zlib.decompressobj().decompress(packed, PLAIN_BYTES_MAX)
        found = orjson.loads(plain)
        if not isinstance(found, list) or len(found) > MAX_EVENTS:
            return []
        runs = [_run(*parts) for parts in found]
    except (zlib.error, ValueError, TypeError):
        return []
    return runs if sum(run.count for run in runs) <= MAX_EVENTS else []


def _run(name: str, at: int, data: Any, lengths: Sequence[int] | None = None) -> Run:
    """Raises `ValueError` or `TypeError` for what is no run."""
    event_type = _TYPES[name] if isinstance(name, str) and name in _TYPES else None
    if event_type is None or not isinstance(at, int):
        raise ValueError("no event")
    if event_type is not EventType.DELTA:
        if not isinstance(data, dict) or lengths is not None:
            raise ValueError("no data of an event")
        return Run(event_type, at, data)
    if not (isinstance(data, str) and isinstance(lengths, list)) or not all(
        type(length) is int and length >= 0 for length in lengths
    ):
        raise TypeError("no text")
    if sum(lengths) != len(data):
        raise ValueError("the pieces are not the text")
    return Run(event_type, at, text=data, lengths=lengths)
