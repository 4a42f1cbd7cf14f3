"""Waiting for a job and following it: each client sees every event once, whenever it comes and however often."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from redis import Redis
from rq.job import Job
from rq.job import JobStatus as RqStatus

from app.core.contract import AnswerResult, Timings, Usage
from app.core.events import APPEND, EventType, encode, log_key
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from tests.support.api import serving
from tests.support.processes import wait_until
from tests.support.sse import ServerSentEvent, events_of

RESULT = AnswerResult(
    answer="Six.",
    mode="extractive",
    grounded=False,
    citations=(),
    model=None,
    usage=Usage(),
    timings_ms=Timings(queued=1, retrieval=2, generation=3, total=6),
).model_dump(mode="json")


@pytest.fixture
def api(valkey: Redis, valkey_url: str) -> Iterator[httpx.Client]:
    settings = Settings(redis_url=valkey_url, qdrant_url="http://127.0.0.1:9")
    with serving(settings) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


def ask(api: httpx.Client, **headers: str) -> str:
    return str(api.post("/chat", json={"query": "?"}, headers=headers).json()["job_id"])


def append(valkey: Redis, job_id: str, event: EventType, **data: Any) -> None:
    valkey.eval(APPEND, 1, log_key(job_id), event.value, encode(data), 1000, 60)


def start(valkey: Redis, job_id: str) -> None:
    valkey.hset(Job.key_for(job_id), "status", RqStatus.STARTED.value)
    append(valkey, job_id, EventType.STARTED, attempt=1)


def finish(valkey: Redis, job_id: str, *, with_event: bool = True) -> None:
    job = Job.fetch(job_id, connection=valkey, serializer=PlainSerializer)
    with valkey.pipeline() as pipeline:
        job._result = RESULT
        job._handle_success(60, pipeline)
        pipeline.execute()
    if with_event:
        append(valkey, job_id, EventType.ENDED)


def follow(api: httpx.Client, job_id: str, seen: list[ServerSentEvent], **options: Any) -> None:
    with api.stream("GET", f"/stream/{job_id}", **options) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        seen.extend(events_of(response.iter_lines()))


def subscribers(valkey: Redis, job_id: str) -> int:
    return int(valkey.pubsub_numsub(log_key(job_id))[0][1])


def test_a_result_is_waited_for(api: httpx.Client, valkey: Redis) -> None:
    job_id = ask(api)
    with ThreadPoolExecutor(2) as pool:
        waits = [
            pool.submit(api.get, f"/result/{job_id}", params={"wait": 30}),
            pool.submit(api.get, f"/job-status/{job_id}", params={"wait": 30}),
        ]
        wait_until(lambda: subscribers(valkey, job_id) == 1, "both wait over one subscription")
        start(valkey, job_id)
        finish(valkey, job_id)
        result, status = (wait.result(10) for wait in waits)
    assert (result.status_code, result.json()["result"]["answer"]) == (200, "Six.")
    assert status.json()["status"] == "finished"
    wait_until(lambda: subscribers(valkey, job_id) == 0, "nobody is subscribed any more")


def test_a_wait_that_is_over_says_so(api: httpx.Client) -> None:
    response = api.get(f"/result/{ask(api)}", params={"wait": 1})
    assert (response.status_code, response.json()["status"]) == (202, "queued")
    assert response.headers["retry-after"]


def test_prefer_wait_answers_with_the_result(api: httpx.Client, valkey: Redis) -> None:
    def work() -> None:
        wait_until(lambda: valkey.llen("rq:queue:rag_queries"), "the question waits")
        waiting: Any = valkey.lrange("rq:queue:rag_queries", 0, -1)
        [job_id] = waiting
        wait_until(lambda: subscribers(valkey, job_id.decode()) == 1, "its client waits")
        finish(valkey, job_id.decode())

    worker = threading.Thread(target=work)
    worker.start()
    response = api.post("/chat", json={"query": "?"}, headers={"Prefer": "respond-async, wait=30"})
    worker.join()
    assert (response.status_code, response.json()["result"]["answer"]) == (200, "Six.")
    assert response.headers["preference-applied"] == "wait=30"


def test_prefer_wait_that_is_over_is_accepted(api: httpx.Client) -> None:
    response = api.post("/chat", json={"query": "?"}, headers={"Prefer": "wait=1"})
    assert (response.status_code, response.json()["status"]) == (202, "queued")
    assert response.headers["preference-applied"] == "wait=1"


def test_a_stream_has_every_event_in_order_once(api: httpx.Client, valkey: Redis) -> None:
    job_id = ask(api)
    start(valkey, job_id)
    append(valkey, job_id, EventType.RETRIEVED, hits=[])
    seen: list[ServerSentEvent] = []
    follower = threading.Thread(target=follow, args=(api, job_id, seen))
    follower.start()
    wait_until(lambda: subscribers(valkey, job_id) == 1, "the client follows")
    for word in ("Six", "."):
        append(valkey, job_id, EventType.DELTA, text=word)
    finish(valkey, job_id)
    follower.join(10)
    assert [(event.id, event.event) for event in seen] == [
        (0, "job.queued"),
        (1, "job.started"),
        (2, "retrieval.completed"),
        (3, "answer.delta"),
        (4, "answer.delta"),
        (5, "answer.completed"),
    ]
    assert "".join(event.data["text"] for event in seen if event.event == "answer.delta") == "Six."
    assert seen[-1].data["result"] == RESULT


def test_a_stream_resumes_after_any_event_and_then_has_nothing_more(api: httpx.Client, valkey: Redis) -> None:
    job_id = ask(api)
    start(valkey, job_id)
    append(valkey, job_id, EventType.DELTA, text="Six.")
    finish(valkey, job_id)
    for after, ids in ((0, [1, 2, 3]), (1, [2, 3]), (2, [3])):
        by_header: list[ServerSentEvent] = []
        follow(api, job_id, by_header, headers={"Last-Event-ID": str(after)})
        by_query: list[ServerSentEvent] = []
        follow(api, job_id, by_query, params={"starting_after": after})
        assert [event.id for event in by_header] == ids
        assert by_header == by_query
    assert api.get(f"/stream/{job_id}", headers={"Last-Event-ID": "3"}).status_code == 204


def test_two_replicas_show_the_same_events(api: httpx.Client, valkey: Redis, valkey_url: str) -> None:
    job_id = ask(api)
    start(valkey, job_id)
    first: list[ServerSentEvent] = []
    second: list[ServerSentEvent] = []
    settings = Settings(redis_url=valkey_url, qdrant_url="http://127.0.0.1:9")
    with serving(settings) as url, httpx.Client(base_url=url, timeout=30) as other:
        followers = [
            threading.Thread(target=follow, args=arguments)
            for arguments in ((api, job_id, first), (other, job_id, second))
        ]
        for follower in followers:
            follower.start()
        wait_until(lambda: subscribers(valkey, job_id) == 2, "each replica is subscribed")
        for number in range(300):
            append(valkey, job_id, EventType.DELTA, text=str(number))
        finish(valkey, job_id)
        for follower in followers:
            follower.join(10)
    assert first == second
    assert [event.id for event in first] == list(range(303))


def test_a_stream_survives_a_lost_subscription(api: httpx.Client, valkey: Redis) -> None:
    job_id = ask(api)
    start(valkey, job_id)
    seen: list[ServerSentEvent] = []
    follower = threading.Thread(target=follow, args=(api, job_id, seen))
    follower.start()
    wait_until(lambda: subscribers(valkey, job_id) == 1, "the client follows")
    valkey.client_kill_filter(_type="pubsub")
    append(valkey, job_id, EventType.DELTA, text="while nobody listened")
    wait_until(lambda: subscribers(valkey, job_id) == 1, "the API listens again")
    append(valkey, job_id, EventType.DELTA, text="later")
    finish(valkey, job_id)
    follower.join(10)
    assert [event.id for event in seen] == [0, 1, 2, 3, 4]


def test_a_stock_workers_end_is_found_in_the_record(
    api: httpx.Client, valkey: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = ask(api)
    start(valkey, job_id)
    finish(valkey, job_id, with_event=False)
    seen: list[ServerSentEvent] = []
    follow(api, job_id, seen)
    assert [(event.id, event.event) for event in seen] == [
        (0, "job.queued"),
        (1, "job.started"),
        (2, "answer.completed"),
    ]
    assert api.get(f"/stream/{job_id}", headers={"Last-Event-ID": "2"}).status_code == 204


def test_a_client_that_leaves_stops_nothing(api: httpx.Client, valkey: Redis) -> None:
    job_id = ask(api)
    start(valkey, job_id)
    with api.stream("GET", f"/stream/{job_id}") as response:
        lines = response.iter_lines()  # kept: httpx hangs up when it is dropped
        next(lines)
        wait_until(lambda: subscribers(valkey, job_id) == 1, "the client follows")
    wait_until(lambda: subscribers(valkey, job_id) == 0, "the subscription is given up")
    assert api.get(f"/job-status/{job_id}").json()["status"] == "started"


def test_hostile_events_are_not_passed_on(api: httpx.Client, valkey: Redis) -> None:
    job_id = ask(api)
    start(valkey, job_id)
    for data in ('{"text": "x"}\n\nevent: job.failed', "[1]", "no json", ""):
        valkey.xadd(log_key(job_id), {"t": "answer.delta", "d": data}, id="0-*")
    valkey.xadd(log_key(job_id), {"t": "answer.delta\nid: 9", "d": "{}"}, id="0-*")
    valkey.publish(log_key(job_id), b"x")
    finish(valkey, job_id)
    seen: list[ServerSentEvent] = []
    follow(api, job_id, seen)
    assert [event.event for event in seen] == ["job.queued", "job.started", "answer.completed"]


def test_a_cancelled_job_ends_its_stream(api: httpx.Client, valkey: Redis) -> None:
    job_id = ask(api)
    seen: list[ServerSentEvent] = []
    follower = threading.Thread(target=follow, args=(api, job_id, seen))
    follower.start()
    wait_until(lambda: subscribers(valkey, job_id) == 1, "the client follows")
    assert api.post(f"/jobs/{job_id}/cancel").json()["status"] == "stopped"
    follower.join(10)
    assert [event.event for event in seen] == ["job.queued", "job.stopped"]
