"""Server-sent events as a client reads them (HTML standard, 9.2.6)."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event."""

    id: int
    event: str
    data: dict[str, Any]


def events_of(lines: Iterable[str]) -> Iterator[ServerSentEvent]:
    """The events that the lines hold; comments and `retry` are left out."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line:
            if "data" in fields:
                yield ServerSentEvent(int(fields["id"]), fields["event"], json.loads(fields["data"]))
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
