"""The job of the pages' queue: a look at one page of a stored file, for somebody who waits for it.

The page is read and drawn by a child under limits, as for the index; its picture is kept beside the file, so that the
next look at it is a file's reading. What a quote is marked by is found anew each time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.core.contract import MarkBox, PageJob, PageResult
from app.core.documents.files import DocumentStore, open_store
from ingest.failures import failure_of_document
from ingest.reading.child import Sight
from ingest.reading.looker import Looker
from ingest.reading.page_look import Wish
from ingest.reading.reasons import FileError, Reason
from worker.resources import Process, shared
from worker.runtime.boundary import boundary
from worker.runtime.measures import measures
from worker.runtime.retries import Backoff

BACKOFF = Backoff(base_seconds=1.0, max_seconds=1.0)
"""Somebody waits. What a retry cannot help, a page that takes too long above all, has none."""


@dataclass(frozen=True, slots=True)
class Looking:
    """What looks share in a worker process: the store of files, and the child that reads and draws."""

    store: DocumentStore
    looker: Looker

    def close(self) -> None:
        """End the child; jobs must have ended."""
        self.looker.__exit__(None, None, None)


def open_looking(process: Process) -> Looking:
    """Make them. Opens nothing yet. Raises `ConfigurationError` when there is no such store."""
    return Looking(open_store(process.settings), Looker())


def prepare() -> None:
    """Open what this module's jobs share. Raises as `open_looking` does."""
    shared(open_looking)


def show_page(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Look at the page of the `PageJob` in `payload`; returns a `PageResult` as plain data.

    Its picture is in the store then, if it has one. Raises `JobFailedError` when the file cannot be read, or the page
    takes too long; the job's metadata then holds the code.
    """
    with boundary("page", payload, backoff=BACKOFF, classify=failure_of_document):
        job = PageJob.model_validate(payload)
        looking = shared(open_looking)
        is_drawn = looking.store.has_picture(job.tenant, job.sha256, job.page, job.width)
        measures().cache("pictures", is_hit=is_drawn)
        with looking.store.local_path(job.tenant, job.sha256) as path:
            sight, picture = looking.looker.look(path, job.filename, _wish(job, is_drawn=is_drawn))
        if sight.sha256 != job.sha256:  # the store's file was damaged
            raise FileError(Reason.CHANGED)
        if picture is not None:
            looking.store.put_picture(job.tenant, job.sha256, job.page, job.width, picture)
        return _result(job, sight).model_dump(mode="json")


def _wish(job: PageJob, *, is_drawn: bool) -> Wish:
    runs_over = job.last_page is not None and job.last_page == job.page + 1
    return Wish(job.page - 1, job.quote or "", runs_over, 0 if is_drawn else job.width)


def _result(job: PageJob, sight: Sight) -> PageResult:
    told = PageResult(page=job.page, pages=sight.pages, page_label=sight.label, words=sight.words, span=sight.span)
    if sight.seen is None:
        return told
    seen = sight.seen
    return told.model_copy(
        update={
            "width": seen.width,
            "height": seen.height,
            "has_picture": True,
            "boxes": tuple(map(_rounded, seen.boxes)),
            "next_boxes": tuple(map(_rounded, seen.next_boxes)),
        }
    )


def _rounded(box: MarkBox) -> MarkBox:
    x, y, width, height = (round(number, 2) for number in box)
    return x, y, width, height
