"""Every way in which a part of the service reaches Valkey takes every address that REDIS_URL may be."""

import ast
import asyncio
import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

import httpx
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from app.core.contract import AnswerJob, JobStatus
from app.core.queue import connections, sentinel
from app.core.queue.acknowledged import NotReplicatedError, Replicas
from app.core.queue.connections import VALKEY_UNREACHABLE, connect, connect_async
from app.core.queue.pipelined import Link
from app.core.queue.producer import Idempotency, JobQueue
from app.core.services import redis_url
from app.core.settings import Settings
from app.jobs.waiters import Waiters
from app.metrics.queues import QueueCollector, connect_for_metrics
from tests.acceptance.conftest import ask, documents, environment
from tests.support import ROOT
from tests.support.api import serving
from tests.support.processes import wait_until
from tests.support.sentinels import NAME, Watched, watched
from tests.support.tls import make_certificate
from tests.support.tls_relay import tls_relays
from worker.runtime.budget import Budget, Limits

PASSWORD = "p@ss:w/o%rd&#"
SENTINEL_PASSWORD = "s3nt/inel&"


@dataclass(frozen=True)
class Place:
    """One Valkey by each of its addresses. `ca` vouches for it, `other_ca` for another."""

    stores: Watched
    ports: dict[str, int]
    ca: Path
    other_ca: Path

    def settings(self, address: str, **more: Any) -> dict[str, Any]:
        """The settings that name it by `address`, one of `ADDRESSES`."""
        login = f":{quote(PASSWORD, safe='')}@"
        tls_sentinels = ",".join(f"localhost:{self.ports[f'sentinel {n}']}" for n in range(3))
        named: dict[str, dict[str, Any]] = {
            "redis": {"redis_url": f"redis://{login}127.0.0.1:{self.stores.master.port}/0"},
            "rediss": {
                "redis_url": f"rediss://{login}localhost:{self.ports['master']}/0",
                "redis_ca_file": str(self.ca),
            },
            "redis+sentinel": {
                "redis_url": f"{self.stores.url}?{urlencode({'sentinel_password': SENTINEL_PASSWORD})}"
            },
            "rediss+sentinel": {
                "redis_url": f"rediss+sentinel://{tls_sentinels}/{NAME}/0",
                "redis_password": PASSWORD,
                "redis_ca_file": str(self.ca),
                "redis_sentinel_password": SENTINEL_PASSWORD,
            },
        }
        return named[address] | more


ADDRESSES = ("redis", "rediss", "redis+sentinel", "rediss+sentinel")


