"""Clients that wait for a job: one subscription to Valkey serves all those of this process.

A client attaches to a job; its channel is subscribed to while any client is attached. Messages carry the events
themselves, so that following a job costs nothing beyond the message. Whoever attaches reads the job's log first,
and again when a message is missing: numbers have no gaps, so that a gap is seen.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.core.event_log import Event, from_message
from app.core.events import EventType, log_key
from app.core.logging import get_logger
from app.core.queue.connections import COMMAND_TIMEOUT_SECONDS, VALKEY_UNAVAILABLE
from app.core.queue.pipelined import dedicated_connection, end
from app.core.queue.producer import JobQueue
from app.core.queue.records import JobView

RECHECK_SECONDS = 5.0
"""How often the records of the jobs that clients wait for are looked at: stock workers write no end to the log."""
RECHECK_BATCH = 500
PING_SECONDS = 10.0
SILENCE_SECONDS = 25.0
"""A subscription that did not even answer a ping for so long is made anew."""
RECONNECT_SECONDS_MIN = 0.1
RECONNECT_SECONDS_MAX = 2.0
PENDING_MAX = 256
"""Events held for a client that reads slowly; beyond, it reads the log when it is ready."""

log = get_logger(__name__)


class Attachment:
    """One client's view of a job as it goes on."""

    def __init__(self, job_id: str, *, is_for_end: bool = False) -> None:
        self.job_id = job_id
        self.is_for_end = is_for_end
        self.has_ended = False
        """The job is said to have ended: time to read its record."""
        self.has_gap = True
        """Events may have been missed: time to read the log."""
        self._pending: deque[Event] = deque()
        self._wake = asyncio.Event()

    async def wait(self, seconds: float | None = None) -> bool:
        """Wait until there is something to see; False when nothing came in `seconds`."""
        if not self._wake.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self._wake.wait()
            except TimeoutError:
                return False
        self._wake.clear()
        return True

    def clear(self) -> None:
        """Forget what was told: the caller is about to read what is."""
        self._pending.clear()
        self._wake.clear()
        self.has_ended = self.has_gap = False

    def take(self) -> list[Event]:
        """The events that came since the last call."""
        events = list(self._pending)
        self._pending.clear()
        return events

    def tell(self, event: Event) -> None:
        """An event came; who waits for the end alone is not woken by others."""
        if event.type is EventType.ENDED:
            self.has_ended = True
        elif self.is_for_end:
            return
        if len(self._pending) >= PENDING_MAX:
            self._pending.clear()
            self.has_gap = True
        self._pending.append(event)
        self._wake.set()

    def tell_gap(self) -> None:
        """Events may have been missed."""
        self.has_gap = True
        self._wake.set()

    def tell_end(self) -> None:
        """The record says that the job has ended, or this process does."""
        self.has_ended = True
        self._wake.set()


