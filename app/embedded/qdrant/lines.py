"""The log of the embedded Qdrant: static event names with fields. `app.core.logging` would start too slowly here."""

import json
import logging
import sys
from datetime import UTC, datetime

from app.core.tracebacks import quiet_traceback

FIELDS = ("collection", "task", "exit_code", "reason", "count")
"""What a line may have beside its event, by `extra`."""
REASON_CHARACTERS_MAX = 200


class Lines(logging.Formatter):
    """A JSON object for each line, or, on a terminal, words for people."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """Overrides logging: the event, its fields, and where an error came from, without what the error says."""
        fields = {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        error = record.exc_info[1] if record.exc_info else None
        trace = quiet_traceback(error) if error is not None else None
        if not self._as_json:
            said = " ".join([record.getMessage(), *(f"{name}={value}" for name, value in fields.items())])
            return f"qdrant: {record.levelname}: {said}" + (f"\n{trace}" if trace else "")
        about = {"level": record.levelname.lower(), "logger": record.name}
        moment = {"timestamp": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")}
        shown = {"exception": trace} if trace else {}
        return json.dumps({**fields, "event": record.getMessage(), **about, **moment, **shown})


def reason_of(said: str) -> str:
    """The first line of what Edge says of a failure: which, and where in it; nothing of what it was given."""
    return said.strip().partition("\n")[0][:REASON_CHARACTERS_MAX]


def write_lines() -> None:
    """Send this process's log to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines(as_json=not sys.stderr.isatty()))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
