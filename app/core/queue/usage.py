"""Tokens by tenant, day and model, and by key: counted in Valkey in the step that ends their job, once for each.

A reader of the outbox would come too late: whoever asks may remove the job as soon as it has ended, and
/v1/embeddings always does. So a worker writes what the job has spent into its record, and the script that ends the
job adds that to the tenant's day. It runs only for a job that has not ended: one that was killed, put back, or
written twice by a worker that does not know whether its write came through, counts once. So does one of RQ's own
worker, which is counted just before its end: the record says that it was. Attempts that came to no end are not
counted. There are whole numbers only: what they cost is reckoned when they are read, by the prices of then.

    rag:usage:2026-11-26          the tenants that have spent anything on that day (UTC)
    rag:usage:2026-11-26:acme     a hash: answers, tokens in and out, by model
    rag:spent:2026-11-26:acme     a hash: tokens by the name of a key that has a budget
"""

import re
from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import ceil
from typing import Literal, cast

KEEP_DAYS = 400
"""A year, and the month in which somebody looks at it."""
KEY_KEEP_DAYS = 35
"""The longest window of a budget, and some days."""
TOKENS_MAX = 10**9
"""Of one job: more than a model has ever been given."""
MODEL_MAX_CHARACTERS = 256
ANSWERS, INPUT, OUTPUT = "answers", "input", "output"
"""How the fields of a tenant's day begin; behind a space stands the model."""

SPENT = f"""
local function add(key, field, number)
  if type(number) ~= 'number' or not (number >= 1 and number <= {TOKENS_MAX}) then return 0 end
  local more = string.format('%.0f', math.floor(number))
  if type(redis.pcall('HINCRBY', key, field, more)) == 'number' then return tonumber(more) end
  if type(redis.pcall('HSET', key, field, more)) ~= 'number' then
    redis.call('DEL', key)
    redis.call('HSET', key, field, more)
  end
  return tonumber(more)
end
local function spent(job, day)
  local record = redis.call('HMGET', job, 'spent', 'tenant', 'asker', 'ended_at')
  if not record[1] then return 0 end
  day = day or string.sub(record[4] or '', 1, 10)
  local tenant, is_read, rows = record[2] or '', pcall(cjson.decode, record[1])
  if not is_read or type(rows) ~= 'table' or tenant == '' or #tenant > 128 then return 0 end
  if not string.find(day, '^%d%d%d%d%-%d%d%-%d%d$') then return 0 end
  if redis.call('HSETNX', job, 'spent_on', day) == 0 then return 0 end
  local index = 'rag:usage:' .. day
  local key, total = index .. ':' .. tenant, 0
  for _, row in ipairs(rows) do
    if type(row) == 'table' and type(row[1]) == 'string' and #row[1] <= {4 * MODEL_MAX_CHARACTERS} then
      add(key, '{ANSWERS} ' .. row[1], row[2])
      total = total + add(key, '{INPUT} ' .. row[1], row[3]) + add(key, '{OUTPUT} ' .. row[1], row[4])
    end
  end
  if type(redis.pcall('SADD', index, tenant)) ~= 'number' then
    redis.call('DEL', index)
    redis.call('SADD', index, tenant)
  end
  redis.call('EXPIRE', index, {KEEP_DAYS * 86_400})
  redis.call('EXPIRE', key, {KEEP_DAYS * 86_400})
  if record[3] and #record[3] <= 128 and total > 0 then
    local keys = 'rag:spent:' .. day .. ':' .. tenant
    add(keys, record[3], total)
    redis.call('EXPIRE', keys, {KEY_KEEP_DAYS * 86_400})
  end
  return 1
end
"""
"""For scripts that end a job: what its record says that it has spent counts, once. Whatever else may stand in the
record or under these keys, it raises nothing: a job must come to its end."""

USED = """
local function used(keys, first, name)
  local total = 0
  for i = first, #keys do
    local number = redis.pcall('HGET', keys[i], name)
    if type(number) == 'string' and #number < 16 and string.find(number, '^%d+$') then
      total = total + tonumber(number)
    end
  end
  return total
end
"""
"""For scripts that hold a key to its budget: what it has used, by `keys` from the first on, which `days_of` names."""

Window = Literal["day", "month"]
BUDGET = re.compile(r"^([1-9][0-9]{0,14})/(day|month)$")


@dataclass(frozen=True, slots=True)
class TokenBudget:
    """How many tokens the answers of a key may take in a day or a month of UTC."""

    tokens: int
    window: Window

    @classmethod
    def parse(cls, text: str) -> "TokenBudget":
        """The budget that `text` is, e.g. "100000/day". Raises `ValueError`."""
        found = BUDGET.fullmatch(text)
        if found is None:
            raise ValueError("it is not like 100000/day or 2000000/month")
        return cls(int(found[1]), cast(Window, found[2]))

    def days(self, now: datetime) -> list[date]:
        """The days of the window that `now` (UTC) is in, as far as they have come."""
        today = now.astimezone(UTC).date()
        first = today if self.window == "day" else today.replace(day=1)
        return [first + timedelta(days=number) for number in range((today - first).days + 1)]

    def ends_at(self, now: datetime) -> datetime:
        """When that window ends, and the budget is whole again."""
        today = now.astimezone(UTC).date()
        left = 1 if self.window == "day" else monthrange(today.year, today.month)[1] - today.day + 1
        return datetime.combine(today + timedelta(days=left), time(), UTC)


@dataclass(frozen=True, slots=True)
class Spender:
    """A key that has a budget, by its name, which is its tenant's alone."""

    name: str
    budget: TokenBudget


class TokenBudgetError(Exception):
    """The key has used up its budget. `ends_at`: when it is whole again, which is `seconds` (1 or more) from now."""

    def __init__(self, budget: TokenBudget, used: int, now: datetime) -> None:
        super().__init__(f"{used} tokens of {budget.tokens} a {budget.window}")
        self.budget = budget
        self.used = used
        self.ends_at = budget.ends_at(now)
        self.seconds = max(1, ceil((self.ends_at - now).total_seconds()))


def tenants_key(day: date) -> str:
    """The key of the set of tenants that have spent anything on `day`."""
    return f"rag:usage:{day:%Y-%m-%d}"


def usage_key(tenant: str, day: date) -> str:
    """The key of what `tenant` has spent on `day`, by model."""
    return f"{tenants_key(day)}:{tenant}"


def spent_keys(tenant: str, days: Sequence[date]) -> list[str]:
    """The keys of what the keys of `tenant` have spent on each of `days`."""
    return [f"rag:spent:{day:%Y-%m-%d}:{tenant}" for day in days]
