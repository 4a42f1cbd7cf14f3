"""What becomes of jobs when something is killed, away, slow or wrong: `python -m benchmarks.drill [NAME ...]`.

Each drill starts real processes (Valkey with its append-only file, the embedded Qdrant, a model server, workers),
does the damage, waits for every job, and prints what became of them. `--scale 0.1` makes all drills smaller.

The model server tells what the queue can't: how often the model was asked, and how often it answered to the end.
"""

import argparse
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeVar

import httpx
import orjson
import psutil

from app.core.contract import DEFAULT_TENANT, AnswerJob, JobStatus
from app.core.errors import ErrorCode
from app.core.queue.batches import LINES_MAX, OVER
from app.core.queue.records import JobView
from app.embedded.ports import free_port
from app.routes.openai.errors import job_cancelled
from benchmarks.support import QUESTION, Process, Site, open_site, quiet_logs, sample_chunks
from benchmarks.three_hosts import cut_during_ingest, cut_during_questions, open_three_hosts, over_a_slow_link
from tests.support.documents import add_document
from tests.support.hosts import unable
from tests.support.model_server import Stats
from tests.support.processes import wait_until
from tests.support.sentinels import DOWN_AFTER_MS, watched
from worker.index.vector_index import open_index

TOKENS = 20
"""Length of every answer, so that the model's count of tokens tells how many answers reached their end."""
PATIENCE_SECONDS = 180.0
"""A job that has not ended after so long is lost."""
RECOVERY_SECONDS = 30.0
"""Aim: how long a killed worker may delay its jobs."""
CANCEL_SECONDS = 2.0
"""Aim: how long a cancelled job may go on."""
ASK_SECONDS = 0.1
STOPPED_LINE = job_cancelled().body.error.code
"""What a batch's error file says of a line whose job was stopped."""
BATCH_MEGABYTES = 64
"""Aim: what a batch of any length may add to an API process: a window of its lines, and what checks its names."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of a drill's jobs, and with which codes they failed.

    `answered` counts the model's answers that reached their end.
    """

    jobs: int
    finished: int
    failed: int
    stopped: int
    lost: int
    run_twice: int
    model_calls: int
    answered: int
    seconds_to_last: float
    codes: frozenset[str]

    def __str__(self) -> str:
        codes = f" ({', '.join(sorted(self.codes))})" if self.codes else ""
        return (
            f"{self.jobs} jobs in, {self.finished} finished, {self.failed} failed{codes}, {self.stopped} stopped, "
            f"{self.lost} lost, {self.run_twice} run twice; the last after {self.seconds_to_last:.1f} s; "
            f"{self.model_calls} model calls, {self.answered} answered"
        )


@dataclass(frozen=True, slots=True)
class Ends:
    """What became of questions and documents together, of which no more is counted."""

    jobs: int
    finished: int
    lost: int
    model_calls: int

    def __str__(self) -> str:
        return f"{self.jobs} jobs in, {self.finished} finished, {self.lost} lost; {self.model_calls} model calls"


@dataclass(frozen=True, slots=True)
class Report:
    """A drill's result: passed when every one of `checks` holds."""

    tally: Tally | Ends
    checks: dict[str, bool]
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether the drill met its aim."""
        return all(self.checks.values())


class SkippedError(Exception):
    """This machine can't run a drill; the message says why."""


T = TypeVar("T")
Drill = Callable[[Site, float], Report]


def kill_worker(site: Site, scale: float = 1) -> Report:
    """SIGKILL a worker process with 64 jobs running, another one alive."""
    jobs = scaled(64, scale)
    settings = {"CHAT_MODEL": chat_model(f"hang={jobs}x-ttft=1s"), "WORKER_CONCURRENCY": jobs}
    with site.worker(**settings) as doomed:
        job_ids = site.submit(jobs)
        wait_for_calls(site, jobs)
        with site.worker(**settings) as other:
            site.wait_for_worker(other)
            doomed.kill()
            tally = collect(site, job_ids, since=datetime.now(UTC), attempts_implied=2)
    in_time = f"the last within {RECOVERY_SECONDS:g} s of what the jobs need (1 s)"
    return Report(tally, all_finished(tally) | {in_time: tally.seconds_to_last <= RECOVERY_SECONDS + 1})


