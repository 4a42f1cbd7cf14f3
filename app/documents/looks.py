"""Looks at pages: a job that somebody waits for. This process reads no document itself."""

import hashlib
from contextlib import nullcontext

from app.core.contract import JobStatus, PageJob, PageResult
from app.core.errors import ErrorCode, Limit
from app.core.queue.producer import Enqueued, Idempotency, JobQueue
from app.core.queue.records import JobView
from app.jobs.places import Places
from app.jobs.waiters import Waiters

UNREADABLE = ErrorCode.DOCUMENT_UNREADABLE
OWNER = "\0pages"
"""Of the keys under which equal looks are one job; no client's."""


class PageNotFoundError(Exception):
    """The document has no such page. `pages` is how many it has; 0: not known."""

    def __init__(self, pages: int = 0) -> None:
        super().__init__(f"{pages} pages")
        self.pages = pages


class OtherVersionError(Exception):
    """The document has other bytes than those of the version in the address."""


class NoPictureError(Exception):
    """The page is words alone."""


class PageUnreadableError(Exception):
    """The page's file cannot be read, or reading or drawing it takes too long."""


class PagePendingError(Exception):
    """The page is still being read and drawn."""


class PageNotDrawnError(Exception):
    """The look did not come to an end, for no fault of the page's. It may be tried again."""


class Looks:
    """Has pages looked at by a worker. Methods raise what `JobQueue.submit` does."""

    def __init__(self, queue: JobQueue, waiters: Waiters, places: Places) -> None:
        self._queue = queue
        self._waiters = waiters
        self._places = places

    async def look(
        self, job: PageJob, *, key: str, seconds: int, weight: int = 1, is_anew: bool = False
    ) -> PageResult:
        """What there is to see, for which the client of this key waits so long; its picture is in the store then.

        Who asks the same at the same time, or a moment later, is given the same job, unless it is to be done anew.
        Raises this module's errors, and `LimitReachedError` when the client may not wait.
        """
        with self._places.held(Limit.WAITS, key) if seconds else nullcontext():
            taken, view = await self._taken(job, weight, None if is_anew else Idempotency(OWNER, _name(job)))
            if taken.is_replay and _is_worth_another(view):
                taken, view = await self._taken(job, weight)
            view = await self._waiters.wait_for_end(view, seconds, tenant=job.tenant)
        return _result(view, job)

    async def _taken(
        self, job: PageJob, weight: int, idempotency: Idempotency | None = None
    ) -> tuple[Enqueued, JobView]:
        taken = await self._queue.submit(job, idempotency=idempotency, weight=weight)
        return taken, await self._queue.view(taken.job_id, tenant=job.tenant)


def _name(job: PageJob) -> str:
    """Equal for equal looks of one tenant."""
    return hashlib.sha256(job.model_dump_json(exclude={"request_id"}).encode()).hexdigest()


def _is_worth_another(view: JobView) -> bool:
    """Whether a look that another client asked for came to nothing, for no fault of the page's."""
    is_told = view.status is JobStatus.FINISHED or (view.error is not None and view.error.code is UNREADABLE)
    return view.status.is_terminal and not is_told


def _result(view: JobView, job: PageJob) -> PageResult:
    if not view.status.is_terminal:
        raise PagePendingError
    if view.error is not None and view.error.code is UNREADABLE:
        raise PageUnreadableError
    if not isinstance(view.result, PageResult) or view.result.page != job.page:
        raise PageNotDrawnError
    if job.page > view.result.pages:
        raise PageNotFoundError(view.result.pages)
    return view.result
