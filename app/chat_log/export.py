"""Rows as CSV and as JSON lines."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from app.chat_log.entries import Entry

MEDIA_TYPES: Mapping[str, str] = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}
"""By the name of the format. JSON lines have no registered type; most programs say this."""
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What makes a cell a formula in a spreadsheet (OWASP, "CSV Injection")."""
COLUMNS = [field.name for field in fields(Entry)]


def csv_head() -> str:
    """The line with the columns' names."""
    return _csv([COLUMNS])


def csv_lines(entries: Sequence[Entry]) -> str:
    """A line each (RFC 4180); citations are JSON in their cell."""
    return _csv([[_cell(value) for value in _plain(entry).values()] for entry in entries])


def json_lines(entries: Sequence[Entry]) -> str:
    """A JSON object each, on a line of its own."""
    return "".join(json.dumps(_plain(entry), ensure_ascii=False) + "\n" for entry in entries)


def _csv(rows: Sequence[Sequence[str]]) -> str:
    made = io.StringIO(newline="")
    csv.writer(made).writerows(rows)
    return made.getvalue()


def _plain(entry: Entry) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(entry).items()
    }


def _cell(value: Any) -> str:
    """A value as text that no spreadsheet calculates. A number of ours is never negative."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
