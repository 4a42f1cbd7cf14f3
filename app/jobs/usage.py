"""What tenants have spent, and what a key has used of its budget: read from the counts that ended jobs have left.

The keyspace is never searched: each day has a set of its tenants. Whatever stands there is hostile until it was
checked: what is no tenant's name, no model's and no count of ours is not shown.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from redis.asyncio import Redis

from app.core.contract import is_label
from app.core.queue.usage import (
    ANSWERS,
    INPUT,
    MODEL_MAX_CHARACTERS,
    OUTPUT,
    USED,
    Spender,
    spent_keys,
    tenants_key,
    usage_key,
)

DAYS_MAX = 366
"""Days that are read at once."""
TENANT_DAYS_MAX = 5_000
"""Of all tenants together: 13 tenants' year, or a month of 160."""
FIELDS_MAX = 300
"""Of a tenant's day: three for each model that the settings have ever named on it. What has more is not ours."""
BATCH = 250
"""Tenants' days that are read in one step, half a millisecond of Valkey's."""
DIGITS_MAX = 15

TENANTS = """
local found, left = {}, tonumber(ARGV[1])
for n, key in ipairs(KEYS) do
  local size = redis.pcall('SCARD', key)
  if type(size) ~= 'number' then size = 0 end
  left = left - size
  if left < 0 then return false end
  found[n] = size > 0 and redis.call('SMEMBERS', key) or {}
end
return found
"""
"""KEYS: days. ARGV: how many members at most. The members of each day's set; false when they are more."""

READ = """
local found = {}
for n, key in ipairs(KEYS) do
  local size = redis.pcall('HLEN', key)
  found[n] = type(size) == 'number' and size <= tonumber(ARGV[1]) and redis.call('HGETALL', key) or {}
end
return found
"""
"""KEYS: tenants' days. ARGV: most fields of one that is ours. The fields and values of each."""

READ_USED = f"""{USED}
return used(KEYS, 1, ARGV[1])
"""
"""KEYS: days of a budget. ARGV: the key's name. Tokens that it has used."""


class TooManyTenantsError(Exception):
    """There is more than `TENANT_DAYS_MAX` to tell of these days."""


@dataclass(frozen=True, slots=True)
class Spending:
    """What a tenant's jobs have spent of a model on a day (UTC). `answers` are those that the model has written."""

    day: date
    tenant: str
    model: str
    answers: int
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class BudgetUse:
    """Where a key stands in its budget."""

    limit: int
    used: int
    window: str
    ends_at: datetime


class UsageBook:
    """Reads the counts. Its methods raise one of `VALKEY_UNAVAILABLE`."""

    def __init__(self, valkey: Redis) -> None:
        self._tenants = valkey.register_script(TENANTS)
        self._read = valkey.register_script(READ)
        self._used = valkey.register_script(READ_USED)

    async def of(self, first: date, last: date, *, tenant: str | None) -> list[Spending]:
        """What was spent from `first` to `last`, the latest day first: by `tenant`, or by all of them.

        Raises `TooManyTenantsError`.
        """
        days = [last - timedelta(days=number) for number in range((last - first).days + 1)]
        places = [(day, tenant) for day in days] if tenant is not None else await self._places(days)
        found: list[Spending] = []
        for start in range(0, len(places), BATCH):
            batch = places[start : start + BATCH]
            hashes = await self._read(keys=[usage_key(whose, day) for day, whose in batch], args=[FIELDS_MAX])
            for (day, whose), flat in zip(batch, hashes, strict=True):
                found += _spendings(day, whose, flat)
        return found

    async def budget(self, tenant: str, spender: Spender, now: datetime) -> BudgetUse:
        """Where the key stands `now`."""
        budget = spender.budget
        used = await self._used(keys=spent_keys(tenant, budget.days(now)), args=[spender.name])
        return BudgetUse(budget.tokens, int(used), budget.window, budget.ends_at(now))

    async def _places(self, days: Sequence[date]) -> list[tuple[date, str]]:
        sets = await self._tenants(keys=[tenants_key(day) for day in days], args=[TENANT_DAYS_MAX])
        if sets is None:
            raise TooManyTenantsError
        return [
            (day, name)
            for day, members in zip(days, sets, strict=True)
            for name in sorted(member.decode(errors="replace") for member in members)
            if is_label(name)
        ]


def _spendings(day: date, tenant: str, flat: Sequence[bytes]) -> Iterator[Spending]:
    """What a tenant's day has, by model, from the list of its fields and values."""
    models: dict[str, dict[str, int]] = {}
    for name, value in zip(flat[::2], flat[1::2], strict=False):
        kind, _, model = name.decode(errors="replace").partition(" ")
        if kind in (ANSWERS, INPUT, OUTPUT) and 0 < len(model) <= MODEL_MAX_CHARACTERS and model.isprintable():
            models.setdefault(model, {})[kind] = _count(value)
    for model in sorted(models):
        counts: Mapping[str, int] = models[model]
        yield Spending(day, tenant, model, *(counts.get(kind, 0) for kind in (ANSWERS, INPUT, OUTPUT)))


def _count(value: Any) -> int:
    return int(value) if isinstance(value, bytes) and value.isdigit() and len(value) <= DIGITS_MAX else 0
