"""The queues, their workers and the model's budget, read from Valkey whenever a page of metrics is asked for.

What is read is counted by lengths and changed by nothing: the scripts run as EVAL_RO, where Valkey refuses a write.
(RQ's own counts clean up what has expired, and the budget's limiter moves its window.) It may be hostile, so that
names are held to a form, texts are cut, and so many workers are shown at most.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue
from rq.job import Job
from rq.registry import (
    CanceledJobRegistry,
    DeferredJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
    ScheduledJobRegistry,
    StartedJobRegistry,
)
from rq.worker.base import WorkerStatus
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from app.core.budget_keys import LEASES, WINDOW_SECONDS, requests_key, tokens_keys
from app.core.contract import QUERY_QUEUE, QUEUES
from app.core.logging import get_logger
from app.core.metrics.families import QUEUE_FAMILIES
from app.core.queue.connections import connect
from app.core.queue.lines import SINCE, line_keys
from app.core.queue.outbox import OPTIONAL, OUTBOX, READERS, START, cursor_key
from app.core.queue.records import time_of
from app.core.settings import Settings
from app.jobs.processes import Process, processes

TIMEOUT_SECONDS = 1.0
"""To connect, and for an answer. With one more try, a page waits for 2 s where Valkey says nothing."""
RQ_WORKERS_MAX = 4_096
"""Read of each queue; a process of ours has some 40, one a thread."""
PROCESSES_MAX = 500
"""Shown, the first by host and name."""
NAME_MAX = 128
TEXT_MAX = 256
"""Bytes of a text that are read."""

STATUSES = ("queued", "started", "finished", "failed", "deferred", "scheduled", "canceled")
REGISTRIES = (
    StartedJobRegistry, FinishedJobRegistry, FailedJobRegistry, DeferredJobRegistry, ScheduledJobRegistry,
    CanceledJobRegistry,
)  # fmt: skip
"""Where the jobs of each status stand, after the first, which is the queue itself."""
STATES = (WorkerStatus.BUSY, WorkerStatus.SUSPENDED, WorkerStatus.IDLE, WorkerStatus.STARTED)
"""A process is in the first of these that one of its threads is in."""
UNKNOWN_STATE = "?"
"""RQ's word for it."""
WORKER_FIELDS = (
    "state", "birth", "hostname", "pid", "successful_job_count", "failed_job_count", "total_working_time",
)  # fmt: skip

READ_QUEUES = (
    SINCE
    + """
local function text(value)
  return type(value) == 'string' and string.sub(value, 1, tonumber(ARGV[3])) or false
end
local function size(command, key)
  local found = redis.pcall(command, key)
  return type(found) == 'number' and found or 0
end
local queues = {}
for at = 1, #KEYS, 10 do
  local sizes = {size('LLEN', KEYS[at]) + size('ZCARD', KEYS[at + 8]) + size('ZCARD', KEYS[at + 9])}
  for registry = 1, 6 do sizes[registry + 1] = size('ZCARD', KEYS[at + registry]) end
  local workers = {}
  local keys = redis.pcall('SRANDMEMBER', KEYS[at + 7], ARGV[2])
  for _, key in ipairs(keys.err and {} or keys) do
    local values = redis.pcall('HMGET', key, unpack(ARGV, 4))
    if not values.err and #key < tonumber(ARGV[3]) then
      local worker = {key}
      for number, value in ipairs(values) do worker[number + 1] = text(value) end
      workers[#workers + 1] = worker
    end
  end
  queues[#queues + 1] = {sizes, text(since(KEYS[at], ARGV[1])), workers}
end
return queues
"""
)
"""KEYS: ten of each queue: itself, `REGISTRIES`, its set of workers, its lines. ARGV: prefix of jobs' keys,
`RQ_WORKERS_MAX`, `TEXT_MAX`, `WORKER_FIELDS`. Of each queue: lengths, since when its next job waits, workers."""

