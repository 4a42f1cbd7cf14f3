"""Worker processes, from what their RQ workers say of themselves: one of ours registers a worker for each thread."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from rq.worker.base import WorkerStatus

from app.core.queue.records import time_of

OF_A_THREAD = re.compile(r"(?P<process>.+)\.(?P<queue>[^.]+)\.[0-9]+\.[0-9a-f]{8}")
"""How `worker.concurrent` names the RQ worker of one thread."""
TEXT_MAX = 200
PID_DIGITS_MAX = 10
COUNT_DIGITS_MAX = 15
SECONDS_MAX = 1e12


@dataclass(slots=True)
class Process:
    """One process; `running` are the ids of the jobs that its threads run, `states` RQ's words for what each does.

    The counts are RQ's own of jobs, and of seconds spent on them, where they were read.
    """

    name: str
    hostname: str
    pid: int | None
    queues: set[str] = field(default_factory=set)
    threads: int = 0
    running: list[str] = field(default_factory=list)
    started_at: datetime | None = None
    heartbeat_at: datetime | None = None
    states: set[str] = field(default_factory=set)
    succeeded: int = 0
    failed: int = 0
    working_seconds: float = 0.0


def processes(workers: Iterable[tuple[str, Mapping[str, bytes]]]) -> list[Process]:
    """The processes of `workers`, each a queue and an RQ worker as `JobQueue.workers` gives it; by host and name.

    Two threads are of one process when they agree on its name, host and number: a container's may all be number 1.
    """
    found: dict[tuple[str, str, str], Process] = {}
    seen: set[tuple[str, str]] = set()
    for queue, worker in workers:
        name, host, pid = (_text(worker.get(part)) for part in ("name", "hostname", "pid"))
        ours = OF_A_THREAD.fullmatch(name)
        process_name = ours["process"] if ours else name
        process = found.setdefault((host, pid, process_name), Process(process_name, host, _pid(pid)))
        process.queues.add(queue)
        if (host + pid, name) in seen:  # RQ's own worker, which serves several queues
            continue
        seen.add((host + pid, name))
        process.threads += 1
        if worker.get("state") == WorkerStatus.BUSY.value.encode():
            process.running.append(_text(worker.get("current_job")))
        process.started_at = _earlier(process.started_at, _time(worker.get("birth")))
        process.heartbeat_at = _later(process.heartbeat_at, _time(worker.get("last_heartbeat")))
        process.states.add(_text(worker.get("state")))
        process.succeeded += _count(worker.get("successful_job_count"))
        process.failed += _count(worker.get("failed_job_count"))
        process.working_seconds += _seconds(worker.get("total_working_time"))
    return [found[key] for key in sorted(found)]


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min(one, other) if one and other else one or other


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(one, other) if one and other else one or other


def _text(value: bytes | None) -> str:
    return (value or b"")[:TEXT_MAX].decode(errors="replace")


def _count(value: bytes | None) -> int:
    return int(value) if value and value.isdigit() and len(value) <= COUNT_DIGITS_MAX else 0


def _seconds(value: bytes | None) -> float:
    try:
        seconds = float(value or 0)
    except ValueError:
        return 0.0
    return seconds if 0 <= seconds < SECONDS_MAX else 0.0


def _pid(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= PID_DIGITS_MAX else None


def _time(value: bytes | None) -> datetime | None:
    try:
        return time_of(value)
    except ValueError:
        return None
