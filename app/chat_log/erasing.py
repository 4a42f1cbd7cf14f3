"""What is still to be erased, as Valkey has it (`app.core.queue.erasures`): noted, asked about, and done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis

from app.chat_log.entries import Entry
from app.core.contract import is_label
from app.core.queue.erasures import ERASED, ERASED_JOBS, NOTE, conversation, tenant
from app.core.queue.producer import JOB_ID

AT_ONCE = 1_000
"""Erasures that are done in one step."""
JOBS_KEPT_SECONDS = 3_600
"""How long a removed job is remembered: far longer than a process takes to write the row that it has just read."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Erasures since some moment, in their order, `AT_ONCE` at most of jobs and of others; `latest` is the last
    one's score."""

    job_ids: Sequence[str]
    others: Sequence[tuple[str, str | None, datetime]]
    latest: tuple[float, float]
    is_all: bool


class Erasures:
    """Reads and writes what is to be erased. Methods raise one of `VALKEY_UNAVAILABLE`."""

    def __init__(self, valkey: Redis, *, kept_seconds: int) -> None:
        self._valkey = valkey
        self._kept_seconds = kept_seconds
        self._note = valkey.register_script(NOTE)

    async def note(self, what: str) -> None:
        """It is to be erased, whatever dies: a member of `ERASED`."""
        await self._note(keys=[ERASED], args=[what])

    async def pending(self, since: tuple[float, float]) -> Pending:
        """What was noted at these two times or later: of jobs, and of others."""
        async with self._valkey.pipeline(transaction=False) as pipeline:
            for key, score in zip((ERASED_JOBS, ERASED), since, strict=True):
                pipeline.zrangebyscore(key, score, "+inf", start=0, num=AT_ONCE, withscores=True)
            jobs, others = await pipeline.execute()
        return Pending(
            job_ids=[name for name, _ in _named(jobs) if JOB_ID.fullmatch(name)],
            others=[parsed for name, score in _named(others) if (parsed := _parsed(name, score)) is not None],
            latest=(_latest(jobs, since[0]), _latest(others, since[1])),
            is_all=max(len(jobs), len(others)) < AT_ONCE,
        )

    async def among(self, job_ids: Sequence[str], entries: Sequence[Entry]) -> list[str]:
        """Those of these jobs that were erased: they themselves, or what they belong to after they were asked."""
        if not job_ids:
            return []
        async with self._valkey.pipeline(transaction=False) as pipeline:
            pipeline.zmscore(ERASED_JOBS, list(job_ids))
            for entry in entries:
                names = [tenant(entry.tenant), conversation(entry.tenant, entry.session_id or "")]
                pipeline.zmscore(ERASED, names)
            of_jobs, *of_entries = await pipeline.execute()
        gone = [job_id for job_id, score in zip(job_ids, of_jobs, strict=True) if score is not None]
        for entry, scores in zip(entries, of_entries, strict=True):
            asked = entry.enqueued_at.timestamp()
            if any(score is not None and asked <= score for score in scores):
                gone.append(entry.job_id)
        return gone

    async def forget(self, done: tuple[float, float], now: float) -> None:
        """Forget what was erased up to the times `done`, and can't come back any more."""
        async with self._valkey.pipeline(transaction=False) as pipeline:
            pipeline.zremrangebyscore(ERASED_JOBS, "-inf", min(done[0], now - JOBS_KEPT_SECONDS))
            pipeline.zremrangebyscore(ERASED, "-inf", min(done[1], now - self._kept_seconds))
            await pipeline.execute()


def _named(found: Sequence[tuple[bytes, float]]) -> list[tuple[str, float]]:
    return [(name.decode(errors="replace"), score) for name, score in found]


def _latest(found: Sequence[tuple[bytes, float]], before: float) -> float:
    return found[-1][1] if found else before


def _parsed(name: str, score: float) -> tuple[str, str | None, datetime] | None:
    """Tenant, session and time of a member of `ERASED`; None for what is none of ours."""
    kind, *labels = name.split(" ")
    if not all(map(is_label, labels)) or not 0 <= score < datetime.max.replace(tzinfo=UTC).timestamp():
        return None
    until: Any = datetime.fromtimestamp(score, UTC)
    match kind, labels:
        case "tenant", [whose]:
            return whose, None, until
        case "conversation", [whose, session]:
            return whose, session, until
    return None