READ_BUDGET = """
local now = redis.call('TIME')
local seconds = now[1] + now[2] / 1000000
local function number(command, ...)
  local found = redis.pcall(command, ...)
  return type(found) ~= 'table' and tonumber(found) or 0
end
local low, high = 0, math.min(number('LLEN', KEYS[2]), tonumber(ARGV[1]))
while low < high do
  local middle = math.floor((low + high) / 2)
  if number('LINDEX', KEYS[2], middle) > seconds - ARGV[2] then low = middle + 1 else high = middle end
end
local answer = {number('ZCOUNT', KEYS[1], seconds, '+inf'), low}
for window = 3, 4 do
  answer[#answer + 1] = number('GET', KEYS[window])
  answer[#answer + 1] = number('PTTL', KEYS[window])
end
return answer
"""
"""KEYS: leases, moments of requests (the latest first), tokens of this minute and of the one before. ARGV: most
requests a minute, seconds of a minute. Leases that hold, requests of the last minute, then tokens and milliseconds
until they expire, twice."""

READ_OUTBOX = """
local time, lags = redis.call('TIME'), {}
for at = 2, #KEYS do
  local cursor, lag = redis.pcall('GET', KEYS[at]), -1
  if not cursor and at - 2 < tonumber(ARGV[2]) then cursor = ARGV[1] end
  if type(cursor) == 'string' then
    local entries = redis.pcall('XRANGE', KEYS[1], '(' .. cursor, '+', 'COUNT', 1)
    if not entries.err then
      local written = entries[1] and string.match(entries[1][1], '^%d+')
      lag = written and math.max(0, time[1] * 1000 + math.floor(time[2] / 1000) - written) or 0
    end
  end
  lags[at - 1] = lag
end
return lags
"""
"""KEYS: outbox, a cursor each of `OUTBOX_READERS`. ARGV: the cursor of who has read nothing, how many of the readers
have entries kept before they have read. Milliseconds since the next entry of each was written, 0 when it has read
all, -1 when it reads nothing here."""
OUTBOX_READERS = (*READERS, *OPTIONAL)

log = get_logger(__name__)


def connect_for_metrics(url: str) -> Redis:
    """A client for pages of metrics, each of which asks from a thread of its own: it gives up early."""
    return connect(
        url,
        socket_connect_timeout=TIMEOUT_SECONDS,
        socket_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), retries=1),
    )


class QueueCollector(Collector):
    """`QUEUE_FAMILIES`, of the service's own queues; none of them while Valkey can't be asked."""

    def __init__(self, valkey: Redis, settings: Settings) -> None:
        self._valkey = valkey
        self._has_model = settings.has_chat_model
        self._settings = settings
        self._is_away = False

    def collect(self) -> Iterable[GaugeMetricFamily | CounterMetricFamily]:
        """The families as they are now. From any thread."""
        try:
            queues, budget, lags = self._read()
        except RedisError as error:
            if not self._is_away:  # once, not at each page
                log.warning("valkey_unavailable", during="metrics", reason=type(error).__name__)
            self._is_away = True
            return []
        self._is_away = False
        return [*_workers(queues), *_jobs(queues), _outbox(lags), self._budget(queues, budget)]

    def _read(self) -> tuple[list[Any], list[int], list[int]]:
        queue_keys = [key for name in QUEUES for key in _keys_of(name)]
        queue_arguments: list[str | int] = [Job.redis_job_namespace_prefix, RQ_WORKERS_MAX, TEXT_MAX, *WORKER_FIELDS]
        per_minute = self._settings.model_requests_per_minute or 0
        budget_keys = [LEASES, requests_key(per_minute), *tokens_keys(self._settings.model_tokens_per_minute or 0)]
        outbox_keys = [OUTBOX, *map(cursor_key, OUTBOX_READERS)]
        with self._valkey.pipeline(transaction=False) as pipeline:
            pipeline.eval_ro(READ_QUEUES, len(queue_keys), *queue_keys, *queue_arguments)
            pipeline.eval_ro(READ_BUDGET, len(budget_keys), *budget_keys, per_minute, WINDOW_SECONDS)
            pipeline.eval_ro(READ_OUTBOX, len(outbox_keys), *outbox_keys, START, len(READERS))
            queues, budget, lags = pipeline.execute()
        return queues, budget, lags

    def _budget(self, queues: Sequence[Any], budget: Sequence[int]) -> GaugeMetricFamily:
        """How much of each limit that is set is used. A worker that waits for a job has a lease already: no more
        calls are in flight than questions run."""
        leases, requests, tokens, tokens_ms, before, before_ms = budget
        if 0 < tokens_ms < WINDOW_SECONDS * 1000:  # the minute is over, and the next has not begun
            tokens, before, before_ms = 0, tokens, tokens_ms
        [(running, *_)] = [sizes[1:] for name, (sizes, *_) in zip(QUEUES, queues, strict=True) if name == QUERY_QUEUE]
        used = {
            "concurrency": (min(leases, running), self._settings.model_max_concurrency),
            "requests": (requests, self._settings.model_requests_per_minute),
            "tokens": (
                tokens + before * max(0, before_ms) / (WINDOW_SECONDS * 1000),
                self._settings.model_tokens_per_minute,
            ),
        }
        family = _gauge("rag_model_budget_used_ratio")
        for limit, (amount, most) in used.items():
            if most is not None and self._has_model:
                family.add_metric([limit], min(1.0, max(0.0, amount / most)))
        return family


