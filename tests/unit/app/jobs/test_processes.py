"""Worker processes from RQ's registrations: one a process, however many threads and queues it has."""

from datetime import UTC, datetime

import pytest

from app.jobs.processes import processes


def worker(name: str, **fields: str) -> dict[str, bytes]:
    stated = {"name": name, "hostname": "h", "pid": "7", "state": "idle", "birth": "2026-11-26T10:00:00.000000Z"}
    return {key: value.encode() for key, value in (stated | fields).items()}


def test_threads_of_one_process_are_one_process() -> None:
    [found] = processes(
        [
            ("rag_queries", worker("abc.rag_queries.0.00000000")),
            ("rag_queries", worker("abc.rag_queries.1.0000000a", state="busy", current_job="j1")),
            ("rag_ingest", worker("abc.rag_ingest.0.0000000b", birth="2026-11-26T09:00:00.000000Z",
                                  last_heartbeat="2026-11-26T11:00:00.000000Z")),
        ]
    )  # fmt: skip
    assert (found.name, found.hostname, found.pid, found.threads) == ("abc", "h", 7, 3)
    assert found.queues == {"rag_queries", "rag_ingest"}
    assert found.running == ["j1"]
    assert found.started_at == datetime(2026, 11, 26, 9, tzinfo=UTC)
    assert found.heartbeat_at == datetime(2026, 11, 26, 11, tzinfo=UTC)


def test_containers_whose_processes_all_have_number_1_stay_apart() -> None:
    found = processes([("rag_queries", worker(f"{name}.rag_queries.0.00000000", pid="1")) for name in ("a", "b")])
    assert [process.name for process in found] == ["a", "b"]


def test_rqs_own_worker_of_two_queues_is_one_thread() -> None:
    [found] = processes(
        [(queue, worker("stock", state="busy", current_job="j")) for queue in ("rag_ingest", "rag_queries")]
    )
    assert (found.name, found.threads, found.running) == ("stock", 1, ["j"])


def test_a_job_that_an_idle_worker_had_is_not_running() -> None:
    [found] = processes([("rag_queries", worker("w", current_job="old"))])
    assert found.running == []


def test_what_is_hostile_in_a_registration_is_shown_as_text_and_no_more() -> None:
    [found] = processes(
        [("rag_queries", {"name": b"\xff" * 999, "pid": b"\xff", "birth": b"never", "hostname": b"<b>"})]
    )
    assert (len(found.name), found.pid, found.started_at, found.hostname) == (200, None, None, "<b>")


def test_what_threads_have_done_is_their_processs() -> None:
    done = {"successful_job_count": "3", "failed_job_count": "1", "total_working_time": "1.5"}
    [found] = processes(
        [
            ("rag_queries", worker("abc.rag_queries.0.00000000", **done)),
            ("rag_queries", worker("abc.rag_queries.1.0000000a", **done, state="busy")),
        ]
    )
    assert (found.succeeded, found.failed, found.working_seconds) == (6, 2, 3.0)
    assert found.states == {"idle", "busy"}


@pytest.mark.parametrize("number", ["", "-1", "nan", "inf", "1e400", "9" * 200, "\u0661", "x", "1_0"])
def test_counts_that_are_no_numbers_count_nothing(number: str) -> None:
    done = dict.fromkeys(("successful_job_count", "failed_job_count"), number)
    [found] = processes([("rag_queries", worker("w", **done, total_working_time=number.replace("_", "x")))])
    assert (found.succeeded, found.failed, found.working_seconds) == (0, 0, 0.0)
