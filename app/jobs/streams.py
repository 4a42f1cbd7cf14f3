"""A job's events as server-sent events: replayed from any number, then followed live, each of them once.

Framing: https://html.spec.whatwg.org/multipage/server-sent-events.html (HTML standard). An event's `id` is
its sequence number. The last event is made from the job's record, the one place that says what became of it.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.core.contract import JobStatus
from app.core.event_log import Event, end_number, read_log
from app.core.events import EventType
from app.core.logging import get_logger
from app.core.queue.connections import VALKEY_UNAVAILABLE
from app.core.queue.producer import JobNotFoundError, JobQueue
from app.core.queue.records import JobView, Result
from app.jobs.waiters import Waiters

PING_SECONDS = 15.0
RETRY_MILLISECONDS = 1000
"""What a browser is told to wait before it connects again."""
CANCEL_AGAIN_SECONDS = 0.1
NOT_BEGUN = -1
"""The number before that of the first event, `job.queued`, which is 0."""

PING = b": ping\n\n"
_LAST = {
    JobStatus.FINISHED: "answer.completed",
    JobStatus.FAILED: "job.failed",
    JobStatus.STOPPED: "job.stopped",
}

log = get_logger(__name__)


Shown = Callable[[Result | None], Result | None]
"""How a result is shown to whoever follows the job: with links of their own."""


def _as_it_is(result: Result | None) -> Result | None:
    return result


def frame(number: int, name: str, data: bytes) -> bytes:
    """One event. `data` is one line."""
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (number, name.encode(), data)


class JobEvents:
    """The events of one job for one client. `events` gives them after number `after`."""

    def __init__(self, waiters: Waiters, queue: JobQueue, *, job_id: str, tenant: str) -> None:
        self._waiters = waiters
        self._queue = queue
        self._job_id = job_id
        self._tenant = tenant

    async def end(self) -> int:
        """The number of the last event, of a job that has ended."""
        return await end_number(self._waiters.valkey, self._job_id)

    async def batches(self, after: int) -> AsyncGenerator[list[Event] | JobView | None, None]:
        """Events as they come, several at once when several came; None when nothing came for a while.

        A job's view comes last, when it has ended; without it, this process ends, or the job was removed.
        """
        async with self._waiters.attach(self._job_id) as attachment:
            last = max(after, 0)
            while not self._waiters.is_closing:
                if attachment.has_gap or attachment.has_ended:
                    attachment.clear()
                    try:
                        view = await self._queue.view(self._job_id, tenant=self._tenant)
                        while (page := await read_log(self._waiters.valkey, self._job_id, after=last)).last:
                            last = page.last
                            yield page.events
                    except VALKEY_UNAVAILABLE as error:
                        log.warning("valkey_unavailable", during="stream", reason=type(error).__name__)
                        await asyncio.sleep(RETRY_MILLISECONDS / 1000)
                        attachment.has_gap = True
                        continue
                    if view.status.is_terminal:
                        yield view
                        return
                if not await attachment.wait(PING_SECONDS):
                    yield None
                elif fresh := [event for event in attachment.take() if event.n > last]:
                    if fresh[-1].n - last != len(fresh):
                        attachment.has_gap = True
                        continue
                    last = fresh[-1].n
                    yield fresh

    async def frames(self, view: JobView, after: int, *, shown: Shown = _as_it_is) -> AsyncGenerator[bytes, None]:
        """The events after number `after`, framed. The last is what became of the job, its result as `shown`."""
        yield b"retry: %d\n\n" % RETRY_MILLISECONDS
        if after == NOT_BEGUN:
            yield frame(0, "job.queued", orjson.dumps({"job_id": self._job_id, "position": view.position}))
        async with aclosing(self.batches(after)) as batches:
            async for batch in batches:
                if batch is None:
                    yield PING
                elif isinstance(batch, JobView):
                    number = await self.end()
                    if number > after:
                        yield frame(number, _LAST[batch.status], _ending(batch, shown(batch.result)))
                elif framed := _shown(batch):
                    yield framed


def _shown(events: Iterable[Event]) -> bytes:
    return b"".join(
        frame(event.n, event.type.value, event.data) for event in events if event.type is not EventType.ENDED
    )


def _ending(view: JobView, result: Result | None) -> bytes:
    body: dict[str, Any] = {"job_id": view.job_id, "status": view.status.value}
    if result is not None:
        body["result"] = result.model_dump(mode="json")
    if view.error is not None:
        body["error"] = view.error.model_dump(mode="json")
    return orjson.dumps(body)


class EventStream(Response):
    """A response that goes on until its frames end or its client leaves, which `on_left` is told."""

    media_type = "text/event-stream"

    def __init__(
        self,
        frames: AsyncGenerator[bytes, None],
        headers: Mapping[str, str] | None = None,
        *,
        on_left: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no", **(headers or {})})
        del self.headers["content-length"]
        self._frames = frames
        self._on_left = on_left
        self._has_left = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the frames. A client that leaves ends this, and what `on_left` ends."""
        sending = asyncio.current_task()
        assert sending is not None
        leaving = asyncio.create_task(self._end_when_left(receive, sending))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async for part in self._frames:
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except asyncio.CancelledError:
            if not self._has_left:
                raise
            leaving.cancel()
            while sending.cancelling():
                sending.uncancel()
            if self._on_left is not None:
                await self._on_left()
        except JobNotFoundError:  # it was removed; who asks again hears so
            await send({"type": "http.response.body", "body": b""})
        finally:
            leaving.cancel()
            await self._frames.aclose()

    async def _end_when_left(self, receive: Receive, sending: asyncio.Task[Any]) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._has_left = True
        while True:  # until it is heard: Python 3.11 loses a cancellation in `asyncio.wait_for` now and then
            sending.cancel()
            await asyncio.sleep(CANCEL_AGAIN_SECONDS)
