"""The conditions of a Qdrant filter that come of a search's filters. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.core.contract import SearchFilters
from worker.vectors import METADATA

Condition = dict[str, Any]


def conditions_of(filters: SearchFilters) -> list[Condition]:
    """One for each thing that is asked for; a chunk that goes over a page's end is on both pages."""
    tests: list[Condition | None] = [
        any_of("document_id", filters.document_ids) if filters.document_ids else None,
        any_of("filename", filters.filenames) if filters.filenames else None,
        _range("last_page", gte=filters.page_from),
        _range("page", lte=filters.page_to),
        _range("ingested_at", gte=_iso(filters.ingested_from), lte=_iso(filters.ingested_to)),
    ]
    return [test for test in tests if test is not None]


def equals(field: str, value: str) -> Condition:
    """The condition that a field has a value."""
    return {"key": f"{METADATA}.{field}", "match": {"value": value}}


def any_of(field: str, values: Sequence[str]) -> Condition:
    """The condition that a field has one of some values."""
    return {"key": f"{METADATA}.{field}", "match": {"any": values}}


def _range(field: str, **bounds: int | str | None) -> Condition | None:
    given = {name: bound for name, bound in bounds.items() if bound is not None}
    return {"key": f"{METADATA}.{field}", "range": given} if given else None


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
