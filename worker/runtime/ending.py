"""How a job ends: whatever RQ writes of it, in one step, and only if it has not ended meanwhile.

What RQ would send to Valkey is recorded in a pipeline that is never executed; `scripts.IF_STARTED` runs it.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Any

from redis import Redis
from redis.client import Pipeline
from redis.commands.core import Script
from rq.defaults import DEFAULT_RESULT_TTL
from rq.job import Job

from app.core.events import MAX_EVENTS, log_key
from app.core.queue.outbox import OPEN, OUTBOX
from app.core.queue.scripts import RUN
from worker.runtime import scripts
from worker.runtime.event_writer import NOTHING, Unwritten


class Outcome(IntEnum):
    """What became of the attempt to end a job."""

    ENDED_ELSEWHERE = 0
    WRITTEN = 1
    WRITTEN_AND_AWAITED = 2
    """Other jobs wait for this one's end: call `Queue.enqueue_dependents`."""


class Endings:
    """Writes the ends of jobs, also when Valkey's memory is full. Raises redis-py's errors when it is unavailable."""

    def __init__(self, connection: Redis) -> None:
        self._connection = connection
        self._if_started: Script = connection.register_script(scripts.IF_STARTED)

    def recorded(self, *steps: Callable[[Pipeline], None]) -> list[Any]:
        """The commands that `steps` put into a pipeline, each behind its length."""
        with self._connection.pipeline() as pipeline:
            for step in steps:
                step(pipeline)
            return [part for command, _ in pipeline.command_stack for part in (len(command), *command)]

    def run(self, *steps: Callable[[Pipeline], None], pipeline: Pipeline | None = None) -> None:
        """Carry out in one step what `steps` put into a pipeline; as a part of `pipeline`, if it is given."""
        client = self._connection if pipeline is None else pipeline
        client.eval(RUN, 0, *self.recorded(*steps))

    def write(
        self,
        job_id: str,
        commands: list[Any],
        *,
        worker: str = "",
        events: Unwritten = NOTHING,
        packed: bytes = b"",
        is_over: bool = True,
        keep_seconds: int,
    ) -> Outcome:
        """Run `commands`, after the `events` that `worker` has left unwritten.

        With `is_over` the job's log ends and is kept for `keep_seconds`, as `packed` when that is given, and the job
        stands in the outbox. When the
        job had ended already, or was not running, nothing is written.
        """
        first, count, *said = events.arguments()
        keep = keep_seconds if keep_seconds > 0 else DEFAULT_RESULT_TTL
        arguments: list[Any] = [
            worker,
            MAX_EVENTS,
            keep,
            first,
            count,
            int(is_over),
            job_id,
            packed,
            *said,
            *commands,
        ]
        keys = [Job.key_for(job_id), log_key(job_id), Job.dependents_key_for(job_id), OPEN, OUTBOX]
        return Outcome(self._if_started(keys=keys, args=arguments))
