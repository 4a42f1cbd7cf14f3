"""The service's parts as real processes, for benchmarks and drills: on free ports, killed, started again, stopped.

A `Site` is all of them but the API. Whatever it starts ends with it, and at the latest with this process.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import uuid4

import psutil
import pypdfium2
import structlog
from redis import Redis
from rq import worker_registration

from app.core.children import LAUNCH
from app.core.contract import DEFAULT_TENANT, AnswerJob
from app.core.queue.connections import VALKEY_UNAVAILABLE, connect
from app.core.queue.producer import JobNotFoundError
from app.core.queue.records import JobView
from app.core.settings import Settings
from app.embedded.ports import free_port
from app.embedded.valkey import valkey_command
from tests.support.documents import add_document
from tests.support.model_server import ModelServer
from tests.support.processes import wait_until
from tests.support.qdrant_server import command as qdrant_command
from tests.support.queue import JobQueue
from worker.index.vector_index import open_index

ROOT = Path(__file__).parents[1]
QUESTION = "What do I put in the tank to descale?"
CHUNK_CHARACTERS = 1000
STOP_SECONDS = 60.0
"""Longer than any worker's grace; a process that is still there is killed."""
POLL_SECONDS = 0.05
QUEUE_DEPTH = 1_000_000
SNAPSHOT_TRIES = 10


class Process:
    """A command as a child that this process outlives; it writes to `log`. `start` may follow `kill`."""

    def __init__(self, command: Sequence[str], *, log: Path, environment: dict[str, str]) -> None:
        self._command = [*LAUNCH, *command]
        self._log = log
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process as it runs now."""
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self) -> None:
        """Run the command in the log's folder, where no .env is."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._log.parent,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for this process, which stops its children
            )

    def kill(self) -> None:
        """SIGKILL to it and to all that it has forked."""
        if self._process is None or self._process.poll() is not None:
            return
        for process in tree(self.pid):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait(STOP_SECONDS)

    def terminate(self) -> None:
        """SIGTERM; does not wait."""
        assert self._process is not None, "not started"
        self._process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """The exit code. Raises `subprocess.TimeoutExpired`."""
        assert self._process is not None, "not started"
        return self._process.wait(seconds)

    def output(self) -> str:
        """What it has written."""
        return self._log.read_text(errors="replace")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def tree(pid: int) -> list[psutil.Process]:
    """The live process `pid` and all its descendants."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(pid: int) -> float:
    """User and system time so far of a process and all its descendants, those included that have died."""
    for _ in range(SNAPSHOT_TRIES):
        with suppress(psutil.NoSuchProcess):  # a fork that ends meanwhile is in its parent's account the next time
            return sum(sum(process.cpu_times()[:4]) for process in tree(pid))
    raise RuntimeError(f"the descendants of process {pid} come and go too fast")


class Site:
    """A Valkey, a Qdrant with a small index of data/'s pages, and a model, as processes in `folder`."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self._started = 0
        self.model = stack.enter_context(ModelServer())
        self.valkey_url = f"redis://127.0.0.1:{free_port(0)}/0"
        self.qdrant_url = f"http://127.0.0.1:{free_port(0)}"
        self.valkey = self.process("valkey", valkey_command(folder, _port(self.valkey_url)))
        self.qdrant = self.process("qdrant", qdrant_command(folder / "qdrant", _port(self.qdrant_url)))
        stated = {
            "redis_url": self.valkey_url,
            "qdrant_url": self.qdrant_url,
            "max_queue_depth": QUEUE_DEPTH,
            "answer_cache_ttl_seconds": 0,
        }
        self.settings = Settings(_env_file=None, **_defaults() | stated)
        self.connection: Redis = stack.enter_context(connect(self.valkey_url))
        self.queue = JobQueue(self.connection, self.settings)

    def start(self) -> None:
        """Start Valkey and Qdrant, and fill the index."""
        for process in (self.valkey, self.qdrant):
            self._stack.enter_context(process)
        wait_until(self.connection.ping, "Valkey answers")
        wait_until(lambda: "url" in self.qdrant.output(), "Qdrant answers")
        with closing(open_index(self.settings)) as index:
            add_document(index, *sample_chunks())

    def move_queue(self, valkey_url: str, **settings: object) -> None:
        """Let all that is started or submitted from now on use another Valkey, which runs already."""
        self.valkey_url = valkey_url
        self.settings = Settings(_env_file=None, **dict(self.settings) | {"redis_url": valkey_url} | settings)
        self.connection = self._stack.enter_context(connect(valkey_url))
        self.queue = JobQueue(self.connection, self.settings)

    def reset(self) -> None:
        """Forget all jobs and all counts."""
        self.connection.flushall()
        self.model.reset()

    def process(self, name: str, command: Sequence[str], **variables: object) -> Process:
        """A command in this site's environment, not started yet."""
        self._started += 1
        log = self.folder / f"{self._started}-{name}.log"
        return Process(command, log=log, environment=self.environment(**variables))

    def worker(self, **variables: object) -> Process:
        """One `python -m worker`, not started yet."""
        return self.process("worker", [sys.executable, "-m", "worker"], **variables)

    def environment(self, **variables: object) -> dict[str, str]:
        """This process's environment, in which only the site's settings and `variables` stand."""
        kept = without_settings()
        stated = {
            "REDIS_URL": self.valkey_url,
            "QDRANT_URL": self.qdrant_url,
            "OPENAI_BASE_URL": self.model.url,
            "EMBEDDING_MODEL": "none",  # these measure the queue; `benchmarks.retrieval` and `story` state theirs
            "MAX_QUEUE_DEPTH": QUEUE_DEPTH,
            "ANSWER_CACHE_TTL_SECONDS": 0,  # who asks the same a thousand times here means it
            "DATA_DIR": self.folder,
            "PYTHONPATH": ROOT,
            "PYTHONUNBUFFERED": 1,
            "LANGSMITH_TRACING": "false",  # nothing leaves this machine
        }
        return kept | {name: str(value) for name, value in (stated | variables).items()}

    def wait_for_worker(self, process: Process, *, processes: int = 1) -> None:
        """Wait until RQ workers of `process` are registered, or of so many of its children."""

        def registered() -> set[int]:
            return self._worker_pids() & {each.pid for each in tree(process.pid)}

        wait_until(lambda: len(registered()) >= processes, "the worker is registered")

    def _worker_pids(self) -> set[int]:
        keys = worker_registration.get_keys(connection=self.connection)
        return {int(pid) for key in keys if (pid := self.connection.hget(key, "pid"))}

    def submit(self, count: int, *, query: str = QUESTION, **settings: object) -> list[str]:
        """Put `count` questions on the queue, as an API with `settings` does; their ids in order."""
        queue = JobQueue(self.connection, self.settings.model_copy(update=settings))
        jobs = [AnswerJob(query=query, request_id=uuid4().hex) for _ in range(count)]
        return [taken.job_id for taken in queue.submit_many(jobs)]

    def last_views(self, job_ids: Sequence[str], *, seconds: float) -> list[JobView | None]:
        """Wait for each job's end; what is there after `seconds` is taken as it is, None when there is no job."""
        give_up = monotonic() + seconds
        return [self._last_view(job_id, give_up) for job_id in job_ids]

    def _last_view(self, job_id: str, give_up: float) -> JobView | None:
        while True:
            view = self.view(job_id)
            if (view is not None and view.status.is_terminal) or monotonic() > give_up:
                return view
            sleep(POLL_SECONDS)

    def view(self, job_id: str) -> JobView | None:
        """The job now; None when there is none, or when Valkey is unavailable."""
        with suppress(JobNotFoundError, *VALKEY_UNAVAILABLE):
            return self.queue.view(job_id, tenant=DEFAULT_TENANT)
        return None


