"""The chat log of one API process: the outbox's reader that writes it, and what routes ask of it.

The database is spoken to in threads of the log's own. Nothing of it is in an answer's way.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from redis.asyncio import Redis

from app.chat_log import ChatLogUnavailableError
from app.chat_log.entries import Entry, clean, entry_of, is_question
from app.chat_log.erasing import Erasures
from app.chat_log.filters import Filter, Place
from app.core.logging import get_logger
from app.core.queue import erasures
from app.core.queue.producer import JOB_ID, JobQueue
from app.core.queue.questions import asked
from app.core.queue.records import view_of
from app.core.settings import Settings
from app.jobs.outbox import Reader

if TYPE_CHECKING:
    from app.chat_log.store import Store

THREADS = 4
"""That wait for the database: the reader's, and three requests'."""
CHUNK = 50
"""Records that are read, and rows that are written, at once."""
RETENTION_SECONDS = 3_600.0
"""Between two looks for what is too old."""

T = TypeVar("T")

log = get_logger(__name__)


class ChatLog:
    """Writes every ended question to the database, and finds and erases rows.

    Methods raise `ChatLogUnavailableError`, and one of `VALKEY_UNAVAILABLE`.
    """

    def __init__(self, valkey: Redis, queue: JobQueue, settings: Settings) -> None:
        assert settings.database_url is not None
        self._url = settings.database_url.get_secret_value()
        self._valkey = valkey
        self._queue = queue
        self._prices = settings.model_prices
        self._has_content = bool(settings.chat_log_content)
        self._retention_days = settings.chat_log_retention_days
        self._reader = Reader("chat_log", valkey, self.ended)
        kept_seconds = settings.result_ttl_seconds + settings.failure_ttl_seconds  # as a waiting job's record is
        self._erasures = Erasures(valkey, kept_seconds=kept_seconds)
        self._erased = (0.0, 0.0)
        self._is_scrubbed = True
        self._retained_at = -RETENTION_SECONDS
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="chat-log")
        self._opening = asyncio.Lock()
        self._opened: Store | None = None
        self._is_away = False
        self._has_begun = False

    async def step(self) -> int:
        """Write what has ended, erase what is to be erased; how many entries of the outbox were read.

        Nothing in the process's first second, which is its start's. An outage has one line in the log.
        """
        await self._reader.count_in()  # also while the database is away
        if not self._has_begun:
            self._has_begun = True
            return 0
        try:
            await self._store()
            count = await self._reader.read()
            await self.erase_pending()
            await self._forget_old()
        except ChatLogUnavailableError as error:
            if not self._is_away:
                log.warning("chat_log_unavailable", reason=error.reason)
            self._is_away = True
            return 0
        if self._is_away:
            log.info("chat_log_available")
        self._is_away = False
        return count

    async def ended(self, job_ids: Sequence[str]) -> None:
        """Write the rows of these jobs, as far as they are questions that have ended; again is harmless."""
        for start in range(0, len(job_ids), CHUNK):
            await self._write(job_ids[start : start + CHUNK])

    async def say(self, job_id: str, tenant: str, said: Mapping[str, Any]) -> bool:
        """Note what somebody says of an answer; whether the tenant has such a row.

        `said` has what `app.chat_log.tables.SAID` names.
        """
        if not JOB_ID.fullmatch(job_id):
            return False
        cleaned = {name: clean(value) if isinstance(value, str) else value for name, value in said.items()}
        return await self._do(lambda store: store.say(job_id, tenant, cleaned))

    async def page(self, tenant: str, wanted: Filter, *, limit: int, after: Place | None) -> list[Entry]:
        """The tenant's rows that are `wanted` after a place, the latest first."""
        return await self._do(lambda store: store.page(tenant, wanted, limit=limit, after=after))

    async def erase_job(self, job_id: str, tenant: str) -> bool:
        """Erase the row of a job whose record is gone; whether the tenant had one."""
        if not JOB_ID.fullmatch(job_id):
            return False
        erased = await self._do(lambda store: store.erase_jobs([job_id], tenant=tenant))
        await self._scrub(erased)
        return erased > 0

    async def erase_conversation(self, tenant: str, session_id: str) -> None:
        """Erase what a conversation has asked until now: at once, or as soon as the database is there."""
        await self._erasures.note(erasures.conversation(tenant, session_id))
        await self.erase_now()

    async def erase_tenant(self, tenant: str) -> None:
        """Erase what a tenant has asked until now: at once, or as soon as the database is there."""
        await self._erasures.note(erasures.tenant(tenant))
        await self.erase_now()

    async def erase_now(self) -> None:
        """As `erase_pending`; what can't be erased now is erased by `step`, once the database is there."""
        try:
            await self.erase_pending()
        except ChatLogUnavailableError as error:
            log.warning("chat_log_erasure_waits", reason=error.reason)

    async def erase_pending(self) -> None:
        """Erase what was noted to be erased."""
        from app.chat_log.store import Erasure

        while True:
            pending = await self._erasures.pending(self._erased)
            if pending.latest == self._erased and self._is_scrubbed:
                return
            found = [Erasure(*other) for other in pending.others]
            erased = 0
            if pending.job_ids:
                erased += await self._do(lambda store: store.erase_jobs(pending.job_ids))  # noqa: B023  awaited here
            if found:
                erased += await self._do(lambda store: store.erase(found))  # noqa: B023
            await self._scrub(erased)
            is_news, self._erased = pending.latest != self._erased, pending.latest
            if is_news:
                await self._erasures.forget(self._erased, datetime.now(UTC).timestamp())
            if pending.is_all:
                return

    async def aclose(self) -> None:
        """End the threads, and close the connections; what is being written is written."""
        store, self._opened = self._opened, None
        if store is not None:
            await asyncio.get_running_loop().run_in_executor(self._threads, store.close)
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)

    async def _write(self, job_ids: Sequence[str]) -> None:
        records = [record for record in await self._queue.records(job_ids) if record and is_question(record)]
        questions = await asked(self._valkey, [record.job_id for record in records])
        entries = [
            entry_of(record, view_of(record), question, prices=self._prices, has_content=self._has_content)
            for record, question in zip(records, questions, strict=True)
        ]
        if entries:
            await self._do(lambda store: store.write(entries))
        if gone := await self._erasures.among(job_ids, entries):  # while we wrote, or before
            await self._scrub(await self._do(lambda store: store.erase_jobs(gone)))

    async def _forget_old(self) -> None:
        if self._retention_days is None or monotonic() - self._retained_at < RETENTION_SECONDS:
            return
        before = datetime.now(UTC) - timedelta(days=self._retention_days)
        await self._scrub(await self._do(lambda store: store.forget_before(before)))
        self._retained_at = monotonic()

    async def _scrub(self, erased: int) -> None:
        if erased:
            self._is_scrubbed = False
        if not self._is_scrubbed:
            self._is_scrubbed = await self._do(lambda store: store.scrub())

    async def _do(self, act: "Callable[[Store], T]") -> T:
        store = await self._store()
        return await asyncio.get_running_loop().run_in_executor(self._threads, act, store)

    async def _store(self) -> "Store":
        async with self._opening:
            if self._opened is None:
                loop = asyncio.get_running_loop()
                self._opened = await loop.run_in_executor(self._threads, _open, self._url)
        return self._opened


def _open(url: str) -> "Store":
    from app.chat_log.store import Store

    return Store(url)
