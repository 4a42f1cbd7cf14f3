"""Conversations by OpenAI's protocol, by the official SDK: earlier messages, `previous_response_id`, `store`."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import openai
import pytest
from openai import OpenAI
from redis import Redis

from app.core.contract import QUERY_QUEUE, TURNS_READ
from app.core.queue.producer import note_key
from app.core.settings import Settings
from tests.integration.app.test_openai_protocol import sdk, working
from tests.support.acting import ActingWorker, answer
from tests.support.api import serving
from tests.support.credentials import api_key
from tests.support.processes import wait_until
from tests.support.queue import waiting

Turns = list[tuple[str, str]]
KEYS = {tenant: api_key("client", tenant=tenant) for tenant in ("acme", "other")}


@pytest.fixture(scope="module")
def api(valkey_url: str) -> Iterator[str]:
    entries = tuple(entry for _, entry in KEYS.values())
    with serving(Settings(redis_url=valkey_url, qdrant_url="http://127.0.0.1:9", api_keys=entries)) as url:
        yield f"{url}/v1"


@contextmanager
def client_of(api: str, tenant: str) -> Iterator[OpenAI]:
    with sdk(api, KEYS[tenant][0]) as client:
        yield client


@pytest.fixture
def client(api: str, valkey: Redis) -> Iterator[OpenAI]:
    with client_of(api, "acme") as client:
        yield client


@pytest.fixture
def worker(valkey: Redis) -> ActingWorker:
    return ActingWorker(valkey)


def saying(worker: ActingWorker, text: str, heard: list[Turns]) -> Callable[[str], None]:
    """Answers with `text`, and notes the turns that it was given."""

    def act(job_id: str) -> None:
        heard.append([(turn.question, turn.answer) for turn in worker.payload(job_id).turns])
        worker.wait_for_client(job_id)
        worker.start(job_id)
        worker.finish(job_id, answer(text, pages=[3]))

    return act


class Talk:
    """Asks by responses; `given` are the turns that the last question had with it."""

    def __init__(self, client: OpenAI, worker: ActingWorker) -> None:
        self.client = client
        self.worker = worker
        self.given: Turns = []

    def ask(self, question: Any, reply: str, **more: Any) -> str:
        """The response's id."""
        heard: list[Turns] = []
        with working(saying(self.worker, reply, heard), self.worker):
            response = self.client.responses.create(model="rag-queue", input=question, **more)
        [self.given] = heard
        assert response.output_text == reply
        assert response.previous_response_id == more.get("previous_response_id")
        return str(response.id)


@pytest.fixture
def talk(client: OpenAI, worker: ActingWorker) -> Talk:
    return Talk(client, worker)


# ---------------------------------------------------------------------------------------- messages

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
SAID: list[dict[str, Any]] = [
    {"role": "system", "content": "Speak like a pirate."},
    {"role": "user", "content": [{"type": "text", "text": "What is it called?"}]},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c", "content": "sEcReT"},
    {"role": "assistant", "content": [{"type": "text", "text": "The harbour. [1]"}]},
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]},
    {"role": "assistant", "content": "A ship."},
    {"role": "user", "content": "When does it open?"},
]


def test_earlier_messages_of_a_chat_are_read_as_turns(client: OpenAI, worker: ActingWorker) -> None:
    heard: list[Turns] = []
    messages: Any = SAID
    with working(saying(worker, "At six. [1]", heard), worker):
        client.chat.completions.create(model="rag-queue", messages=messages)
    assert heard == [[("What is it called?", "The harbour. [1]\nA ship.")]]


def test_a_system_message_is_the_callers_instruction(client: OpenAI, worker: ActingWorker) -> None:
    told: list[str | None] = []

    def act(job_id: str) -> None:
        told.append(worker.payload(job_id).instructions)
        saying(worker, "At six. [1]", [])(job_id)

    developer = {"role": "developer", "content": [{"type": "text", "text": "In one sentence."}]}
    for messages in ([*SAID, developer], SAID[1:], [{"role": "system", "content": "x" * 5_000}, *SAID[1:]]):
        with working(act, worker):
            sent: Any = messages
            client.chat.completions.create(model="rag-queue", messages=sent)
    assert told == ["Speak like a pirate.\n\nIn one sentence.", None, "x" * 4_000]


