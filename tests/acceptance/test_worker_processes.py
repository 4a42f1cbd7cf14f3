"""`python -m worker --processes N`: real processes, watched by one; killed, stopped, wrongly configured."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest
from pydantic import SecretStr
from redis import Redis
from rq import worker_registration

from app.core.contract import DEFAULT_TENANT, QUERY_QUEUE, AnswerJob, JobStatus
from app.core.settings import Settings
from tests.acceptance.conftest import environment
from tests.acceptance.test_metrics import free_ports
from tests.support.documents import HANDBOOK, add_document
from tests.support.model_server import ModelServer
from tests.support.processes import wait_until
from tests.support.queue import JobQueue
from worker.index.vector_index import open_index

QUESTION = AnswerJob(query="When does the harbour open in winter?")
TWO = ["--processes", "2", "--queues", QUERY_QUEUE]


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def variables(valkey_url: str, valkey: Redis, qdrant_url: str, model: ModelServer, tmp_path: Path) -> dict[str, str]:
    """Of a service whose model takes 300 ms; each process answers four questions at once."""
    collection = f"t{uuid4().hex}"
    settings = Settings(qdrant_url=qdrant_url, qdrant_collection=collection)
    with closing(open_index(settings)) as index:
        index.ensure()
        add_document(index, *HANDBOOK)
    model.reset()
    return environment(
        tmp_path / "data",
        REDIS_URL=valkey_url,
        QDRANT_URL=qdrant_url,
        QDRANT_COLLECTION=collection,
        OPENAI_BASE_URL=model.url,
        CHAT_MODEL="test-ttft=300ms",
        WORKER_CONCURRENCY="4",
    )


@pytest.fixture
def queue(valkey: Redis, valkey_url: str, qdrant_url: str, model: ModelServer) -> JobQueue:
    """Takes questions for a model: each is asked of it anew."""
    url = SecretStr(valkey_url)
    return JobQueue(valkey, Settings(redis_url=url, qdrant_url=qdrant_url, openai_base_url=model.url))


class Workers:
    """A command of `python -m worker`, and what it has started."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    def pids(self) -> set[int]:
        """Of the children that have become workers."""
        found = set()
        for child in psutil.Process(self.process.pid).children():
            try:
                if child.cmdline()[1:3] == ["-m", "worker"]:
                    found.add(child.pid)
            except (psutil.NoSuchProcess, psutil.ZombieProcess):  # it died this moment
                continue
        return found


@contextmanager
def started(tmp_path: Path, variables: dict[str, str], *arguments: str) -> Iterator[Workers]:
    log = tmp_path / "worker.log"
    with log.open("a") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "worker", *arguments], cwd=tmp_path, env=variables, stdout=output, stderr=output
        )
    try:
        yield Workers(process, log)
    except BaseException as error:
        error.add_note(log.read_text())
        raise
    finally:
        process.kill()  # which its children's ends follow
        process.wait(30)


def busy_pids(valkey: Redis) -> set[int]:
    """Of the processes that run a job."""
    keys = worker_registration.get_keys(connection=valkey)
    found = [valkey.hmget(key, "pid", "current_job") for key in keys]
    return {int(pid) for pid, job in found if pid and job}


def are_ready(*ports: int) -> bool:
    """Whether each port has the page of a process that takes jobs."""
    try:
        return all(httpx.get(f"http://127.0.0.1:{port}/readyz").is_success for port in ports)
    except httpx.ConnectError:
        return False


def states(queue: JobQueue, ids: list[str]) -> set[JobStatus]:
    return {view.status for view in queue.views(ids, tenant=DEFAULT_TENANT)}


def test_a_killed_process_is_started_again_and_no_question_is_lost(
    valkey: Redis, queue: JobQueue, variables: dict[str, str], tmp_path: Path
) -> None:
    port = free_ports(2)
    ids = [taken.job_id for taken in queue.submit_many([QUESTION] * 60)]
    with started(tmp_path, variables | {"METRICS_PORT": str(port)}, *TWO) as workers:
        wait_until(lambda: len(busy_pids(valkey)) == 2, "both processes work")
        before = workers.pids()
        assert before == busy_pids(valkey)
        victim = psutil.Process(min(before))
        victim.kill()
        wait_until(lambda: len(workers.pids() - before) == 1, "another is started")
        wait_until(lambda: are_ready(port, port + 1), "each process has a page")
        check = [sys.executable, "-m", "worker", "--check"]
        assert subprocess.run(check, cwd=tmp_path, env=variables, timeout=30, check=False).returncode == 0
        wait_until(lambda: states(queue, ids) == {JobStatus.FINISHED}, "every question is answered")
        pids = workers.pids()
        workers.process.send_signal(signal.SIGTERM)
        assert workers.process.wait(30) == 0, workers.log.read_text()
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    said = workers.log.read_text()
    assert said.count("child_died") == 1
    assert "restart_in_seconds" in said


def test_a_second_signal_puts_back_what_runs_and_ends_at_once(
    queue: JobQueue, variables: dict[str, str], tmp_path: Path
) -> None:
    ids = [taken.job_id for taken in queue.submit_many([QUESTION] * 8)]
    variables |= {"CHAT_MODEL": "test-ttft=50s", "SHUTDOWN_GRACE_SECONDS": "50", "WORKER_PROCESSES": "2"}
    with started(tmp_path, variables, "--queues", QUERY_QUEUE) as workers:
        wait_until(lambda: workers.log.read_text().count("job_started") == len(ids), "both processes work")
        workers.process.send_signal(signal.SIGINT)
        wait_until(lambda: workers.log.read_text().count("worker_stopping") == 2, "both are told")
        assert workers.process.poll() is None, "what runs has its grace"
        workers.process.send_signal(signal.SIGTERM)
        assert workers.process.wait(20) == 1
    assert states(queue, ids) == {JobStatus.QUEUED}


def test_a_burst_ends_with_the_queue(queue: JobQueue, variables: dict[str, str], tmp_path: Path) -> None:
    ids = [taken.job_id for taken in queue.submit_many([QUESTION] * 8)]
    with started(tmp_path, variables, *TWO, "--burst") as workers:
        assert workers.process.wait(30) == 0, workers.log.read_text()
    assert states(queue, ids) == {JobStatus.FINISHED}
    assert "child_died" not in workers.log.read_text()


def test_a_wrong_configuration_ends_all_at_once(variables: dict[str, str], tmp_path: Path) -> None:
    with started(tmp_path, variables | {"WORKER_PROCESSES": "many"}) as workers:
        assert workers.process.wait(30) == 2
    assert "WORKER_PROCESSES: must be auto or a number from 1 to 256" in workers.log.read_text()
    port = free_ports(2)
    with (
        socket.create_server(("127.0.0.1", port + 1)),
        started(tmp_path, variables | {"METRICS_PORT": str(port)}, *TWO) as workers,
    ):
        assert workers.process.wait(30) == 2
    said = workers.log.read_text()
    assert f"METRICS_PORT: cannot listen on 127.0.0.1, port {port + 1}" in said
    assert "child_died" not in said, "it was started again"
