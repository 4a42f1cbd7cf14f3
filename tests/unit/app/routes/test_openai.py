"""OpenAI's protocol without a server: numbers of events, restarted answers, citations and error shapes."""

import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app import problems
from app.core.contract import Citation, JobStatus
from app.core.errors import RETRYABLE, ErrorCode, JobError
from app.core.event_log import Event
from app.core.events import EventType, encode
from app.core.queue.producer import QueueFullError
from app.core.queue.records import JobView
from app.routes.openai.citations import annotations
from app.routes.openai.errors import OpenAIRoute, job_failed
from app.routes.openai.jobs import RestartedError, Transcript
from app.routes.openai.notes import ResponseNote
from app.routes.openai.questions import collection_of, model_of
from app.routes.openai.response_events import ResponseEvents, StreamEvent
from app.routes.openai.response_objects import ResponseMaker
from tests.support.acting import answer

MOMENT = datetime(2026, 11, 21, tzinfo=UTC)
BASE = "https://rag.example/"
QUEUED = JobView(
    job_id="j1",
    kind="answer",
    status=JobStatus.QUEUED,
    position=1,
    attempt=0,
    stage=None,
    done=None,
    total=None,
    enqueued_at=MOMENT,
    started_at=None,
    ended_at=None,
    result=None,
    error=None,
)
FINISHED = replace(
    QUEUED, status=JobStatus.FINISHED, ended_at=MOMENT, result=answer("At six. [1]", pages=[3]), position=None
)
Entry = tuple[EventType, dict[str, Any]]
START: Entry = (EventType.STARTED, {})
RETRIEVED: Entry = (EventType.RETRIEVED, {})
END: Entry = (EventType.ENDED, {})


def say(text: str) -> Entry:
    return EventType.DELTA, {"text": text}


def log_of(*entries: Entry, first: int = 1) -> list[Event]:
    return [Event(n, kind, encode(data)) for n, (kind, data) in enumerate(entries, start=first)]


def stream_of(log: list[Event], ended: JobView | None = FINISHED, seen: JobView = QUEUED) -> list[StreamEvent]:
    """What a client that meets the job in the state `seen` is sent."""
    events = ResponseEvents(seen, ResponseMaker(ResponseNote(), BASE))
    sent = events.begin()
    for event in log:
        sent += events.feed(event)
    return sent + (events.end(ended) if ended else [])


def numbers(events: list[StreamEvent]) -> list[int]:
    return [event["sequence_number"] for event in events]


def texts(events: list[StreamEvent]) -> list[tuple[int, str]]:
    return [(e["output_index"], e["delta"]) for e in events if e["type"] == "response.output_text.delta"]


USUAL = log_of(START, RETRIEVED, say("At "), say("six. [1]"), END)


def test_numbers_have_no_gap_but_for_the_retrieval() -> None:
    assert numbers(stream_of(USUAL)) == [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12]


def test_a_client_that_comes_late_is_sent_the_same_events() -> None:
    assert stream_of(USUAL, seen=FINISHED) == stream_of(USUAL)


def test_a_log_without_its_end_is_numbered_as_with_it() -> None:
    assert stream_of(USUAL[:-1]) == stream_of(USUAL)


def test_a_log_that_lost_its_beginning_keeps_the_numbers_of_the_rest() -> None:
    whole = {event["sequence_number"]: event for event in stream_of(USUAL)}
    rest = stream_of(USUAL[3:])
    assert len(rest) == 8
    for event in rest:
        assert whole[event["sequence_number"]]["type"] == event["type"]


def test_a_later_attempt_goes_on_where_its_words_are_the_same() -> None:
    log = log_of(START, say("At s"), START, say("At"), say(" six"), say(". [1]"), END)
    assert texts(stream_of(log)) == [(0, "At s"), (0, "ix"), (0, ". [1]")]


def test_a_later_attempt_with_other_words_is_another_message() -> None:
    log = log_of(START, say("At five"), START, say("At "), say("six. [1]"), END)
    events = stream_of(log)
    assert texts(events) == [(0, "At five"), (1, "At "), (1, "six. [1]")]
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "At six. [1]"


def test_an_attempt_that_wrote_less_than_the_one_before_is_another_message() -> None:
    events = stream_of(log_of(START, say("At six. [1] Or"), START, say("At six. [1]"), END))
    assert texts(events) == [(0, "At six. [1] Or"), (1, "At six. [1]")]


