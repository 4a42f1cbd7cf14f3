"""Rates: how many requests a key, and how many wrong credentials an address, may send in a moving window of time.

The windows are the `limits` package's, in Valkey, so that all API processes count together. The fields that tell a
client where it stands are those of draft-ietf-httpapi-ratelimit-headers-11.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from time import time

from limits import RateLimitItem, parse
from limits.aio.storage.redis.bridge import RedisBridge

from app.core.queue.pipelined import Link, Script
from app.core.queue.scripts import BEYOND_MAXMEMORY

KEY_PREFIX = "rag:limits"

HIT = Script(f"""{BEYOND_MAXMEMORY}
local function acquire(ARGV)
{RedisBridge.SCRIPT_ACQUIRE_MOVING_WINDOW.decode()}
end
local function window(ARGV)
{RedisBridge.SCRIPT_MOVING_WINDOW.decode()}
end
local now, limit, seconds = ARGV[1], ARGV[2], ARGV[3]
local taken = acquire({{now, limit, seconds, 1}})
return {{taken, window({{now - seconds, limit}})}}
""")
"""KEYS: window. ARGV: time, limit, seconds. Whether one more was taken, and the window then: its oldest entry's time
and how many it has.

`limits` asks both in two round trips, and the answers may not fit each other. These are its own scripts in one step;
a test holds that its `MovingWindowRateLimiter` reads the same windows."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a client stands in a policy after a request: `remaining` requests are left, and the next is given back
    in `reset_seconds` (1 or more).
    """

    policy: str
    limit: int
    window_seconds: int
    is_within: bool
    remaining: int
    reset_seconds: int

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The fields `RateLimit-Policy` and `RateLimit`, as ASGI has them."""
        name = f'"{self.policy}"'
        return [
            (b"ratelimit-policy", f"{name};q={self.limit};w={self.window_seconds}".encode()),
            (b"ratelimit", f"{name};r={self.remaining};t={self.reset_seconds}".encode()),
        ]


class RateLimitedError(Exception):
    """The client has used up a policy; `standing` says when to come back."""

    def __init__(self, standing: Standing) -> None:
        super().__init__(standing.policy)
        self.standing = standing


class RateLimits:
    """Counts in Valkey: one round trip a hit."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def hit(self, policy: str, rate: str, who: str) -> Standing:
        """Count one request of `who` under `rate`, e.g. "600/minute"; what is refused is not counted.

        Raises one of `VALKEY_UNAVAILABLE`.
        """
        item = _parse(rate)
        limit, seconds = item.amount, item.get_expiry()
        now = round(time(), 3)  # Lua writes numbers with 14 digits
        key = f"{KEY_PREFIX}:{item.key_for(policy, who)}"
        taken, (oldest, count) = await self._link.run(HIT, keys=[key], args=[now, limit, seconds])
        return Standing(
            policy=policy,
            limit=limit,
            window_seconds=seconds,
            is_within=bool(taken),
            remaining=max(0, limit - int(count)),
            # Not more than the window: the clock of another process may be ahead.
            reset_seconds=max(1, min(seconds, ceil(round(float(oldest) + seconds - now, 3)))),
        )


@lru_cache(maxsize=1024)
def _parse(rate: str) -> RateLimitItem:
    return parse(rate)
