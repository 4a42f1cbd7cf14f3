"""A question's kept answer, as the worker that has the question sees it: looked for before, kept after.

What is kept saves work and is never needed: without Valkey's word the question is answered as if nothing were kept.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Protocol

from redis.exceptions import RedisError
from rq.job import Job

from app.core.contract import AnswerJob, AnswerResult
from app.core.logging import get_logger
from app.core.queue.answers import (
    KEEP,
    LOOK,
    NOTE,
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


class Wording(Protocol):
    """A question that may have been asked in other words (`worker.retrieval.semantic_cache`)."""

    vector: Sequence[float] | None

    def find(self, version: bytes) -> str | None:
        """The hash under which the answer to another wording is said to be kept."""

    def keep(self, version: bytes, mark: str) -> None:
        """From now on, other wordings find the answer that is kept under `mark`."""

    def forget(self) -> None:
        """What was found is not kept any more."""

    def is_also(self, question: str) -> bool:
        """Whether `question` is another wording of this one."""


class KeptAnswer:
    """The answer that is kept of `job`, whose record is `record`. Without a record nothing is kept.

    `worded` gives the question as it is known to the semantic cache, None where there is none. `looked_ms` is how
    long that was asked. Without `is_shared` it neither waits for others that ask the same nor lets them wait; without
    `keeps` it is looked for alone.
    """

    def __init__(
        self,
        record: Job | None,
        job: AnswerJob,
        settings: Settings,
        worded: Callable[[AnswerJob], Wording | None] = lambda _: None,
        *,
        is_shared: bool = True,
        keeps: bool = True,
    ) -> None:
        self._record = record if is_kept(job, settings) else None
        self._job = job
        self._settings = settings
        self._is_shared = is_shared
        self._keeps = keeps
        self._version: bytes | None = None
        self._waiting: Waiting | None = None
        self._wording: Wording | None = None
        self.found: AnswerResult | None = None
        self.looked_ms = 0.0
        if self._record is not None:
            self._wording = worded(job)
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
        if self._version is None or self._job.cache != "use" or self.found is not None:
            yield
        elif not self._is_shared or not isinstance(record, TakenJob):
            self.found = self._find_reworded()
            yield
        else:
            self._waiting = Waiting(record.connection, record, self._job.tenant, self._mark, self._version)
            with self._waiting.leading(seconds=2 * self._settings.job_timeout_seconds) as body:
                self.found = unpacked(self._mark, body) or self._find_reworded()
                yield

    def vector_of(self, question: str) -> Sequence[float] | None:
        """The question's vector, if it was made: none is made twice."""
        return self._wording.vector if self._wording is not None and question == self._job.query else None

    def made(self, result: AnswerResult) -> None:
        """Keep the answer, unless its collection has changed or is being changed; and give it to those that wait."""
        if self._keeps:
            self._keep(result)
        if self._waiting is not None:
            self._waiting.share(given_again(result), self._mark, seconds=self._settings.result_ttl_seconds)

    def _find(self) -> AnswerResult | None:
        if self._record is None:
            return None
        try:
            body = self._look()
        except RedisError as error:  # Valkey is away, or holds what is none of ours
            log.warning("kept_answer_not_read", reason=type(error).__name__)
            return None
        if self._job.cache != "use":
            return None
        found = unpacked(self._mark, body)
        measures().cache("exact", is_hit=found is not None)
        if found is not None:
            self._note(self._mark)
        return found

    def _find_reworded(self) -> AnswerResult | None:
        """The answer that is kept of the question in other words, which those that wait for this one get too."""
        if self._wording is None or self._version is None:
            return None
        began, found = perf_counter(), None
        if (mark := self._wording.find(self._version)) is not None:
            found = self._read_reworded(self._wording, mark)
            if found is None:
                self._wording.forget()
        self.looked_ms = (perf_counter() - began) * 1000
        measures().cache("semantic", is_hit=found is not None)
        if found is not None and mark is not None:
            self._note(mark)
            if self._waiting is not None:
                self._waiting.share(found, mark, seconds=self._settings.result_ttl_seconds)
        return found

    def _read_reworded(self, wording: Wording, mark: str) -> AnswerResult | None:
        """The answer that is said to be kept under `mark`, if its question differs from this one in words alone."""
        assert self._record is not None
        try:
            _, *bodies = self._record.connection.eval(
                LOOK, 4, *self._versions, answers_prefix(self._job.tenant) + mark
            )
        except RedisError as error:
            log.warning("kept_answer_not_read", reason=type(error).__name__)
            return None
        found = unpacked(mark, bodies[0], "semantic") if bodies else None
        if found is None or (question := found.cached_question) is None or not wording.is_also(question):
            return None
        asked = self._job.model_copy(update={"query": question})
        return found if fingerprint(asked, self._settings) == mark else None

    def _note(self, mark: str) -> None:
        """Have the kept answer go with the job that was given it, when that is deleted."""
        assert self._record is not None
        try:
            self._record.connection.eval(NOTE, 1, self._record.key, mark)
        except RedisError as error:
            log.warning("kept_answer_not_noted", reason=type(error).__name__)

    def _keep(self, result: AnswerResult) -> None:
        if (
            self._record is None
            or self._version is None
            or (body := packed(self._mark, result, self._job.query)) is None
        ):
            return
        keys = (*self._versions, self._key, answers_key(self._job.tenant), self._record.key)
        seconds, where = self._settings.answer_cache_ttl_seconds, answers_prefix(self._job.tenant)
        try:
            is_kept_now = self._record.connection.eval(
                KEEP, len(keys), *keys, self._version, body, self._record.id, seconds, self._mark, where
            )
        except RedisError as error:  # its memory may be full
            log.warning("answer_not_kept", reason=type(error).__name__)
            return
        if is_kept_now and self._wording is not None:
            self._wording.keep(self._version, self._mark)

    def _look(self) -> object:
        assert self._record is not None
        connection: Any = self._record.connection
        keys = (*self._versions, self._key)
        answer = connection.eval(LOOK, len(keys), *keys)
        if answer == [b""]:
            connection.eval(MAKE, 2, *self._versions[:2])
            answer = connection.eval(LOOK, len(keys), *keys)
        self._version = answer[0] if answer and answer[0] else None
        return answer[1] if len(answer) > 1 else None