@pytest.fixture(scope="module", autouse=True)
def _patience() -> Iterator[None]:
    """No connection is given up where the machine is busy: asyncio leaves one that is amid TLS open."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sentinel, "SENTINEL_TIMEOUT_SECONDS", 30.0)
        patch.setattr(connections, "CONNECT_TIMEOUT_SECONDS", 30.0)
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("stores")
    ca = make_certificate(folder / "ca.pem", "localhost", "127.0.0.1")
    other_ca = make_certificate(folder / "other.pem", "localhost", "127.0.0.1")
    with watched(folder, password=PASSWORD, sentinel_password=SENTINEL_PASSWORD) as stores:
        sentinels = {f"sentinel {number}": one.port for number, one in enumerate(stores.sentinels)}
        ports = {"master": stores.master.port, **sentinels}
        with tls_relays(ca, ports, dict.fromkeys(sentinels, "master")) as relays:
            yield Place(stores, relays, ca, other_ca)


def blocking_client(settings: Settings) -> None:
    with connect(redis_url(settings)) as connection:
        assert connection.set("k", "v")


def pool_of_the_api(settings: Settings) -> None:
    async def run() -> None:
        async with connect_async(redis_url(settings)) as valkey:
            assert await valkey.set("k", "v")

    asyncio.run(run())


def link_of_the_api(settings: Settings) -> None:
    async def run() -> None:
        async with connect_async(redis_url(settings)) as valkey, aclosing(JobQueue(valkey, settings)) as queue:
            taken = await queue.submit(AnswerJob(query="So?"))
            assert (await queue.view(taken.job_id, tenant="default")).status is JobStatus.QUEUED

    asyncio.run(run())


def subscription_of_the_api(settings: Settings) -> None:
    async def run() -> None:
        async with connect_async(redis_url(settings)) as valkey, aclosing(JobQueue(valkey, settings)) as queue:
            waiters = Waiters(valkey, queue)
            waiters.start()
            try:
                async with waiters.attach("job") as attachment:
                    assert attachment.has_gap
            finally:
                await waiters.aclose()

    asyncio.run(run())


def page_of_metrics(settings: Settings) -> None:
    with connect_for_metrics(redis_url(settings)) as connection:
        assert list(QueueCollector(connection, settings).collect())


def budget_of_the_workers(settings: Settings) -> None:
    limited = settings.model_copy(update={"model_requests_per_minute": 9, "openai_base_url": "http://h"})
    with connect(redis_url(settings)) as connection:
        assert Budget(connection, Limits.of(limited), lease_seconds=5).spend_request()


WAYS: dict[str, Callable[[Settings], None]] = {
    way.__name__: way
    for way in (
        blocking_client,
        pool_of_the_api,
        link_of_the_api,
        subscription_of_the_api,
        page_of_metrics,
        budget_of_the_workers,
    )
}
"""In this process; `test_the_commands` has the others."""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("address", ADDRESSES)
def test_every_way_takes_every_address(place: Place, address: str, way: str) -> None:
    WAYS[way](Settings(**place.settings(address)))
    gc.collect()  # a connection that was left open is told now, and not in whichever test comes next


def test_clients_of_valkey_are_made_in_one_place() -> None:
    """Whoever calls `connect` or `connect_async` takes every address; nobody else makes a client."""
    makers = {"Redis", "StrictRedis", "AsyncRedis", "ConnectionPool", "from_url", "from_pool", "Sentinel"}
    found = {
        str(path.relative_to(ROOT))
        for package in ("app", "worker", "ingest")
        for path in (ROOT / package).rglob("*.py")
        if "redis" in (text := path.read_text())
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and (getattr(node.func, "id", None) or getattr(node.func, "attr", "")) in makers
    }
    assert found == {"app/core/queue/connections.py", "app/core/queue/sentinel.py"}


@pytest.mark.parametrize("address", ["rediss", "rediss+sentinel"])
@pytest.mark.parametrize("ca", ["another's", "the system's"])
def test_a_valkey_for_whom_nobody_vouches_is_not_talked_to(place: Place, address: str, ca: str) -> None:
    settings = place.settings(address)
    settings["redis_ca_file"] = str(place.other_ca) if ca == "another's" else None
    with pytest.raises(RedisConnectionError) as refused:
        blocking_client(Settings(**settings))
    assert PASSWORD not in str(refused.value)
    with pytest.raises(VALKEY_UNREACHABLE):
        pool_of_the_api(Settings(**settings))


def test_a_certificate_of_another_host_is_refused(place: Place, tmp_path: Path) -> None:
    elsewhere = make_certificate(tmp_path / "elsewhere.pem", "valkey.example")
    with tls_relays(elsewhere, {"master": place.stores.master.port}) as relays:
        url = f"rediss://:{quote(PASSWORD, safe='')}@localhost:{relays['master']}"
        with pytest.raises(RedisConnectionError, match="certificate"):
            blocking_client(Settings(redis_url=url, redis_ca_file=elsewhere))


def test_wrong_passwords_are_not_shown(place: Place) -> None:
    sentinels = ",".join(f"127.0.0.1:{one.port}" for one in place.stores.sentinels)
    for login, sentinel_password in ((":hunter2@", SENTINEL_PASSWORD), (f":{quote(PASSWORD, safe='')}@", "hunter2")):
        url = f"redis+sentinel://{login}{sentinels}/{NAME}"
        settings = Settings(redis_url=url, redis_sentinel_password=sentinel_password)
        with pytest.raises(RedisConnectionError) as refused:
            blocking_client(settings)
        assert "hunter2" not in repr(refused.value)


@pytest.mark.parametrize("address", ADDRESSES)
def test_who_has_another_password_is_told_so(place: Place, address: str) -> None:
    """And not over again, as the connection is made anew to see why."""
    named = place.settings(address)
    named["redis_url"] = named["redis_url"].replace(quote(PASSWORD, safe=""), "hunter2")
    named |= {"redis_password": "hunter2"} if "redis_password" in named else {}
    with pytest.raises(RedisConnectionError):
        blocking_client(Settings(**named))
    with pytest.raises(VALKEY_UNREACHABLE):
        pool_of_the_api(Settings(**named))


def test_the_commands_take_it_too(place: Place, qdrant_url: str, tmp_path: Path) -> None:
    """API, `python -m worker`, its --check, `python -m ingest`, `python -m app env`, and RQ's own commands."""
    named = place.settings("rediss+sentinel", qdrant_url=qdrant_url, qdrant_collection=f"t{uuid4().hex}")
    named |= {"worker_concurrency": 2, "ingest_concurrency": 1, "webhook_concurrency": 1}
    variables = environment(tmp_path / "data", **{name.upper(): str(value) for name, value in named.items()})

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=60, check=False
        )

    exported = run(sys.executable, "-m", "app", "env")
    assert exported.returncode == 0, exported.stderr
    shell = f"unset REDIS_CA_FILE REDIS_SENTINEL_PASSWORD REDIS_PASSWORD\n{exported.stdout}"
    rq = ["bash", "-c", f"{shell}\nexec rq worker rag_queries"]
    with (
        serving(Settings(**named)) as url,
        httpx.Client(base_url=url, timeout=10) as client,
        _worker("rq", rq, tmp_path, variables),
        _worker("own", [sys.executable, "-m", "worker"], tmp_path, variables),
    ):
        done = run(sys.executable, "-m", "ingest", str(documents(tmp_path / "pdfs")))
        assert done.returncode == 0, done.stderr
        with connect(redis_url(Settings(**named))) as connection:
            wait_until(lambda: connection.scard("rq:workers:rag_queries") == 4, "the workers of both are there")
        assert run(sys.executable, "-m", "worker", "--check").returncode == 0
        assert ask(client, "When does the harbour open in winter?")["result"]["citations"][0]["page"] == 1


