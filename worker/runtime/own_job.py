"""The only jobs that are run: this service's own, told by their record before anything that it names is imported.

A record in Valkey is data that others may have written, and RQ does what it says: it imports and calls the function
and the callbacks that are named, unpacks what is packed, and posts to webhooks. That takes no pickle with code.
"""

from typing import Any, NoReturn

from rq.exceptions import DeserializationError
from rq.job import Job
from rq.utils import decode_redis_hash

from app.core.queue.packing import unpacked
from app.core.queue.records import KINDS
from app.core.serializer import PlainSerializer

FUNCTIONS: dict[str, frozenset[str]] = {
    queue: frozenset(kind.function for kind in KINDS.values() if kind.queue == queue)
    for queue in {kind.queue for kind in KINDS.values()}
}
"""What may be called for a job, by the queue that it stands on."""

COMMANDS = (
    *("success_callback_name", "failure_callback_name", "stopped_callback_name"),
    *("dependency_ids", "dependency_id", "repeats_left", "webhooks"),
)
"""Fields by which a record makes RQ do more than call the job's function. No job of ours has any of them."""


class NotOwnJobError(DeserializationError):
    """The record is not of a job of this service: it is not run."""


class OwnJob(Job):
    """A job that is run only when it is ours: for RQ's own workers `rq worker -j worker.OwnJob`, or RQ_JOB_CLASS.

    Reading the function or its arguments raises `NotOwnJobError`, which RQ reports as a job that cannot be read;
    what `COMMANDS` name is not there.
    """

    success_callback = None
    failure_callback = None
    stopped_callback = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.serializer = PlainSerializer
        self._commands: tuple[str, ...] = ()

    def restore(self, raw_data: Any) -> Any:
        """Overrides RQ: unpack no more than `UNPACKED_BYTES_MAX`, and leave out what makes RQ do more than call."""
        fields = decode_redis_hash(raw_data)
        self._commands = tuple(name for name in COMMANDS if fields.pop(name, b"") not in (b"", b"[]"))
        if "data" in fields:
            fields["data"] = unpacked(fields["data"])
        if fields.get("exc_info"):
            fields["exc_info"] = unpacked(fields["exc_info"])
        return super().restore(fields)

    def _deserialize_data(self) -> None:
        """Overrides RQ: read what is to be called, and refuse what is not ours."""
        super()._deserialize_data()  # type: ignore[no-untyped-call]
        self._check()

    def _check(self) -> None:
        function, instance, arguments, named = self._func_name, self._instance, self._args, self._kwargs
        if not isinstance(function, str) or function not in FUNCTIONS.get(self.origin, ()):
            self._refuse("the function is none of this queue's")
        if instance is not None or named != {} or self._commands:
            self._refuse("there is more than a function and its payload")
        if not isinstance(arguments, list | tuple) or len(arguments) != 1:  # which the job's own boundary checks
            self._refuse("there is not one payload")

    def _refuse(self, reason: str) -> NoReturn:
        self.data = self.data  # whoever reads it next is refused as well
        raise NotOwnJobError(reason)

    def check(self, queue: str) -> None:
        """Raise `NotOwnJobError`, or RQ's `DeserializationError`, unless this is one of the jobs of `queue`."""
        if self.origin != queue:
            self._refuse("the record is of another queue's job")
        self._deserialize_data()
