"""A tenant's failed jobs, the latest first, a page at a time: those that a filter lets through.

RQ's registries of failed jobs are sorted by when their jobs expire, which is when they failed, to the second. A page
begins after the job that its cursor names, also when that is gone by now. It looks at so many of the tenant's jobs
that it may be empty and not the last one, when few fit its filter.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from redis.asyncio import Redis
from rq.job import Job
from rq.registry import FailedJobRegistry

from app.core.contract import JobStatus
from app.core.queue.producer import DEAD_LETTER_QUEUES, JobQueue
from app.core.queue.records import KINDS, JobView

LOOK_MAX = 1_000
"""The tenant's jobs that one page looks at, give or take: some 0.1 s of an API process's time."""
STEP = 1_000
"""Jobs of all tenants that are looked through in one step for a tenant's, a millisecond of Valkey's."""
CHUNK = 100
"""Records that are read at once."""
CURSOR = re.compile(r"^(?P<score>[0-9]{1,17}(?:\.[0-9]{1,9})?):(?P<job_id>[A-Za-z0-9_-]{1,128})$")
"""Score and id of a job. RQ's scores are seconds since 1970."""
QUEUE_OF = {kind.name: kind.queue for kind in KINDS.values()}
"""By a job's kind."""

FROM_CURSOR = """
local start, score, member = 0, ARGV[3], ARGV[4]
if member ~= '' then
  if tonumber(redis.call('ZSCORE', KEYS[1], member) or 'nan') == tonumber(score) then
    start = redis.call('ZREVRANK', KEYS[1], member) + 1
  else
    start = redis.call('ZCOUNT', KEYS[1], '(' .. score, '+inf')
  end
end
local own, looked, last = {}, 0, false
while looked < tonumber(ARGV[5]) do
  local found = redis.call('ZREVRANGE', KEYS[1], start, start + ARGV[5] - 1, 'WITHSCORES')
  if #found == 0 then return {own, last, 1} end
  for i = 1, #found, 2 do
    local id = found[i]
    if member == '' or tonumber(found[i + 1]) ~= tonumber(score) or id < member then
      if looked == tonumber(ARGV[5]) then return {own, last, 0} end
      looked = looked + 1
      if #id <= 128 and string.find(id, '^[%w_-]+$') and string.find(found[i + 1], '^[%d.]+$') then
        last = {id, found[i + 1]}
        local tenant = redis.pcall('HGET', ARGV[1] .. id, 'tenant')
        if tenant == ARGV[2] or not tenant then own[#own + 1] = last end
      end
    end
  end
  start = start + #found / 2
end
return {own, last, 0}
"""
"""KEYS: failed. ARGV: prefix of job keys, tenant, score and id of the job after which to begin or '', how many to
look at. Those of the tenant or of nobody with their scores, the last that was looked at, and 1 when there are no
more. What is no job's id, or no time, is passed over."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which failed jobs: all that is given must hold. `text` stands in the reason's message, in either case."""

    queue: str | None = None
    kind: str | None = None
    code: str | None = None
    text: str | None = None
    since: datetime | None = None

    def fits(self, view: JobView) -> bool:
        """Whether the job is failed, and one of these."""
        if view.status is not JobStatus.FAILED or view.error is None:
            return False
        return (
            self.kind in (None, view.kind)
            and self.code in (None, view.error.code.value)
            and (self.text is None or self.text.casefold() in view.error.message.casefold())
            and (self.since is None or (view.ended_at is not None and view.ended_at >= self.since))
        )

    @property
    def queues(self) -> Sequence[str]:
        """The queues that such jobs may be of."""
        wanted = {self.queue, QUEUE_OF.get(self.kind)} - {None} if self.kind else {self.queue} - {None}
        return [name for name in DEAD_LETTER_QUEUES if wanted <= {name}]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a job stands in the order of all: RQ's score, then its id."""

    score: float
    job_id: bytes
    spelt: str = field(compare=False)
    """The score as Valkey spells it."""

    @classmethod
    def of(cls, entry: Sequence[bytes]) -> "Place":
        """The place in a script's answer."""
        job_id, score = entry
        return cls(float(score), job_id, score.decode())

    @property
    def cursor(self) -> str:
        """For who goes on from here."""
        return f"{self.spelt}:{self.job_id.decode()}"


@dataclass(frozen=True, slots=True)
class FailedPage:
    """Some of the failed jobs, and for each the cursor that goes on after it; `next_cursor` is None at the end of
    all."""

    jobs: Sequence[JobView]
    cursors: Sequence[str]
    next_cursor: str | None


class FailedJobs:
    """Reads pages of failed jobs. Methods raise one of `VALKEY_UNAVAILABLE`."""

    def __init__(self, valkey: Redis, queue: JobQueue) -> None:
        self._queue = queue
        self._from_cursor = valkey.register_script(FROM_CURSOR)

    async def page(self, tenant: str, wanted: Filter, *, limit: int, cursor: str | None = None) -> FailedPage:
        """The next `limit` of the tenant's failed jobs that are `wanted`, or fewer.

        `cursor` is as `CURSOR` has it, and begins after that job.
        """
        found: list[tuple[JobView, str]] = []
        looked, horizon = 0, cursor
        while True:  # others' jobs alone may fill many a step, at a millisecond of Valkey's each
            places, horizon = await self._places(tenant, wanted.queues, horizon)
            for start in range(0, len(places), CHUNK):
                chunk = places[start : start + CHUNK]
                views = await self._queue.views([place.job_id.decode() for place in chunk], tenant=tenant)
                fitting = ((view, place.cursor) for place, view in zip(chunk, views, strict=True) if view is not None)
                found += [(view, after) for view, after in fitting if wanted.fits(view)]
                if len(found) > limit or (len(found) == limit and chunk[-1] != places[-1]):
                    return _page(found[:limit], found[limit - 1][1])
            looked += len(places)
            if horizon is None or len(found) == limit or looked >= LOOK_MAX:
                return _page(found, horizon)

    async def _places(self, tenant: str, queues: Sequence[str], cursor: str | None) -> tuple[list[Place], str | None]:
        """Where the tenant's next jobs are, and the cursor up to which that is known; None: to the end."""
        score, job_id = _parsed(cursor)
        places: list[Place] = []
        horizons: list[Place] = []
        for queue in queues:
            own, last, is_end = await self._from_cursor(
                keys=[FailedJobRegistry.key_template.format(queue)],
                args=[Job.redis_job_namespace_prefix, tenant, score, job_id, STEP],
            )
            places += [Place.of(entry) for entry in own]
            if not is_end and last:
                horizons.append(Place.of(last))
        horizon = max(horizons, default=None)
        return sorted((p for p in places if horizon is None or p >= horizon), reverse=True), (
            horizon.cursor if horizon is not None else None
        )


def _page(found: Sequence[tuple[JobView, str]], next_cursor: str | None) -> FailedPage:
    return FailedPage([view for view, _ in found], [after for _, after in found], next_cursor)


def _parsed(cursor: str | None) -> tuple[str, str]:
    found = CURSOR.fullmatch(cursor) if cursor is not None else None
    return (found["score"], found["job_id"]) if found is not None else ("", "")