def test_instructions_of_a_response_come_first_and_are_shown(client: OpenAI, worker: ActingWorker) -> None:
    response = client.responses.create(
        model="rag-queue",
        instructions="Be brief.",
        input=[{"role": "system", "content": "Be kind."}, {"role": "user", "content": "?"}],
        background=True,
    )
    assert worker.payload(worker.take()).instructions == "Be brief.\n\nBe kind."
    assert response.instructions == "Be brief."
    assert client.responses.retrieve(response.id).instructions == "Be brief."
    other = client.responses.create(model="rag-queue", input="?", previous_response_id=response.id, background=True)
    assert worker.payload(worker.take()).instructions is None
    assert other.instructions is None


def test_a_long_chat_is_read_from_its_last_six_turns(client: OpenAI, worker: ActingWorker) -> None:
    heard: list[Turns] = []
    said = [(role, f"{n}{mark}") for n in range(40) for role, mark in (("user", "?"), ("assistant", "."))]
    messages: Any = [{"role": role, "content": text} for role, text in [*said, ("user", "And?")]]
    with working(saying(worker, "At six. [1]", heard), worker):
        client.chat.completions.create(model="rag-queue", messages=messages)
    assert heard == [[(f"{n}?", f"{n}.") for n in range(40 - TURNS_READ, 40)]]


def test_earlier_items_of_an_input_are_read_as_turns(talk: Talk) -> None:
    talk.ask(
        [
            {"role": "user", "content": [{"type": "input_text", "text": "What is it called?"}]},
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "function_call_output", "call_id": "c", "output": "sEcReT"},
            {
                "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": "The harbour. [1]", "annotations": []}],
            },
            {"role": "user", "content": "When does it open?"},
        ],
        "At six. [1]",
    )  # fmt: skip
    assert talk.given == [("What is it called?", "The harbour. [1]")]


# ------------------------------------------------------------------------------ previous_response_id

FIRST, SECOND, THIRD = ("Of 2023?", "Ten. [1]"), ("And of 2024?", "Twelve. [1]"), ("Why?", "Trade. [1]")


def test_a_response_continues_another_with_all_that_was_said_before(talk: Talk, client: OpenAI) -> None:
    first = talk.ask(*FIRST)
    assert talk.given == []
    second = talk.ask(*SECOND, previous_response_id=first)
    assert talk.given == [FIRST]
    third = talk.ask(*THIRD, previous_response_id=second)
    assert talk.given == [FIRST, SECOND]
    assert client.responses.retrieve(third).previous_response_id == second
    assert client.responses.retrieve(first).previous_response_id is None


def test_a_chain_forks_and_each_branch_is_its_own(talk: Talk) -> None:
    first = talk.ask(*FIRST)
    talk.ask(*SECOND, previous_response_id=first)
    other = talk.ask("And of 2022?", "Nine. [1]", previous_response_id=first)
    assert talk.given == [FIRST]
    talk.ask(*THIRD, previous_response_id=other)
    assert talk.given == [FIRST, ("And of 2022?", "Nine. [1]")]


def test_a_long_chain_is_read_from_its_last_six_turns(talk: Talk) -> None:
    last = talk.ask("0?", "0. [1]")
    for n in range(1, TURNS_READ + 3):
        last = talk.ask(f"{n}?", f"{n}. [1]", previous_response_id=last)
    assert talk.given == [(f"{n}?", f"{n}. [1]") for n in range(2, TURNS_READ + 2)]


def test_what_a_chain_began_with_and_what_comes_with_the_question_are_read_too(talk: Talk) -> None:
    before: Any = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "The warden."}]
    first = talk.ask([*before, {"role": "user", "content": FIRST[0]}], FIRST[1])
    more: Any = [{"role": "user", "content": "Hm?"}, {"role": "user", "content": SECOND[0]}]
    talk.ask(more, SECOND[1], previous_response_id=first)
    assert talk.given == [("Who?", "The warden."), FIRST, ("Hm?", "")]


def test_a_response_that_is_still_asked_is_continued_by_its_question(talk: Talk, client: OpenAI) -> None:
    first = client.responses.create(model="rag-queue", input=FIRST[0], background=True)
    talk.worker.take()
    talk.ask(*SECOND, previous_response_id=first.id)
    assert talk.given == [(FIRST[0], "")]


