"""A question's kept answer, as the worker that has the question sees it: looked for before, kept after.

What is kept saves work and is never needed: without Valkey's word the question is answered as if nothing were kept.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis.exceptions import RedisError
from rq.job import Job

from app.core.contract import AnswerJob, AnswerResult
from app.core.logging import get_logger
from app.core.queue.answers import (
    KEEP,
    LOOK,
    answers_key,
    answers_prefix,
    fingerprint,
    given_again,
    is_kept,
    packed,
    unpacked,
)
from app.core.queue.versions import MAKE, version_keys
from app.core.settings import Settings
from worker.runtime.intake import TakenJob
from worker.runtime.measures import measures
from worker.runtime.sharing import Waiting

log = get_logger(__name__)


class KeptAnswer:
    """The answer that is kept of `job`, whose record is `record`. Without a record nothing is kept."""

    def __init__(self, record: Job | None, job: AnswerJob, settings: Settings) -> None:
        self._record = record if is_kept(job, settings) else None
        self._job = job
        self._settings = settings
        self._version: bytes | None = None
        self._waiting: Waiting | None = None
        self.found: AnswerResult | None = None
        if self._record is not None:
            self._mark = fingerprint(job, settings)
            self._versions = version_keys(job.tenant, job.collection)
            self._key = answers_prefix(job.tenant) + self._mark

    @contextmanager
    def making(self) -> Iterator[None]:
        """Around the making of the answer. On entry `found` is the answer that may be given again, if there is one.

        Raises `WaitError` when another job makes it now. RQ's own worker makes each: it can put nothing aside.
        """
        self.found = self._find()
        record = self._record
        is_shared = self._version is not None and self._job.cache == "use" and self.found is None
        if not is_shared or not isinstance(record, TakenJob) or self._version is None:
            yield
            return
        self._waiting = Waiting(record.connection, record, self._job.tenant, self._mark, self._version)
        with self._waiting.leading(seconds=2 * self._settings.job_timeout_seconds) as body:
            self.found = unpacked(self._mark, body)
            yield

    def made(self, result: AnswerResult) -> None:
        """Keep the answer, unless its collection has changed or is being changed; and give it to those that wait."""
        self._keep(result)
        if self._waiting is not None:
            self._waiting.share(given_again(result), seconds=self._settings.result_ttl_seconds)

    def _find(self) -> AnswerResult | None:
        if self._record is None:
            return None
        try:
            body = self._look(self._record.connection)
        except RedisError as error:  # Valkey is away, or holds what is none of ours
            log.warning("kept_answer_not_read", reason=type(error).__name__)
            return None
        if self._job.cache != "use":
            return None
        found = unpacked(self._mark, body)
        measures().cache("exact", is_hit=found is not None)
        return found

    def _keep(self, result: AnswerResult) -> None:
        if self._record is None or self._version is None or (body := packed(self._mark, result)) is None:
            return
        keys = (*self._versions, self._key, answers_key(self._job.tenant), self._record.key)
        seconds, where = self._settings.answer_cache_ttl_seconds, answers_prefix(self._job.tenant)
        try:
            self._record.connection.eval(
                KEEP, len(keys), *keys, self._version, body, self._record.id, seconds, self._mark, where
            )
        except RedisError as error:  # its memory may be full
            log.warning("answer_not_kept", reason=type(error).__name__)

    def _look(self, connection: Any) -> object:
        keys = (*self._versions, self._key)
        answer = connection.eval(LOOK, len(keys), *keys)
        if answer == [b""]:
            connection.eval(MAKE, 2, *self._versions[:2])
            answer = connection.eval(LOOK, len(keys), *keys)
        self._version = answer[0] if answer and answer[0] else None
        return answer[1] if len(answer) > 1 else None
