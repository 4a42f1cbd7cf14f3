"""Jobs that no product has, for tests of the worker itself."""

from time import monotonic
from typing import Any

import pytest
from rq import get_current_job

from worker.runtime.own_job import FUNCTIONS

NAMES = frozenset(f"tests.support.jobs.{name}" for name in ("spin", "fail", "running", "nothing"))


def allow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every queue run these jobs as well, until the test is over."""
    for queue, names in FUNCTIONS.items():
        monkeypatch.setitem(FUNCTIONS, queue, names | NAMES)


def spin(payload: dict[str, Any]) -> None:
    """Compute for `seconds`, without ever blocking."""
    end = monotonic() + payload["seconds"]
    while monotonic() < end:
        pass


def fail(payload: dict[str, Any]) -> None:
    """Raise; with `retry_in_seconds`, after saying when to try again."""
    record = get_current_job()
    assert record is not None
    if payload:
        record.retry_intervals = [payload["retry_in_seconds"]]
    raise RuntimeError("on purpose")


def running(payload: dict[str, Any]) -> dict[str, Any]:
    """What stands in Valkey while this job runs, as far as it does not differ from run to run."""
    record = get_current_job()
    assert record is not None
    valkey: Any = record.connection
    [execution] = valkey.zrange(f"rq:executions:{record.id}", 0, -1)
    composite = f"{record.id}:{execution.decode()}"
    worker = f"rq:worker:{record.worker_name}"
    return {
        "fields": sorted(name.decode() for name in valkey.hkeys(record.key)),
        "status": valkey.hget(record.key, "status"),
        "job expires": valkey.ttl(record.key) > 0,
        "execution": sorted(name.decode() for name in valkey.hkeys(f"rq:execution:{composite}")),
        "execution expires": valkey.ttl(f"rq:execution:{composite}") > 0,
        "registry expires": valkey.ttl(f"rq:executions:{record.id}") > 0,
        "in wip": valkey.zscore(f"rq:wip:{record.origin}", composite) is not None,
        "worker": [valkey.hget(worker, "state"), valkey.hget(worker, "current_job") == record.id.encode()],
        "intermediate": valkey.llen(f"rq:queue:{record.origin}:intermediate"),
    }