def test_what_was_deleted_is_not_told_again(talk: Talk, client: OpenAI) -> None:
    first = talk.ask(*FIRST)
    second = talk.ask(*SECOND, previous_response_id=first)
    client.responses.delete(first)
    talk.ask(*THIRD, previous_response_id=second)
    assert talk.given == [SECOND]


def assert_not_found(client: OpenAI, response_id: str, valkey: Redis) -> str:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="rag-queue", input="And?", previous_response_id=response_id)
    assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")
    assert len(waiting(valkey, QUERY_QUEUE)) == 0
    return str(caught.value.body)


def test_what_is_gone_unknown_or_anothers_is_continued_by_nobody_and_told_apart_by_nobody(
    talk: Talk, client: OpenAI, api: str, valkey: Redis
) -> None:
    deleted, expired, own = talk.ask(*FIRST), talk.ask(*SECOND), talk.ask(*THIRD)
    client.responses.delete(deleted)
    for key in valkey.keys(f"*{expired.removeprefix('resp_')}*"):
        valkey.delete(key)
    said = {assert_not_found(client, each, valkey) for each in (deleted, expired, "resp_none", "x", "resp_*", "")}
    with client_of(api, "other") as other:
        said.add(assert_not_found(other, own, valkey))
    assert len(said) == 1


def test_a_chat_completion_is_continued_too(talk: Talk, client: OpenAI, worker: ActingWorker) -> None:
    with working(saying(worker, FIRST[1], []), worker):
        completion = client.chat.completions.create(
            model="rag-queue", messages=[{"role": "user", "content": FIRST[0]}]
        )
    talk.ask(*SECOND, previous_response_id=completion.id.replace("chatcmpl-", "resp_"))
    assert talk.given == [FIRST]


# -------------------------------------------------------------------------------------------- store


def test_what_is_not_stored_is_gone_once_it_is_answered(talk: Talk, client: OpenAI, valkey: Redis) -> None:
    unstored = talk.ask(*FIRST, store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(unstored)
    assert_not_found(client, unstored, valkey)
    assert valkey.keys(f"*{unstored.removeprefix('resp_')}*") == []


def test_what_is_not_stored_is_gone_once_it_is_streamed(client: OpenAI, worker: ActingWorker, valkey: Redis) -> None:
    with working(saying(worker, FIRST[1], []), worker):
        events = list(client.responses.create(model="rag-queue", input=FIRST[0], store=False, stream=True))
    last: Any = events[-1]
    assert last.type == "response.completed"
    job_id = last.response.id.removeprefix("resp_")
    wait_until(lambda: valkey.keys(f"*{job_id}*") == [], "nothing is left")


def test_what_is_not_stored_is_nobodys_while_it_is_asked(client: OpenAI, worker: ActingWorker, valkey: Redis) -> None:
    with client.responses.create(model="rag-queue", input=FIRST[0], store=False, stream=True) as stream:
        created: Any = next(iter(stream))
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(created.response.id)
    job_id = created.response.id.removeprefix("resp_")
    wait_until(lambda: valkey.keys(f"*{job_id}*") == [], "who has left leaves nothing behind")


def test_what_is_not_stored_can_continue_what_is(talk: Talk) -> None:
    first = talk.ask(*FIRST)
    talk.ask(*SECOND, previous_response_id=first, store=False)
    assert talk.given == [FIRST]


def test_what_is_not_stored_is_kept_for_no_other_question(
    client: OpenAI, worker: ActingWorker, valkey: Redis
) -> None:
    with client.responses.create(model="rag-queue", input="?", store=False, stream=True):
        assert worker.payload(worker.take()).cache == "off"


def test_a_hostile_note_is_none(talk: Talk, client: OpenAI, valkey: Redis) -> None:
    first = talk.ask(*FIRST)
    job_id = first.removeprefix("resp_")
    for chain in (["x"] * 7, ["../x"], [1], "x"):
        valkey.set(note_key(job_id), json.dumps({"chain": chain}))
        talk.ask(*SECOND, previous_response_id=first)
        assert talk.given == [FIRST]