def kill_only_worker(site: Site, scale: float = 1) -> Report:
    """SIGKILL the only worker with as many jobs running as waiting, start one a minute later."""
    running = scaled(64, scale)
    settings = {"CHAT_MODEL": chat_model(f"hang={running}x-ttft=1s"), "WORKER_CONCURRENCY": running}
    with site.worker(**settings) as doomed:
        job_ids = site.submit(2 * running)
        wait_for_calls(site, running)
        doomed.kill()
    sleep(60 * scale)
    with site.worker(**settings):
        tally = collect(site, job_ids, since=datetime.now(UTC), attempts_implied=2)
    return Report(tally, all_finished(tally))


def kill_often(site: Site, scale: float = 1) -> Report:
    """SIGKILL one of two busy workers ten times, each in the middle of 100 short jobs: also between pop and start."""
    kills, batch = scaled(10, scale), 100
    settings = {"CHAT_MODEL": chat_model("ttft=100ms"), "WORKER_CONCURRENCY": 16}
    job_ids: list[str] = []
    with site.worker(**settings), site.worker(**settings) as mortal:
        for _ in range(kills):
            site.wait_for_worker(mortal)
            job_ids += site.submit(batch)
            wait_for_answers(site, len(job_ids) - batch // 2)
            mortal.kill()
            mortal.start()
        tally = collect(site, job_ids, attempts_implied=kills)
    return Report(tally, all_finished(tally), [f"killed {kills} times"])


def terminate_worker(site: Site, scale: float = 1) -> Report:
    """SIGTERM during 64 jobs, as many waiting; then another worker."""
    running = scaled(64, scale)
    settings = {"CHAT_MODEL": chat_model("ttft=4s"), "WORKER_CONCURRENCY": running}
    with site.worker(**settings) as leaving:
        job_ids = site.submit(2 * running)
        wait_for_calls(site, running)
        leaving.terminate()
        exit_code, left_after = timed(leaving.wait)
    with site.worker(**settings):
        tally = collect(site, job_ids)
    checks = all_finished(tally) | none_twice(tally) | {"exit code 0": exit_code == 0}
    return Report(tally, checks, [f"the worker left after {left_after:.1f} s"])


def terminate_past_grace(site: Site, scale: float = 1) -> Report:
    """SIGTERM during 64 jobs that do not end within the grace; then another worker."""
    return _put_back(site, scaled(64, scale), signals=1, grace_seconds=2)


def terminate_twice(site: Site, scale: float = 1) -> Report:
    """SIGTERM twice during 64 jobs; then another worker."""
    return _put_back(site, scaled(64, scale), signals=2, grace_seconds=60)


def _put_back(site: Site, jobs: int, *, signals: int, grace_seconds: int) -> Report:
    settings = {
        "CHAT_MODEL": chat_model(f"hang={jobs}x-ttft=1s"),
        "WORKER_CONCURRENCY": jobs,
        "SHUTDOWN_GRACE_SECONDS": grace_seconds,
    }
    with site.worker(**settings) as leaving:
        job_ids = site.submit(jobs)
        wait_for_calls(site, jobs)
        leaving.terminate()
        if signals == 2:
            wait_until(lambda: "worker_stopping" in leaving.output(), "the worker has seen the first signal")
            leaving.terminate()
        _, left_after = timed(leaving.wait)
    with site.worker(**settings):
        tally = collect(site, job_ids, attempts_implied=2)
    left_in_time = {"the worker left within 15 s": left_after <= 15}
    return Report(tally, all_finished(tally) | left_in_time, [f"the worker left after {left_after:.1f} s"])


def kill_valkey(site: Site, scale: float = 1) -> Report:
    """SIGKILL Valkey in the middle of 500 jobs, restart it after 5 s, while the API goes on taking questions."""
    jobs = scaled(500, scale)
    settings = {"CHAT_MODEL": chat_model("ttft=1s"), "WORKER_CONCURRENCY": max(2, jobs // 16)}
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(site.worker(**settings))
        client = stack.enter_context(Client(site))
        job_ids = site.submit(jobs)
        client.start()
        wait_for_answers(site, jobs // 4)
        site.valkey.kill()
        sleep(5)
        site.valkey.start()
        api_back_after = client.wait_for_next()
        client.stop()
        tally = collect(site, job_ids + client.job_ids, attempts_implied=2)
    checks = all_ended(tally) | {"the API came back by itself within 10 s": api_back_after <= 10}
    notes = [
        f"{len(client.job_ids)} of the jobs were taken by the API, which refused {client.refused} meanwhile",
        f"the API took the next {api_back_after:.1f} s after the restart",
    ]
    return Report(tally, checks, notes)


def sentinel_failover(site: Site, scale: float = 1) -> Report:
    """SIGKILL the master in the middle of 500 questions that a replica has; its Sentinels name another one."""
    jobs, replicas = scaled(500, scale), 2
    settings = {"CHAT_MODEL": chat_model("ttft=1s"), "WORKER_CONCURRENCY": max(2, jobs // 16)}
    with ExitStack() as stack:
        stores = stack.enter_context(watched(site.folder, replicas=replicas))
        site.move_queue(stores.url, min_replicas_to_ack=1)
        for _ in range(2):
            stack.enter_context(site.worker(**settings))
        client = stack.enter_context(Client(site, MIN_REPLICAS_TO_ACK=1))
        job_ids = site.submit(jobs)
        client.start()
        wait_for_answers(site, jobs // 4)
        stores.master.kill()
        api_back_after = client.wait_for_next()
        client.stop()
        tally = collect(site, job_ids + client.job_ids, attempts_implied=2)
    checks = all_finished(tally) | {"the API came back by itself within 10 s": api_back_after <= 10}
    notes = [
        f"{len(client.job_ids)} of the jobs were taken by the API, which refused {client.refused} meanwhile",
        f"the API took the next {api_back_after:.1f} s after the kill; a Sentinel waits {DOWN_AFTER_MS} ms here",
    ]
    return Report(tally, checks, notes)


def qdrant_unavailable(site: Site, scale: float = 1) -> Report:
    """Qdrant away for 10 s in the middle of 200 jobs."""
    jobs = scaled(200, scale)
    settings = {"CHAT_MODEL": chat_model("ttft=1s"), "WORKER_CONCURRENCY": max(2, jobs // 8)}
    with site.worker(**settings):
        job_ids = site.submit(jobs)
        wait_for_answers(site, jobs // 4)
        site.qdrant.kill()
        sleep(10 * scale)
        site.qdrant.start()
        tally = collect(site, job_ids, attempts_implied=site.settings.max_attempts)
    return Report(tally, all_finished(tally))


def model_errors(site: Site, scale: float = 1) -> Report:
    """The model answers 429 to 30 % and 500 to 10 % of 200 jobs; two workers share a budget of 16 calls."""
    jobs, budget = scaled(200, scale), scaled(16, scale)
    settings = {
        "CHAT_MODEL": chat_model("ttft=300ms-error429=0.3-error500=0.1"),
        "WORKER_CONCURRENCY": 2 * budget,
        "MODEL_MAX_CONCURRENCY": budget,
    }
    attempts = 20  # of the calls 40 % fail: one job in a hundred would fail five times in a row
    with site.worker(**settings), site.worker(**settings):
        job_ids = site.submit(jobs, max_attempts=attempts)
        tally = collect(site, job_ids, attempts_implied=attempts)
    most = site.model.stats()["max_in_flight"]
    checks = all_finished(tally) | none_twice(tally) | {"the budget never exceeded": most <= budget}
    return Report(tally, checks, [f"{most} calls in flight at most, with a budget of {budget}"])


def model_hangs(site: Site, scale: float = 1) -> Report:
    """The model hangs for 64 jobs; then it answers as many."""
    jobs, timeout_seconds = scaled(64, scale), 3
    settings = {
        "CHAT_MODEL": chat_model(f"hang={jobs}x-ttft=1s"),
        "WORKER_CONCURRENCY": jobs,
        "MODEL_TIMEOUT_SECONDS": timeout_seconds,
    }
    with site.worker(**settings):
        hung = site.submit(jobs, max_attempts=1)
        site.model.wait_until(lambda stats: stats["requests"] >= jobs, PATIENCE_SECONDS)
        asked_at = datetime.now(UTC)
        views = site.last_views(hung, seconds=PATIENCE_SECONDS)
        failed_after = seconds_to_last(views, asked_at)
        tally = collect(site, hung + site.submit(jobs))
    checks = {
        "those that hung failed with model_timeout": tally.failed == jobs
        and tally.codes == {ErrorCode.MODEL_TIMEOUT},
        "at the time-out": timeout_seconds - 1 <= failed_after <= timeout_seconds + 3,
        "the others finished": tally.finished == jobs,
    }
    return Report(tally, checks, [f"the last failed {failed_after:.1f} s after all were asked"])


def ten_thousand(site: Site, scale: float = 1) -> Report:
    """10,000 jobs queued, 8 worker processes."""
    jobs = scaled(10_000, scale)
    settings = {"CHAT_MODEL": chat_model("ttft=50ms"), "WORKER_CONCURRENCY": 16}
    job_ids = site.submit(jobs)
    queued_bytes = valkey_bytes(site)
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(site.worker(**settings))
        tally = collect(site, job_ids, seconds=PATIENCE_SECONDS + 0.05 * jobs)
    notes = [
        f"Valkey's memory with all queued: {queued_bytes / 2**20:.1f} MB",
        f"Valkey's memory with all finished: {valkey_bytes(site) / 2**20:.1f} MB",
    ]
    return Report(tally, all_finished(tally) | none_twice(tally), notes)


def cancel(site: Site, scale: float = 1) -> Report:
    """Cancel 50 of 100 running."""
    jobs = 2 * scaled(50, scale)
    settings = {"CHAT_MODEL": chat_model("ttft=1s-gap=400ms"), "WORKER_CONCURRENCY": jobs}
    with site.worker(**settings):
        job_ids = site.submit(jobs)
        wait_for_calls(site, jobs)
        unwanted = job_ids[::2]
        began = monotonic()
        for job_id in unwanted:
            site.queue.cancel(job_id, tenant=DEFAULT_TENANT)
        site.last_views(unwanted, seconds=PATIENCE_SECONDS)
        stopped_after = monotonic() - began
        tally = collect(site, job_ids)
    checks = {
        "half stopped": tally.stopped == jobs // 2,
        f"within {CANCEL_SECONDS:g} s": stopped_after <= CANCEL_SECONDS,
        "half finished": tally.finished == jobs // 2,
        "no more tokens paid for": tally.answered == jobs // 2,
    }
    return Report(tally, checks, [f"the last stopped after {stopped_after:.2f} s"])


def fairness(site: Site, scale: float = 1) -> Report:
    """10,000 questions of one tenant wait for 64 places; another tenant asks ten, one after another."""
    places, call_seconds = scaled(64, scale), 0.5
    settings = {"CHAT_MODEL": chat_model(f"ttft={call_seconds:g}s"), "WORKER_CONCURRENCY": places}
    with closing(open_index(site.settings)) as index:
        add_document(index, *sample_chunks(), tenant="another", document_id="another")
    with site.worker(**settings) as worker:
        site.wait_for_worker(worker)
        alone = [_asked_by_another(site) for _ in range(5)]
        flood = site.submit(scaled(10_000, scale * scale))  # on a smaller scale there are fewer places, too
        wait_for_calls(site, places)
        behind = [_asked_by_another(site) for _ in range(10 if scale == 1 else 4)]
        still_waiting = site.queue.depth()
        tally = collect(site, flood, seconds=PATIENCE_SECONDS + len(flood) / 20)
    more = max(behind) - max(alone)
    others = len(alone) + len(behind)
    tally = replace(tally, run_twice=tally.answered - tally.finished - others)
    checks = all_finished(tally) | {
        "the flood was there to the end": still_waiting > 0,
        "nobody waits for more than one call longer than alone": more <= call_seconds,
        "none run twice": tally.run_twice == 0,
    }
    notes = [
        f"alone {min(alone):.2f} to {max(alone):.2f} s, behind the flood {min(behind):.2f} to {max(behind):.2f} s, "
        f"of which {call_seconds:g} s are the model's; {still_waiting} of the flood waited still"
    ]
    return Report(tally, checks, notes)


def _asked_by_another(site: Site) -> float:
    """Seconds from a question of another tenant's to its answer."""
    began = monotonic()
    job_id = site.queue.submit(AnswerJob(query=QUESTION, tenant="another")).job_id
    wait_until(
        lambda: site.queue.view(job_id, tenant="another").status is JobStatus.FINISHED,
        "it is answered",
        seconds=PATIENCE_SECONDS,
    )
    return monotonic() - began


def three_hosts(site: Site, scale: float = 1) -> Report:
    """API, worker and stores on three hosts: the stores 200 ms away, then cut off for 10 s twice."""
    if reason := unable():
        raise SkippedError(reason)
    clients, seconds = scaled(32, scale), max(6, 10 * scale)
    with open_three_hosts(site.folder / "hosts") as three:
        near = over_a_slow_link(three, is_far=False, questions=scaled(30, scale), clients=clients, seconds=15 * scale)
        far = over_a_slow_link(three, is_far=True, questions=scaled(30, scale), clients=clients, seconds=15 * scale)
        asked = cut_during_questions(three, seconds=seconds, clients=clients)
        ingested = cut_during_ingest(three, seconds=seconds, documents=scaled(24, scale))
        stats = three.stats()
    parts = {"near": near, "far": far, "cut": asked, "cut in an ingest": ingested}
    checks = {f"{name}: {check}": holds for name, part in parts.items() for check, holds in part.checks.items()}
    notes = [f"{name}: {note}" for name, part in parts.items() for note in part.notes]
    taken, done = (sum(each) for each in zip(*((part.taken, part.done) for part in parts.values()), strict=True))
    return Report(Ends(taken, done, taken - done, stats["requests"]), checks, notes)


def batch(site: Site, scale: float = 1) -> Report:
    """A batch of 50,000 lines, its API killed twice in the middle; what that API's memory comes to."""
    lines = scaled(LINES_MAX, scale)
    rows = [_line(number) for number in range(lines)]
    with site.worker(CHAT_MODEL=chat_model("ttft=20ms"), WORKER_CONCURRENCY=64), _Api(site) as api:
        api.wait()
        file = {"file": ("lines.jsonl", b"".join(rows))}
        made = api.client.post("/v1/files", data={"purpose": "batch"}, files=file).raise_for_status().json()["id"]
        asked = {"input_file_id": made, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        batch_id = api.client.post("/v1/batches", json=asked).raise_for_status().json()["id"]
        began, kills = monotonic(), [2 * lines // 3, lines // 3]
        found = _batch_over(api, batch_id, kills)
        seconds = monotonic() - began
        output, errors = (_file_lines(api, found[f"{kind}_file_id"]) for kind in ("output", "error"))
        first, most = api.megabytes()
    tally = batch_tally(lines, output, errors, site.model.stats(), seconds)
    told = [line["custom_id"] for line in (*output, *errors)]
    counts = found["request_counts"]
    checks = all_finished(tally) | {
        "the batch completed": found["status"] == "completed",
        "none told twice": len(told) == len(set(told)),
        "as many as the batch counts": (len(output), len(errors)) == (counts["completed"], counts["failed"]),
        "none asked twice, not of what ran when the API died either": tally.run_twice == 0,
        "killed twice": not kills,
        f"the API's memory grew by {BATCH_MEGABYTES} MB at most": most - first <= BATCH_MEGABYTES,
    }
    notes = [
        f"{lines / seconds:.0f} lines/s, the waits for the dead APIs' locks among them; "
        f"the API had {first:.0f} MB, at most {most:.0f} MB",
        f"Valkey's memory at the end: {valkey_bytes(site) / 2**20:.1f} MB",
    ]
    return Report(tally, checks, notes)


def _batch_over(api: "_Api", batch_id: str, kills: list[int]) -> dict[str, Any]:
    """The batch when it is over; its API is killed when as many lines are done as `kills` says, from its end.

    Raises `TimeoutError` when for too long nothing more was done.
    """
    done, since = -1, monotonic()
    while True:
        found: dict[str, Any] = api.read(f"/v1/batches/{batch_id}").json()
        if found["status"] in OVER:
            return found
        if (count := found["request_counts"]["completed"] + found["request_counts"]["failed"]) != done:
            done, since = count, monotonic()
        if monotonic() - since > PATIENCE_SECONDS:
            raise TimeoutError(f"{found['status']}, and {done} lines were done for {PATIENCE_SECONDS:g} s")
        if kills and done >= kills[-1]:
            kills.pop()
            api.restart()
        sleep(ASK_SECONDS)


def _file_lines(api: "_Api", file_id: str | None) -> list[dict[str, Any]]:
    """What a batch's file says of its lines; nothing when there is no such file."""
    content = api.read(f"/v1/files/{file_id}/content").content if file_id is not None else b""
    return [orjson.loads(line) for line in content.splitlines()]


def batch_tally(
    lines: int, output: Sequence[Mapping[str, Any]], errors: Sequence[Mapping[str, Any]], stats: Stats, seconds: float
) -> Tally:
    """What became of a batch whose lines are named by their number, from its files and the model's counts."""
    codes = [(line["error"] or line["response"]["body"]["error"])["code"] for line in errors]
    stopped = codes.count(STOPPED_LINE)
    told = {line["custom_id"] for line in (*output, *errors)}
    answered = stats["completion_tokens"] // TOKENS
    return Tally(
        jobs=lines,
        finished=len(output),
        failed=len(errors) - stopped,
        stopped=stopped,
        lost=len({str(number) for number in range(lines)} - told),
        run_twice=max(0, answered - len(output)),
        model_calls=stats["requests"],
        answered=answered,
        seconds_to_last=seconds,
        codes=frozenset(codes),
    )


DRILLS: dict[str, Drill] = {
    drill.__name__.replace("_", "-"): drill
    for drill in (
        kill_worker,
        kill_only_worker,
        kill_often,
        terminate_worker,
        terminate_past_grace,
        terminate_twice,
        kill_valkey,
        sentinel_failover,
        qdrant_unavailable,
        model_errors,
        model_hangs,
        ten_thousand,
        cancel,
        fairness,
        three_hosts,
        batch,
    )
}


# What the drills share


class _Api:
    """A uvicorn of the site's API that is killed and started again, and what its memory comes to meanwhile."""

    def __init__(self, site: Site) -> None:
        port = free_port(0)
        command = [sys.executable, "-m", "uvicorn", "--http", "app.server:HttpProtocol", "--no-access-log"]
        command += ["--factory", "app.main:from_environment", "--port", str(port)]
        self._server = site.process("api", command, LOG_LEVEL="warning")
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120)
        self._grown: list[tuple[int, int]] = []
        """Of each process its memory when it was ready, and the most, in bytes."""

    def wait(self) -> None:
        """Until it answers."""
        wait_until(lambda: self._answers("/healthz"), "the API answers", seconds=60)
        self._grown.append((memory := self._memory(), memory))

    def read(self, path: str) -> httpx.Response:
        """What stands there; the memory is looked at, too."""
        answer = self.client.get(path).raise_for_status()
        self._grown[-1] = self._grown[-1][0], max(self._grown[-1][1], self._memory())
        return answer

    def restart(self) -> None:
        """SIGKILL, and a new one."""
        self._server.kill()
        self._server.start()
        self.wait()

    def megabytes(self) -> tuple[float, float]:
        """The least that a process began with, and the most that any had."""
        return min(first for first, _ in self._grown) / 2**20, max(most for _, most in self._grown) / 2**20

    def _answers(self, path: str) -> bool:
        with suppress(httpx.HTTPError):
            return self.client.get(path).is_success
        return False

    def _memory(self) -> int:
        return int(psutil.Process(self._server.pid).memory_info().rss)

    def __enter__(self) -> "_Api":
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self._server.kill()


def _line(number: int) -> bytes:
    body = {"model": "rag-queue", "messages": [{"role": "user", "content": QUESTION}]}
    line = {"custom_id": str(number), "method": "POST", "url": "/v1/chat/completions", "body": body}
    return orjson.dumps(line) + b"\n"


class Client:
    """A uvicorn of the site's API, and a client that asks it again and again, whatever it answers."""

    def __init__(self, site: Site, **variables: object) -> None:
        port = free_port(0)
        command = [sys.executable, "-m", "uvicorn", "--http", "app.server:HttpProtocol"]
        command += ["--factory", "app.main:from_environment", "--port", str(port)]
        self._server: Process = site.process("api", command, **variables)
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10)
        self._thread = threading.Thread(target=self._ask_on, name="client")
        self._done = threading.Event()
        self.job_ids: list[str] = []
        self.refused = 0

    def start(self) -> None:
        """Begin to ask; returns when the first question is taken."""
        self._thread.start()
        wait_until(lambda: self.job_ids, "the API takes a question")

    def wait_for_next(self) -> float:
        """Seconds until one more question is taken."""
        before = len(self.job_ids)
        _, seconds = timed(lambda: wait_until(lambda: len(self.job_ids) > before, "the API takes a question again"))
        return seconds

    def stop(self) -> None:
        """Ask no more; `job_ids` are those that were acknowledged."""
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()

    def _ask_on(self) -> None:
        while not self._done.wait(ASK_SECONDS):
            with suppress(httpx.HTTPError):
                answer = self._http.post("/chat", json={"query": QUESTION})
                if answer.status_code == httpx.codes.ACCEPTED:
                    self.job_ids.append(answer.json()["job_id"])
                else:
                    self.refused += 1

    def __enter__(self) -> "Client":
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._http.close()
        self._server.kill()


def chat_model(knobs: str) -> str:
    """A model's name for the model server."""
    return f"test-tokens={TOKENS}-{knobs}"


def scaled(count: int, scale: float) -> int:
    """`count` on the scale, but never so few that nothing is shown."""
    return max(4, round(count * scale))


def wait_for_calls(site: Site, count: int) -> None:
    """Wait until so many calls are at the model."""
    site.model.wait_until(lambda stats: stats["in_flight"] >= count, PATIENCE_SECONDS)


def wait_for_answers(site: Site, count: int) -> None:
    """Wait until the model has answered so many."""
    site.model.wait_until(lambda stats: stats["completion_tokens"] >= count * TOKENS, PATIENCE_SECONDS)


def collect(
    site: Site,
    job_ids: Sequence[str],
    *,
    since: datetime | None = None,
    attempts_implied: int = 1,
    seconds: float = PATIENCE_SECONDS,
) -> Tally:
    """Wait for all jobs and count them. `attempts_implied` is how often the drill itself makes a job start.

    A job was run twice when it started more often than that, or when the model answered it again (or answered one
    that was taken and never acknowledged). The last is timed `since` then, or since the first job came.
    """
    views = site.last_views(job_ids, seconds=seconds)
    stats = site.model.stats()
    states = [view.status if view is not None else None for view in views]
    finished = states.count(JobStatus.FINISHED)
    answered = stats["completion_tokens"] // TOKENS
    again = sum(view.attempt > attempts_implied for view in views if view is not None)
    return Tally(
        jobs=len(job_ids),
        finished=finished,
        failed=states.count(JobStatus.FAILED),
        stopped=states.count(JobStatus.STOPPED),
        lost=sum(state is None or not state.is_terminal for state in states),
        run_twice=max(again, answered - finished),
        model_calls=stats["requests"],
        answered=answered,
        seconds_to_last=seconds_to_last(views, since or first_enqueued(views)),
        codes=frozenset(view.error.code for view in views if view is not None and view.error is not None),
    )


def seconds_to_last(views: Sequence[JobView | None], since: datetime) -> float:
    """From `since` to the end of the job that ended last."""
    ends = [view.ended_at for view in views if view is not None and view.ended_at is not None]
    return (max(ends) - since).total_seconds() if ends else float("nan")


def first_enqueued(views: Sequence[JobView | None]) -> datetime:
    return min(view.enqueued_at for view in views if view is not None and view.enqueued_at is not None)


def all_ended(tally: Tally) -> dict[str, bool]:
    return {"none lost": tally.lost == 0}


def all_finished(tally: Tally) -> dict[str, bool]:
    return all_ended(tally) | {"all finished": tally.finished == tally.jobs}


def none_twice(tally: Tally) -> dict[str, bool]:
    return {"none run twice": tally.run_twice == 0}


def valkey_bytes(site: Site) -> int:
    """What Valkey says that it uses."""
    return int(site.connection.info("memory")["used_memory"])


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What `work` gives, and the seconds that it took."""
    began = monotonic()
    return work(), monotonic() - began


def show(name: str, report: Report) -> None:
    """The report, to read."""
    print(f"{'PASS' if report.passed else 'FAIL'}  {name}: {report.tally}", flush=True)
    for check, holds in report.checks.items():
        print(f"      {'yes' if holds else 'NO ':3} {check}")
    for note in report.notes:
        print(f"          {note}")


def main(argv: list[str] | None = None) -> int:
    """Exit code: 0 when every drill met its aim."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drill", description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(DRILLS)}; none means all")
    parser.add_argument("--scale", type=float, default=1.0, help="0.1: a tenth of the jobs and of the waits")
    parser.add_argument("--keep-logs", type=Path, metavar="FOLDER", help="copy the processes' logs there")
    arguments = parser.parse_args(argv)
    if unknown := set(arguments.names) - set(DRILLS):
        parser.error(f"no such drill: {', '.join(sorted(unknown))}")
    passed = []
    for name in arguments.names or DRILLS:
        with open_site(keep_logs=arguments.keep_logs) as site:
            try:
                report = DRILLS[name](site, arguments.scale)
            except SkippedError as error:
                print(f"SKIP  {name}: {error}", flush=True)
                continue
            except Exception as error:
                print(f"FAIL  {name}: {type(error).__name__}: {error}", flush=True)
                passed.append(False)
                continue
        show(name, report)
        passed.append(report.passed)
    print(f"{sum(passed)} of {len(passed)} drills passed")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    quiet_logs()
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("stopped")
