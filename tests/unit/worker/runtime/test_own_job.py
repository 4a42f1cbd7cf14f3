"""What is read of a job's record in Valkey: no more than a limit, and no field that RQ acts on unseen."""

import inspect
import pickle
import re
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from fakeredis import FakeRedis
from rq.exceptions import DeserializationError
from rq.job import Job

from app.core.contract import QUERY_QUEUE, SEARCH_JOB
from app.core.queue.packing import UNPACKED_BYTES_MAX
from worker.runtime.own_job import COMMANDS, NotOwnJobError, OwnJob

OWN = pickle.dumps((SEARCH_JOB, None, ({"query": "x"},), {}))
HARMLESS = {
    *("data", "origin", "description", "meta", "status", "result", "exc_info", "group_id", "worker_name"),
    *("created_at", "enqueued_at", "started_at", "ended_at", "last_heartbeat"),
    *("timeout", "ttl", "result_ttl", "failure_ttl", "allow_dependency_failures"),
    *("success_callback_timeout", "failure_callback_timeout", "stopped_callback_timeout"),
    *("enqueue_at_front", "enqueue_at_front_on_retry", "number_of_retries", "retries_left", "retry_intervals"),
    "repeat_intervals",  # without `repeats_left` there is nothing to repeat
}
"""Fields that say when and how a job is run and kept, or what came of it."""
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "once": zlib.compress,
    "twice": lambda data: zlib.compress(zlib.compress(data)),
    "not at all": lambda data: data,
}


def restored(**fields: bytes) -> OwnJob:
    job = OwnJob("j", FakeRedis())
    record = {"data": OWN, "origin": QUERY_QUEUE.encode()} | fields
    job.restore({name.encode(): value for name, value in record.items()})
    return job


def test_every_field_that_rq_reads_is_known() -> None:
    read = set(re.findall(r"obj(?:\.get\(|\[)'(\w+)'", inspect.getsource(Job.restore)))
    assert len(read) > 20
    assert read == HARMLESS | set(COMMANDS)


def test_a_job_of_ours_is_read() -> None:
    job = restored()
    job.check(QUERY_QUEUE)
    assert (job.func_name, list(job.args)) == (SEARCH_JOB, [{"query": "x"}])


@pytest.mark.parametrize("way", PACKED)
@pytest.mark.parametrize("field", ["data", "exc_info"])
def test_what_is_longer_than_the_limit_is_not_unpacked(field: str, way: str) -> None:
    large = PACKED[way](b"x" * (64 * UNPACKED_BYTES_MAX))
    tracemalloc.start()
    try:
        job = restored(**{field: large})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * UNPACKED_BYTES_MAX
    if field == "data":
        with pytest.raises(DeserializationError):
            job.check(QUERY_QUEUE)


@pytest.mark.parametrize(
    "call",
    [
        ("os.system", None, ({},), {}),
        (None, None, ({},), {}),
        ([SEARCH_JOB], None, ({},), {}),
        (SEARCH_JOB, "an instance", ({},), {}),
        (SEARCH_JOB, None, ({},), {"more": 1}),
        (SEARCH_JOB, None, ({},), None),
        (SEARCH_JOB, None, ({}, {}), {}),
        (SEARCH_JOB, None, (), {}),
        (SEARCH_JOB, None, {"payload": {}}, {}),
        (SEARCH_JOB, None, "x", {}),
    ],
    ids=str,
)
def test_what_is_more_or_less_than_a_function_of_ours_and_its_payload_is_refused(call: object) -> None:
    with pytest.raises(NotOwnJobError):
        restored(data=pickle.dumps(call)).check(QUERY_QUEUE)


def test_whoever_reads_a_refused_job_is_refused_again() -> None:
    job = restored(data=pickle.dumps(("os.system", None, ("true",), {})))
    for read in (lambda: job.check(QUERY_QUEUE), lambda: job.func, lambda: job.args, lambda: job.func_name):
        with pytest.raises(NotOwnJobError):
            read()
