"""A question's kept answer, as the worker that has the question sees it: looked for before, kept after.

What is kept saves work and is never needed: without Valkey's word the question is answered as if nothing were kept.
"""

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
    is_kept,
    packed,
    unpacked,
)
from app.core.queue.versions import MAKE, version_keys
from app.core.settings import Settings
from worker.runtime.measures import measures

log = get_logger(__name__)


class KeptAnswer:
    """The answer that is kept of `job`, whose record is `record`. Without a record nothing is kept."""

    def __init__(self, record: Job | None, job: AnswerJob, settings: Settings) -> None:
        self._record = record if is_kept(job, settings) else None
        self._job = job
        self._seconds = settings.answer_cache_ttl_seconds
        self._version: bytes | None = None
        if self._record is not None:
            self._mark = fingerprint(job, settings)
            self._versions = version_keys(job.tenant, job.collection)
            self._key = answers_prefix(job.tenant) + self._mark

    def find(self) -> AnswerResult | None:
        """The answer, if there is one that may be given again."""
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

    def keep(self, result: AnswerResult) -> None:
        """Keep the answer, unless its collection has changed since `find` or is being changed."""
        if self._record is None or not self._version or (body := packed(self._mark, result)) is None:
            return
        keys = (*self._versions, self._key, answers_key(self._job.tenant), self._record.key)
        arguments = (
            self._version,
            body,
            self._record.id,
            self._seconds,
            self._mark,
            answers_prefix(self._job.tenant),
        )
        try:
            self._record.connection.eval(KEEP, len(keys), *keys, *arguments)
        except RedisError as error:  # its memory may be full
            log.warning("answer_not_kept", reason=type(error).__name__)

    def _look(self, connection: Any) -> object:
        keys = (*self._versions, self._key)
        answer = connection.eval(LOOK, len(keys), *keys)
        if answer == [b""]:
            connection.eval(MAKE, 2, *self._versions[:2])
            answer = connection.eval(LOOK, len(keys), *keys)
        self._version = answer[0] if answer else None
        return answer[1] if len(answer) > 1 else None