def test_marks_that_the_last_check_changed_are_right_in_the_end() -> None:
    events = stream_of(log_of(START, say("At six. [1][2]"), END))
    [done] = [event for event in events if event["type"] == "response.output_text.done"]
    assert done["text"] == "At six. [1]"
    assert texts(events) == [(0, "At six. [1][2]")]


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_numbers_rise_and_a_prefix_of_the_log_gives_a_prefix_of_the_events(seed: int) -> None:
    chance = random.Random(seed)
    entries: list[Entry] = [START]
    for _ in range(chance.randrange(40)):
        pieces = [START, RETRIEVED, *(say(text) for text in ("At ", "six.", " [1]", "A", "No"))]
        entries.append(chance.choice(pieces))
    log = log_of(*entries)
    sent = stream_of(log)
    assert numbers(sent) == sorted(set(numbers(sent)))
    part = stream_of(log[: chance.randrange(len(log) + 1)], ended=None)
    assert sent[: len(part)] == part
    open_messages = [e["type"] for e in sent if e["type"].startswith("response.output_item")]
    assert open_messages == ["response.output_item.added", "response.output_item.done"] * (len(open_messages) // 2)


@pytest.mark.parametrize(
    ("view", "last", "status"),
    [
        (replace(QUEUED, status=JobStatus.STOPPED), "response.incomplete", "cancelled"),
        (
            replace(QUEUED, status=JobStatus.FAILED, error=JobError.of(ErrorCode.INTERNAL)),
            "response.failed",
            "failed",
        ),
        (
            replace(QUEUED, status=JobStatus.FAILED, error=JobError.of(ErrorCode.CONTENT_FILTERED)),
            "response.incomplete",
            "incomplete",
        ),
        (
            replace(QUEUED, status=JobStatus.FINISHED, error=JobError.of(ErrorCode.PAYLOAD_INVALID)),
            "response.failed",
            "failed",
        ),
    ],
)
def test_without_an_answer_the_last_event_says_why(view: JobView, last: str, status: str) -> None:
    event = stream_of(log_of(START, END), ended=view)[-1]
    assert (event["type"], event["response"]["status"]) == (last, status)


def test_a_transcript_is_the_answer_however_it_is_cut_and_begun_again() -> None:
    text = "At six, in winter. [1]"
    chance = random.Random(1)
    for _ in range(200):
        transcript, read = Transcript(), ""
        for _ in range(chance.randrange(1, 4)):
            transcript.restart()
            end = chance.randrange(len(text) + 1)
            cuts = sorted(chance.randrange(end + 1) for _ in range(3))
            for start, stop in zip([0, *cuts], [*cuts, end], strict=True):
                read += transcript.add(text[start:stop])
        assert read + transcript.finish(text) == text


def test_a_transcript_sees_other_words() -> None:
    transcript = Transcript("At five")
    transcript.restart()
    assert transcript.add("At ") == ""
    with pytest.raises(RestartedError):
        transcript.add("six")
    with pytest.raises(RestartedError):
        transcript.finish("At six")


def citation(n: int, url: str | None, document_id: str = "d1") -> Citation:
    return Citation(n=n, document_id=document_id, filename="a.pdf", page=2, quote="x", score=1.0, url=url)


def test_each_mark_of_a_citation_is_an_annotation() -> None:
    text = "Ünder [1][2] and [1], not [3] or [x]."
    found = annotations(text, [citation(1, "/documents/d1/file#page=2"), citation(2, None)], BASE)
    assert [text[each.start_index : each.end_index] for each in found] == ["[1]", "[2]", "[1]"]
    assert [each.url for each in found] == [
        "https://rag.example/documents/d1/file#page=2",
        "https://rag.example/documents/d1#page=2",
        "https://rag.example/documents/d1/file#page=2",
    ]


@pytest.mark.parametrize(
    ("pages", "title"),
    [
        ({}, "a.pdf, page 2"),
        ({"last_page": 3}, "a.pdf, pages 2-3"),
        ({"page_label": "iv"}, "a.pdf, page iv (2)"),
        ({"last_page": 3, "page_label": "iv-v"}, "a.pdf, pages iv-v (2-3)"),
    ],
)
def test_an_annotation_is_titled_by_its_pages_as_people_call_them(pages: dict[str, Any], title: str) -> None:
    [found] = annotations("[1]", [citation(1, None).model_copy(update=pages)], BASE)
    assert found.title == title


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://evil.example/", "evil.example", ""])
def test_an_annotation_leads_nowhere_else(url: str) -> None:
    [found] = annotations("[1]", [citation(1, url, document_id="../x?y")], BASE)
    assert found.url == "https://rag.example/documents/..%2Fx%3Fy#page=2"


@pytest.mark.parametrize("url", ["//evil.example/x", "/\\evil.example/x", "/@evil.example"])
def test_a_path_stays_on_this_host(url: str) -> None:
    [found] = annotations("[1]", [citation(1, url)], BASE)
    assert found.url.startswith("https://rag.example/")


@pytest.mark.parametrize("code", ErrorCode)
def test_a_failed_job_is_not_to_be_tried_again_by_itself(code: ErrorCode) -> None:
    """The worker has: a client's own attempts would multiply. A person is told when to come back."""
    error = job_failed(JobError.of(code))
    assert error.status >= 500 or code is ErrorCode.MODEL_RATE_LIMITED
    assert error.headers is not None
    assert error.headers["x-should-retry"] == "false"
    assert ("Retry-After" in error.headers) == (code in RETRYABLE)


@pytest.mark.parametrize("name", ["default", "a", "a:b", "A.b_c-d"])
def test_a_models_name_is_its_collections(name: str) -> None:
    assert collection_of(model_of(name)) == name


def test_errors_below_the_route_have_its_shape_and_the_applications_headers() -> None:
    app = FastAPI()
    problems.install(app)

    async def full() -> None:
        raise QueueFullError(3)

    async def broken() -> None:
        raise KeyError("secret")

    app.router.routes.append(OpenAIRoute("/full", full))
    app.router.routes.append(OpenAIRoute("/broken", broken))
    with TestClient(app, raise_server_exceptions=False) as client:
        response = client.get("/full")
        assert response.status_code == 503
        assert response.headers["retry-after"]
        assert response.headers["content-type"] == "application/json"
        assert response.json()["error"]["code"] == "queue_full"
        unexpected = client.get("/broken")
        assert unexpected.status_code == 500
        assert "secret" not in unexpected.text