def without_settings() -> dict[str, str]:
    """This process's environment without any setting of the service's."""
    settings = {field.upper() for field in Settings.model_fields}
    return {name: value for name, value in os.environ.items() if name not in settings}


_pdfium = threading.Lock()
"""pdfium crashes when two threads are in it, and drills may begin at once."""


def quiet_logs() -> None:
    """Let the benchmark's own process log warnings alone: it puts thousands of jobs on the queue, a line each."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("warning"))


@contextmanager
def open_site(*, keep_logs: Path | None = None) -> Iterator[Site]:
    """A running site in a folder of its own, which is gone at the end; its logs are copied to `keep_logs`."""
    with tempfile.TemporaryDirectory(prefix="site-") as name, ExitStack() as stack:
        folder = Path(name)
        if keep_logs is not None:
            stack.callback(_copy_logs, folder, keep_logs)
        site = Site(folder, stack)
        site.start()
        yield site


def sample_chunks() -> list[str]:
    """The words of data/'s PDFs, in pieces as long as a chunk."""
    chunks = []
    with _pdfium:
        for path in sorted((ROOT / "data").glob("*.pdf")):
            with pypdfium2.PdfDocument(path) as document:
                for page in document:
                    text = page.get_textpage().get_text_range()
                    chunks += [text[at : at + CHUNK_CHARACTERS] for at in range(0, len(text), CHUNK_CHARACTERS)]
    return chunks


def write_json(path: Path, figures: Any) -> None:
    """Write `figures` for machines."""
    path.write_text(json.dumps(figures, indent=2) + "\n")


def _defaults() -> dict[str, Any]:
    """Every setting as it is when nobody sets it: given so, the developer's environment does not count."""
    return {name: field.default for name, field in Settings.model_fields.items()}


def _copy_logs(folder: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for log in folder.glob("*.log"):
        shutil.copy(log, target)


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port