@contextmanager
def _worker(name: str, command: list[str], folder: Path, variables: dict[str, str]) -> Iterator[None]:
    log = folder / f"{name}.log"
    with log.open("w") as output:
        worker = subprocess.Popen(command, cwd=folder, env=variables, stdout=output, stderr=output)
    try:
        yield
    finally:
        worker.terminate()
        assert worker.wait(30) == 0, log.read_text()
    for secret in (PASSWORD, SENTINEL_PASSWORD, "Traceback"):
        assert secret not in log.read_text()


# What replicas have


@contextmanager
def _silent(stores: Watched) -> Iterator[None]:
    """The replicas say nothing, for less long than a Sentinel would wait."""
    pids = [replica.process.pid for replica in stores.replicas if replica.process is not None]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@pytest.fixture
def confirmed(place: Place) -> Settings:
    return Settings(**place.settings("redis+sentinel", min_replicas_to_ack=1))


def test_a_question_is_taken_when_a_replica_has_it(confirmed: Settings, place: Place) -> None:
    with serving(confirmed) as url, httpx.Client(base_url=url, timeout=10) as client:
        assert client.post("/chat", json={"query": "So?"}).status_code == 202
        with _silent(place.stores):
            refused = client.post("/chat", json={"query": "So?"})
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
        assert refused.json()["type"] == "urn:problem:queue-not-replicated"
        with _silent(place.stores):
            kept = client.post("/chat", json={"query": "So?"}, headers={"Idempotency-Key": "again"})
            again = client.post("/chat", json={"query": "So?"}, headers={"Idempotency-Key": "again"})
        assert (kept.status_code, again.status_code) == (503, 503)
        taken = client.post("/chat", json={"query": "So?"}, headers={"Idempotency-Key": "again"})
        assert taken.status_code == 202
        assert taken.headers["Idempotent-Replayed"] == "true"
        assert client.get(taken.json()["urls"]["status"]).json()["status"] == "queued"


