"""A worker that a test plays itself: it takes jobs, writes events and ends jobs when the test says so."""

from collections.abc import Sequence
from typing import Any

from redis import Redis
from rq.job import Job
from rq.job import JobStatus as RqStatus

from app.core.contract import AnswerJob, AnswerResult, Citation, SearchResult, TaskJob, Timings, Usage
from app.core.errors import ErrorCode
from app.core.events import APPEND, EventType, encode, log_key
from app.core.serializer import PlainSerializer
from tests.support.processes import wait_until

QUEUE_KEY = "rq:queue:rag_queries"


def answer(text: str, *, pages: Sequence[int] = (), **more: Any) -> AnswerResult:
    """An answer whose mark [n] cites the nth of `pages` of a handbook."""
    citations = tuple(
        Citation(
            n=n,
            document_id="d1",
            filename="handbook.pdf",
            page=page,
            quote="The harbour opens at six.",
            score=1.0,
            url=f"/documents/d1/file#page={page}",
        )
        for n, page in enumerate(pages, start=1)
    )
    given = {"mode": "model", "grounded": bool(citations), "model": "test", "usage": Usage()} | more
    timings = Timings(queued=1, retrieval=2, generation=3, total=6)
    return AnswerResult(answer=text, citations=citations, timings_ms=timings, **given)


class ActingWorker:
    """Plays the worker on the questions' queue of `valkey`."""

    def __init__(self, valkey: Redis) -> None:
        self.valkey = valkey

    def take(self) -> str:
        """The next question's job, as soon as there is one."""

        def next_job() -> bytes | None:
            found: Any = self.valkey.lpop(QUEUE_KEY)
            return found if isinstance(found, bytes) else None

        return wait_until(next_job, "a question waits").decode()

    def payload(self, job_id: str) -> AnswerJob:
        """What the job asks."""
        return AnswerJob.model_validate(self._job(job_id).args[0])

    def task(self, job_id: str) -> TaskJob:
        """The job, which is a chat client's task."""
        return TaskJob.model_validate(self._job(job_id).args[0])

    def wait_for_client(self, job_id: str, count: int = 1) -> None:
        """Return when `count` API processes follow the job."""
        wait_until(lambda: self.valkey.pubsub_numsub(log_key(job_id))[0][1] == count, "a client follows the job")

    def start(self, job_id: str, attempt: int = 1) -> None:
        """The job runs."""
        self.valkey.hset(Job.key_for(job_id), "status", RqStatus.STARTED.value)
        self.append(job_id, EventType.STARTED, attempt=attempt)

    def append(self, job_id: str, event: EventType, **data: Any) -> None:
        """One event."""
        self.valkey.eval(APPEND, 1, log_key(job_id), event.value, encode(data), 4096, 60)

    def say(self, job_id: str, *pieces: str) -> None:
        """Pieces of the answer."""
        for piece in pieces:
            self.append(job_id, EventType.DELTA, text=piece)

    def finish(self, job_id: str, result: AnswerResult | SearchResult) -> None:
        """The job has its answer."""
        job = self._job(job_id)
        with self.valkey.pipeline() as pipeline:
            job._result = result.model_dump(mode="json")
            job._handle_success(60, pipeline)
            pipeline.execute()
        self.append(job_id, EventType.ENDED)

    def fail(self, job_id: str, code: ErrorCode) -> None:
        """The job has failed for good."""
        job = self._job(job_id)
        meta = PlainSerializer.dumps(job.meta | {"error": code.value})
        self.valkey.hset(Job.key_for(job_id), mapping={"status": RqStatus.FAILED.value, "meta": meta})
        self.append(job_id, EventType.ENDED)

    def stop(self, job_id: str) -> None:
        """The running job was stopped."""
        self.valkey.hset(Job.key_for(job_id), "status", RqStatus.STOPPED.value)
        self.append(job_id, EventType.ENDED)

    def _job(self, job_id: str) -> Job:
        return Job.fetch(job_id, connection=self.valkey, serializer=PlainSerializer)
