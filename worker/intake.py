"""Where the workers of one process get their jobs: one of them waits at the queue, for all.

An idle process then costs Valkey one command a second. Under load, each wait for the network is also a wait for
the interpreter's lock, so the one at the queue takes as many jobs in one round trip as there are workers waiting.
"""

import threading
from collections import deque

from rq import Queue
from rq.exceptions import DequeueTimeout
from rq.job import Job

from app.core import scripts
from app.core.logging import get_logger
from app.core.queue import VALKEY_AWAY
from worker.budget import Budget

POP_SECONDS = 1
"""How long one wait at the queue lasts: what a stop has to wait for at most."""
BUDGET_SECONDS = 0.05
"""How often to ask whether the budget has room again."""
BATCH_MAX = 32
RETRY_SECONDS_MIN = 0.1
RETRY_SECONDS_MAX = 2.0

log = get_logger(__name__)


class Intake:
    """Takes jobs off `queue` for the workers of this process, as far as `budget` goes, until `stopping`."""

    def __init__(self, queue: Queue, budget: Budget, stopping: threading.Event) -> None:
        self._queue = queue
        self._connection = queue.connection
        self._budget = budget
        self._stopping = stopping
        self._turn = threading.Lock()
        self._waiting: set[str] = set()
        self._taken: deque[str] = deque()

    def take(self, holder: str, *, is_burst: bool) -> str | None:
        """The id of the next job, for the worker `holder`; it stands in RQ's intermediate list until it is claimed.

        None when told to stop, and in a burst when the queue is empty.
        """
        self._waiting.add(holder)
        with self._turn:
            self._waiting.discard(holder)
            wait = RETRY_SECONDS_MIN
            while not self._stopping.is_set():
                try:
                    if self._taken:
                        return self._taken.popleft()
                    if not self._budget.acquire(holder):
                        self._stopping.wait(BUDGET_SECONDS)
                    elif (job_id := self._pop(is_burst)) is None:
                        self._budget.release(holder)
                        if is_burst:
                            return None
                    elif self._budget.spend_request():
                        return job_id
                    else:  # another process has spent the last one
                        self._return(job_id)
                        self._budget.release(holder)
                    wait = RETRY_SECONDS_MIN
                except VALKEY_AWAY as error:
                    log.warning("valkey_away", during="take", reason=type(error).__name__, retry_in_seconds=wait)
                    self._stopping.wait(wait)
                    wait = min(2 * wait, RETRY_SECONDS_MAX)
            self._return_taken()
            return None

    def _pop(self, is_burst: bool) -> str | None:
        """Wait for a job, and take more at once when others wait too and no budget counts them one by one."""
        try:
            found = Queue.lmove(self._connection, self._queue.key, None if is_burst else POP_SECONDS)
        except DequeueTimeout:
            return None
        if found is None:
            return None
        if self._waiting and not self._budget.is_limited:
            with self._connection.pipeline(transaction=False) as pipeline:
                for _ in range(min(len(self._waiting), BATCH_MAX)):
                    pipeline.lmove(self._queue.key, self._queue.intermediate_queue_key)
                self._taken.extend(job_id.decode() for job_id in pipeline.execute() if job_id is not None)
        popped: bytes = found[1]
        return popped.decode()

    def _return_taken(self) -> None:
        while self._taken:
            try:
                self._return(self._taken.pop())  # the last first, so that each stands before the next
            except VALKEY_AWAY as error:  # they stand in the intermediate list, and come back
                log.warning("valkey_away", during="return", reason=type(error).__name__)
                self._taken.clear()

    def _return(self, job_id: str) -> None:
        """Give back a job that nobody has claimed, to its place."""
        keys = (self._queue.intermediate_queue_key, Job.key_for(job_id), self._queue.key)
        self._connection.eval(scripts.RETURN_UNSTARTED, len(keys), *keys, job_id)
