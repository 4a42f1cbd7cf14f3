"""What a search may be narrowed by, and the conditions of a Qdrant filter that come of it. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from app.core.contract import DOCUMENT_IDS_MAX, Label
from worker.vectors import METADATA

Filename = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Page = Annotated[int, Field(ge=1, le=2**31)]
Condition = dict[str, Any]


class SearchFilters(BaseModel):
    """What a search may be narrowed by; all that is given must hold. Nothing else reaches a filter of Qdrant's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    document_ids: tuple[Label, ...] | None = Field(None, min_length=1, max_length=DOCUMENT_IDS_MAX)
    filenames: tuple[Filename, ...] | None = Field(None, min_length=1, max_length=DOCUMENT_IDS_MAX)
    page_from: Page | None = None
    page_to: Page | None = None
    ingested_from: AwareDatetime | None = None
    ingested_to: AwareDatetime | None = None

    @property
    def chooses_documents(self) -> bool:
        """Whether the search is confined to documents that are named here."""
        return self.document_ids is not None or self.filenames is not None

    def conditions(self) -> list[Condition]:
        """The conditions of a Qdrant filter; a chunk that goes over a page's end is on both pages."""
        tests: list[Condition | None] = [
            any_of("document_id", self.document_ids) if self.document_ids else None,
            any_of("filename", self.filenames) if self.filenames else None,
            _range("last_page", gte=self.page_from),
            _range("page", lte=self.page_to),
            _range("ingested_at", gte=_iso(self.ingested_from), lte=_iso(self.ingested_to)),
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