def _jobs(queues: Iterable[Any]) -> Iterable[GaugeMetricFamily]:
    jobs, ages = _gauge("rq_jobs"), _gauge("rag_queue_oldest_job_age_seconds")
    now = datetime.now(UTC)
    for name, (sizes, since, _) in zip(QUEUES, queues, strict=True):
        for status, count in zip(STATUSES, sizes, strict=True):
            jobs.add_metric([name, status], count)
        age = _age(since, now) if sizes[0] else 0.0
        if age is not None:
            ages.add_metric([name], age)
    return jobs, ages


def _outbox(lags: Iterable[int]) -> GaugeMetricFamily:
    """An optional reader that is not heard of is none."""
    family = _gauge("rag_outbox_lag_seconds")
    for reader, lag in zip(OUTBOX_READERS, lags, strict=True):
        if lag >= 0:
            family.add_metric([reader], lag / 1000)
    return family


def _workers(queues: Iterable[Any]) -> Iterable[GaugeMetricFamily | CounterMetricFamily]:
    """Processes of one name are one: a page that says the same thing twice is refused as a whole."""
    workers = _gauge("rq_workers")
    by_state: Counter[tuple[str, str, str]] = Counter()
    totals: list[Counter[tuple[str, str]]] = [Counter(), Counter(), Counter()]
    registered = [(queue, _fields(one)) for queue, (*_, all_) in zip(QUEUES, queues, strict=True) for one in all_]
    alive = processes((queue, worker) for queue, worker in registered if "birth" in worker)
    for process in [process for process in alive if _is_name(process.name)][:PROCESSES_MAX]:
        labels = process.name, ",".join(queue for queue in QUEUES if queue in process.queues)
        by_state[process.name, _state(process), labels[1]] += 1
        for total, value in zip(totals, (process.succeeded, process.failed, process.working_seconds), strict=True):
            total[labels] += value  # type: ignore[assignment]  # seconds have fractions
    for state_labels, count in by_state.items():
        workers.add_metric(state_labels, count)
    yield workers
    for name, total in zip(("success", "failed", "working_time"), totals, strict=True):
        family = _counter(f"rq_workers_{name}_total")
        for by, value in total.items():
            family.add_metric(by, value)
        yield family


def _keys_of(queue: str) -> list[str]:
    registries = [registry.key_template.format(queue) for registry in REGISTRIES]
    return [
        f"{Queue.redis_queue_namespace_prefix}{queue}",
        *registries,
        WORKERS_BY_QUEUE_KEY % queue,
        *line_keys(queue),
    ]


def _fields(worker: Sequence[bytes | None]) -> dict[str, bytes]:
    """As `processes` takes it: RQ's key of a worker is `rq:worker:NAME`."""
    key, *values = worker
    assert key is not None
    named = {name: value for name, value in zip(WORKER_FIELDS, values, strict=True) if value is not None}
    return {"name": key.split(b":", 2)[-1]} | named


def _is_name(text: str) -> bool:
    return 0 < len(text) <= NAME_MAX and text.isprintable() and "\N{REPLACEMENT CHARACTER}" not in text


def _state(process: Process) -> str:
    return next((state.value for state in STATES if state.value in process.states), UNKNOWN_STATE)


def _age(since: bytes | None, now: datetime) -> float | None:
    """Seconds; None when nobody knows."""
    try:
        moment = time_of(since)
    except ValueError:
        return None
    return max(0.0, (now - moment).total_seconds()) if moment else None


def _gauge(name: str) -> GaugeMetricFamily:
    meaning, labels = QUEUE_FAMILIES[name]
    return GaugeMetricFamily(name, meaning, labels=labels)


def _counter(name: str) -> CounterMetricFamily:
    meaning, labels = QUEUE_FAMILIES[name]
    return CounterMetricFamily(name, meaning, labels=labels)