def test_who_asks_without_a_key_has_no_second_job_running(confirmed: Settings, place: Place) -> None:
    async def run() -> list[JobStatus]:
        async with connect_async(redis_url(confirmed)) as valkey, aclosing(JobQueue(valkey, confirmed)) as queue:
            before = await queue.depth()
            with _silent(place.stores), pytest.raises(NotReplicatedError):
                await queue.submit(AnswerJob(query="So?"))
            assert await queue.depth() == before
            with _silent(place.stores):
                tried = await asyncio.gather(
                    *[queue.submit(AnswerJob(query="So?")) for _ in range(50)], return_exceptions=True
                )
            assert {type(each) for each in tried} == {NotReplicatedError}
            assert await queue.depth() == before
            taken = await asyncio.gather(*[queue.submit(AnswerJob(query="So?")) for _ in range(50)])
            return [(await queue.view(each.job_id, tenant="default")).status for each in taken]

    assert asyncio.run(run()) == [JobStatus.QUEUED] * 50


def test_other_requests_do_not_wait_for_the_replicas(confirmed: Settings, place: Place) -> None:
    async def run() -> None:
        async with connect_async(redis_url(confirmed)) as valkey, aclosing(JobQueue(valkey, confirmed)) as queue:
            await queue.depth()
            with _silent(place.stores):
                asking = asyncio.create_task(queue.submit(AnswerJob(query="So?"), idempotency=Idempotency("o", "k")))
                await asyncio.sleep(0.1)  # it waits for a whole second
                async with asyncio.timeout(0.5):
                    for _ in range(20):
                        await queue.link.call("PING")
                assert not asking.done()
                with pytest.raises(NotReplicatedError):
                    await asking

    asyncio.run(run())


def test_a_job_that_the_master_does_not_know_is_not_there_however_many_replicas_answer(confirmed: Settings) -> None:
    """After a failover: the new master has replicas, but may never have seen the job."""

    async def run() -> list[bool]:
        async with connect_async(redis_url(confirmed)) as valkey, aclosing(_Replicas(valkey, 1)) as replicas:
            await valkey.set("rq:job:there", "1")
            return list(await asyncio.gather(replicas.have("rq:job:there"), replicas.have("rq:job:gone")))

    assert asyncio.run(run()) == [True, False]


class _Replicas(Replicas):
    aclose = Replicas.close


def test_a_master_that_is_one_no_longer_is_left(place: Place) -> None:
    """Its connections are open still, and it refuses what is written: READONLY."""
    login = f":{quote(PASSWORD, safe='')}@"
    demoted = Settings(redis_url=f"redis://{login}127.0.0.1:{place.stores.replicas[0].port}/0")
    with connect(redis_url(demoted)) as connection, pytest.raises(VALKEY_UNREACHABLE):
        connection.set("k", "v")

    async def run() -> None:
        async with connect_async(redis_url(demoted)) as valkey:
            link = Link(valkey)
            assert await link.call("PING") == b"PONG"
            before = link._connection
            with pytest.raises(RedisConnectionError):
                await link.call("SET", "k", "v")
            assert await link.call("PING") == b"PONG"
            assert link._connection is not before
            await link.close()

    asyncio.run(run())
