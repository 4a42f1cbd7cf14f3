"""Where all workers together stand in the model's budget, for operators."""

from typing import TypedDict

from redis.asyncio import Redis

from app.core.budget_keys import LEASES, PAUSE
from app.core.settings import Settings

READ = """
local now = redis.call('TIME')
local calls = redis.pcall('ZCOUNT', KEYS[1], now[1] + now[2] / 1000000, '+inf')
return {type(calls) == 'number' and calls or 0, redis.call('PTTL', KEYS[2])}
"""
"""KEYS: leases, pause. How many leases hold now, and milliseconds until the pause is over, below 0 without one."""


class Standing(TypedDict):
    """The limits, None where none is set, and how much of the first is used. `paused_seconds`: until it goes on."""

    in_flight: int | None
    concurrency: int | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    paused_seconds: float | None


async def budget_of(valkey: Redis, settings: Settings, running: int) -> Standing:
    """The budget now, while so many questions are `running`. Raises one of `VALKEY_UNAVAILABLE`.

    A worker that waits for a job has a lease already: no more calls are in flight than questions run.
    """
    calls, pause = await valkey.register_script(READ)(keys=[LEASES, PAUSE])
    has_model = settings.has_chat_model
    concurrency = settings.model_max_concurrency if has_model else None
    return Standing(
        in_flight=min(int(calls), running) if concurrency is not None else None,
        concurrency=concurrency,
        requests_per_minute=settings.model_requests_per_minute if has_model else None,
        tokens_per_minute=settings.model_tokens_per_minute if has_model else None,
        paused_seconds=pause / 1000 if pause > 0 else None,
    )