class Waiters:
    """All clients of this process that wait. They hear nothing before `start`."""

    def __init__(self, valkey: "AsyncRedis", queue: JobQueue) -> None:
        self.valkey = valkey
        self._queue = queue
        self._by_channel: dict[bytes, set[Attachment]] = {}
        self._subscribed: dict[bytes, asyncio.Future[None]] = {}
        self._connection: AbstractConnection | None = None
        self._sending = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self.is_closing = False

    @asynccontextmanager
    async def attach(self, job_id: str, *, is_for_end: bool = False) -> AsyncIterator[Attachment]:
        """Follow the job: every event from now on reaches the attachment, or it is told of the gap.

        With `is_for_end` it is told of the end alone. Raises one of `VALKEY_UNAVAILABLE` without a subscription.
        """
        attachment = Attachment(job_id, is_for_end=is_for_end)
        channel = log_key(job_id).encode()
        others = self._by_channel.setdefault(channel, set())
        others.add(attachment)
        try:
            await self._subscribe(channel)
            attachment.has_gap = True
            yield attachment
        finally:
            others.discard(attachment)
            if not others and self._by_channel.get(channel) is others:
                del self._by_channel[channel]
                self._subscribed.pop(channel, None)
                with suppress(RedisError, OSError):  # a lost connection forgets all its subscriptions
                    await self._send("UNSUBSCRIBE", channel)

    async def wait_for_end(self, view: JobView, seconds: float, *, tenant: str) -> JobView:
        """The job once it has ended, or as it is after `seconds`. Raises as `JobQueue.view` does."""
        if view.status.is_terminal or seconds <= 0:
            return view
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self.attach(view.job_id, is_for_end=True) as attachment:
                while not self.is_closing:
                    attachment.clear()
                    view = await self._queue.view(view.job_id, tenant=tenant)
                    if view.status.is_terminal:
                        break
                    await attachment.wait()
        return view if view.status.is_terminal else await self._queue.view(view.job_id, tenant=tenant)

    def streams(self) -> int:
        """How many clients follow a job event by event. From any thread."""
        return self._count(is_for_end=False)

    def waits(self) -> int:
        """How many clients wait for a job's end. From any thread."""
        return self._count(is_for_end=True)

    def _count(self, *, is_for_end: bool) -> int:
        """Copies each collection whole, which no other thread sees the middle of."""
        groups = [list(group) for group in list(self._by_channel.values())]
        return sum(attachment.is_for_end is is_for_end for group in groups for attachment in group)

    def close(self) -> None:
        """Let every client go: this process ends. They come back to another, and miss nothing."""
        self.is_closing = True
        for attachment in self._all():
            attachment.tell_end()

    def start(self) -> None:
        """Begin to listen; a lost subscription is made anew."""
        lives = (self._listen_forever(), self._recheck_forever(), self._ping_forever())
        self._tasks = [asyncio.create_task(life) for life in lives]

    async def aclose(self) -> None:
        """Let every client go, and end what `start` began."""
        self.close()
        await end(*self._tasks)

    def _all(self) -> Iterable[Attachment]:
        return [attachment for group in self._by_channel.values() for attachment in group]

    async def _subscribe(self, channel: bytes) -> None:
        """Return when Valkey has confirmed the subscription, whoever asked for it."""
        subscribed = self._subscribed.get(channel)
        if subscribed is None:
            subscribed = self._subscribed[channel] = asyncio.get_running_loop().create_future()
            with suppress(RedisError, OSError):  # the reader sees it too, and subscribes again
                await self._send("SUBSCRIBE", channel)
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_SECONDS):
                await asyncio.shield(subscribed)
        except TimeoutError as error:
            raise RedisTimeoutError("Valkey did not confirm a subscription") from error

    async def _send(self, *command: bytes | str) -> None:
        async with self._sending:
            if self._connection is not None:
                await self._connection.send_command(*command)

    async def _listen_forever(self) -> None:
        wait = RECONNECT_SECONDS_MIN
        while True:
            try:
                connection = dedicated_connection(self.valkey)
                await connection.connect()  # type: ignore[no-untyped-call]
                try:
                    self._connection = connection
                    if channels := list(self._by_channel):
                        await self._send("SUBSCRIBE", *channels)
                    wait = RECONNECT_SECONDS_MIN
                    while True:
                        message = await connection.read_response(timeout=SILENCE_SECONDS, disconnect_on_error=False)
                        if message is None:
                            raise RedisTimeoutError("not even a ping is answered")
                        self._hear(message)
                finally:
                    self._connection = None
                    with suppress(RedisError, OSError):  # one that is lost need not say farewell
                        await connection.disconnect()
            except (*VALKEY_UNAVAILABLE, OSError) as error:
                log.warning("valkey_unavailable", during="listen", reason=type(error).__name__, retry_in_seconds=wait)
                for attachment in self._all():
                    attachment.tell_gap()
                await asyncio.sleep(wait)
                wait = min(2 * wait, RECONNECT_SECONDS_MAX)

    def _hear(self, message: Any) -> None:
        match message:
            case [b"message", bytes(channel), bytes(text)]:
                event = from_message(text)
                for attachment in self._by_channel.get(channel, ()):
                    if event is not None:
                        attachment.tell(event)
            case [b"subscribe", bytes(channel), _]:
                future = self._subscribed.get(channel)
                if future is not None and not future.done():
                    future.set_result(None)
                for attachment in self._by_channel.get(channel, ()):
                    attachment.tell_gap()

    async def _ping_forever(self) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            with suppress(RedisError, OSError):  # the reader sees it too
                await self._send("PING")

    async def _recheck_forever(self) -> None:
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            try:
                await self._recheck()
            except VALKEY_UNAVAILABLE as error:
                log.warning("valkey_unavailable", during="recheck", reason=type(error).__name__)

    async def _recheck(self) -> None:
        groups = [group for group in self._by_channel.values() if group]
        for start in range(0, len(groups), RECHECK_BATCH):
            batch = groups[start : start + RECHECK_BATCH]
            ids = [next(iter(group)).job_id for group in batch if group]
            statuses = await self._queue.statuses(ids)
            ended = {
                job_id for job_id, status in zip(ids, statuses, strict=True) if status is None or status.is_terminal
            }
            for group in batch:
                for attachment in group:
                    if attachment.job_id in ended:
                        attachment.tell_end()
