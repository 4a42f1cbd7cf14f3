"""One budget for the model, kept in Valkey across all workers of all machines.

A worker asks before it takes a job off the queue, so that a job that must wait waits in the queue, in its place,
and holds no thread. Calls in flight are leases that a worker renews while it lives. Requests a minute are an exact
moving window; tokens a minute are charged when the provider has counted them, so that the calls in flight may
overshoot by what they turn out to cost.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis import Redis
from redis.client import Pipeline

from app.core.budget_keys import LEASES, PAUSE, PREFIX
from app.core.queue.connections import VALKEY_UNAVAILABLE
from app.core.queue.scripts import BEYOND_MAXMEMORY
from app.core.settings import Settings
from worker.runtime.retry_after import retry_after_seconds

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.strategies import RateLimiter

TOO_MANY_REQUESTS = 429
PAUSE_SECONDS_MAX = 60.0
"""What we grant a provider's word for when to come back; then we ask again."""

_ACQUIRE = """
local now = redis.call('TIME')
local seconds = now[1] + now[2] / 1000000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', seconds)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], seconds + ARGV[2], ARGV[3])
return 1
"""
_RENEW = f"""{BEYOND_MAXMEMORY}
local now = redis.call('TIME')
redis.call('ZADD', KEYS[1], 'XX', now[1] + now[2] / 1000000 + ARGV[1], ARGV[2])
"""
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Limits:
    """What the operator allows; None is no limit."""

    concurrency: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """The limits of `settings`; none when no model is called."""
        if not settings.has_chat_model:
            return cls()
        return cls(
            settings.model_max_concurrency, settings.model_requests_per_minute, settings.model_tokens_per_minute
        )


class Budget:
    """The budget as one process sees it. Its methods raise redis-py's errors when Valkey is unavailable."""

    def __init__(
        self, connection: Redis, limits: Limits, *, lease_seconds: float, calls_the_model: bool = True
    ) -> None:
        self._connection = connection
        self._limits = limits
        self.calls_the_model = calls_the_model
        self._lease_seconds = lease_seconds
        self._acquire = connection.register_script(_ACQUIRE)
        self._requests = _Window("requests", limits.requests_per_minute, connection, is_exact=True)
        self._tokens = _Window("tokens", limits.tokens_per_minute, connection, is_exact=False)

    @property
    def is_limited(self) -> bool:
        """Whether any limit is set."""
        return self._limits != Limits()

    def acquire(self, holder: str) -> bool:
        """Whether `holder` may take a job now; then it has a lease, until `release`."""
        if self._connection.exists(PAUSE) or not self._tokens.has_room() or not self._requests.has_room():
            return False
        if self._limits.concurrency is None:
            return True
        return bool(self._acquire(keys=[LEASES], args=[self._limits.concurrency, self._lease_seconds, holder]))

    def spend_request(self) -> bool:
        """Count the request that a job is about to make; False when another process has spent the last one."""
        return self._requests.hit()

    def begin(self, holder: str) -> bool:
        """Whether `holder` may make one request now: both of the above, or neither. End with `release`."""
        if self.acquire(holder):
            if self.spend_request():
                return True
            self.release(holder)
        return False

    def spend_tokens(self, count: int) -> None:
        """Count what an answer has cost."""
        if count > 0:
            self._tokens.hit(count)

    def renew(self, holder: str, pipeline: Pipeline) -> None:
        """Renew the holder's lease, if it has one."""
        if self._limits.concurrency is not None:
            pipeline.eval(_RENEW, 1, LEASES, self._lease_seconds, holder)

    def release(self, holder: str, pipeline: Pipeline | None = None) -> None:
        """Give the lease back, if there is one."""
        if self._limits.concurrency is not None:
            (self._connection if pipeline is None else pipeline).zrem(LEASES, holder)

    def heed(self, status: int, headers: Mapping[str, str]) -> None:
        """Pause all workers for as long as the provider's headers ask, when they say that nothing is left."""
        if (seconds := pause_seconds(status, headers)) > 0:
            with suppress(*VALKEY_UNAVAILABLE):  # an answer is worth more than a pause
                self._connection.set(PAUSE, 1, px=max(1, round(min(seconds, PAUSE_SECONDS_MAX) * 1000)))


class _Window:
    """A limit per minute, by one of the windows of `limits`; without a limit there is always room."""

    def __init__(self, name: str, per_minute: int | None, connection: Redis, *, is_exact: bool) -> None:
        self._name = name
        self._per_minute = per_minute
        if per_minute is not None:
            # Imported here: a worker without limits need not have it.
            from limits import RateLimitItemPerMinute
            from limits.storage import RedisStorage
            from limits.strategies import MovingWindowRateLimiter, SlidingWindowCounterRateLimiter

            # With a pool given, `limits` connects nowhere itself; the address is for its own bookkeeping.
            storage = RedisStorage("redis://", connection_pool=connection.connection_pool, key_prefix=PREFIX)
            self._limit: RateLimitItem = RateLimitItemPerMinute(per_minute)
            self._limiter: RateLimiter = (
                MovingWindowRateLimiter(storage) if is_exact else SlidingWindowCounterRateLimiter(storage)
            )

    def has_room(self) -> bool:
        return self._per_minute is None or self._limiter.test(self._limit, self._name)

    def hit(self, cost: int = 1) -> bool:
        return self._per_minute is None or self._limiter.hit(
            self._limit, self._name, cost=min(cost, self._per_minute)
        )


def pause_seconds(status: int, headers: Mapping[str, str]) -> float:
    """How long the provider asks to wait: Retry-After of a 429, or the reset of what has none remaining; else 0.

    The headers are OpenAI's: `x-ratelimit-remaining-requests`, `x-ratelimit-reset-requests` ("6m0s"), and the same
    for tokens.
    """
    waits = [0.0]
    if status == TOO_MANY_REQUESTS:
        waits.append(retry_after_seconds(headers) or 0.0)
    for kind in ("requests", "tokens"):
        if headers.get(f"x-ratelimit-remaining-{kind}") == "0":
            waits.append(_seconds(headers.get(f"x-ratelimit-reset-{kind}", "")))
    return max(waits)


def _seconds(duration: str) -> float:
    """A duration as OpenAI writes it: "20ms", "1.5s", "6m0s"."""
    return sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(duration))
