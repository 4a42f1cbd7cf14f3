"""An attempt at a job as a step of the trace that the job's record names."""

from typing import TYPE_CHECKING

import structlog
from rq.job import Job

from app.core.errors import ConfigurationError
from app.core.logging import get_logger
from app.core.queue.records import TRACEPARENT
from app.core.tracing import process
from app.core.tracing.process import tracing
from app.core.tracing.traces import NO_SPAN, NoTraces
from worker.runtime.intake import TakenJob
from worker.runtime.own_job import FUNCTIONS

if TYPE_CHECKING:
    from app.core.tracing.traces import Traces

log = get_logger(__name__)


class Attempt:
    """Begins the step of `record`'s attempt, in this thread, and binds the trace's id for the log; `end` ends it."""

    def __init__(self, record: Job | None) -> None:
        self._is_stock = record is not None and not isinstance(record, TakenJob)
        self._traces = _of_stock_worker() if self._is_stock else tracing()
        self._span = NO_SPAN
        if record is None or not self._traces.is_on:
            return
        meta = record.meta if isinstance(record.meta, dict) else {}
        queue = record.origin if record.origin in FUNCTIONS else "other"
        self._span = self._traces.process(queue, record.id, meta.get(TRACEPARENT))
        self._span.__enter__()
        structlog.contextvars.bind_contextvars(trace_id=self._traces.trace_id())

    def failed(self, reason: str) -> None:
        """It has failed, for a reason of `Failure`'s."""
        self._span.failed(reason)

    def end(self) -> None:
        """It is over, however it went."""
        self._span.__exit__(None, None, None)
        if self._is_stock:
            self._traces.flush()  # the process was forked for this job, and ends without a word


def _of_stock_worker() -> "Traces":
    """RQ's own worker tells nobody of its start, and forks for each job: so each job begins its traces."""
    try:
        return process.start(process.WORKER)
    except ConfigurationError as error:
        log.warning("not_traced", reason=str(error))
        return NoTraces()
