"""What KEDA reads of Valkey by the chart: as many jobs as wait and run, with the rights that the how-to gives it."""

import os
import re
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ResponseError
from rq.registry import StartedJobRegistry

from app.core.contract import QUERY_QUEUE, AnswerJob
from app.core.settings import Settings
from tests.support import ROOT
from tests.support.conversations import VALKEY
from tests.support.helm import KEDA, MISSING, helm, rendered
from tests.support.queue import JobQueue

LENGTH = """
local sizes = {zset = 'zcard', list = 'llen', none = 'llen'}
return redis.call(sizes[redis.call('type', KEYS[1]).ok], KEYS[1])
"""
"""As KEDA's scaler asks for a key's length, whatever it is."""


@pytest.fixture
def keda(valkey: Redis) -> Any:
    """A client with the rights that the how-to gives to KEDA."""
    [rights] = re.findall(r"`(~rq:queue:.+)`", (ROOT / "docs/how-to/kubernetes.md").read_text())
    valkey.execute_command("ACL", "SETUSER", "keda", "on", ">k", *rights.split())  # type: ignore[no-untyped-call]
    with Redis.from_url(os.environ[VALKEY].replace("//", "//keda:k@"), protocol=3) as client:
        yield client
    valkey.acl_deluser("keda")


@pytest.mark.skipif(helm() is None, reason=MISSING)
@pytest.mark.parametrize("running", [0, 3])
def test_keda_counts_every_job_that_waits_or_runs(valkey: Redis, keda: Any, running: int) -> None:
    jobs = JobQueue(valkey, Settings())
    jobs.submit_many([AnswerJob(query=f"What is {number}?") for number in range(12)])
    for number in range(running):
        valkey.zadd(StartedJobRegistry.key_template.format(QUERY_QUEUE), {f"job{number}:execution": 2**40})
    [scaled] = [
        found["spec"]
        for found in rendered("-a", KEDA)
        if found["kind"] == "ScaledObject" and found["metadata"]["name"].endswith("-questions")
    ]
    names = scaled["advanced"]["scalingModifiers"]["formula"].split(" + ")
    keys = {trigger["name"]: trigger["metadata"]["listName"] for trigger in scaled["triggers"]}
    assert sum(keda.eval(LENGTH, 1, keys[name]) for name in names) == 12 + running
    assert jobs.depth() == 12


def test_keda_reads_nothing_else(valkey: Redis, keda: Any) -> None:
    job = JobQueue(valkey, Settings()).submit(AnswerJob(query="What?")).job_id
    for command in (("HGETALL", f"rq:job:{job}"), ("LRANGE", "rq:queue:rag_queries", 0, -1), ("KEYS", "*"),
                    ("EVAL", "return redis.call('hgetall', KEYS[1])", 1, f"rq:job:{job}"),
                    ("EVAL", "return redis.call('del', KEYS[1])", 1, "rq:queue:rag_queries")):  # fmt: skip
        with pytest.raises(ResponseError, match=r"(?i)no permissions|keys that"):
            keda.execute_command(*command)
