"""`conversation` of OpenAI's protocol, from end to end: the official SDK, the API, a real worker, a real index."""

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI
from openai.types.responses import Response
from redis import Redis

from app.core.settings import Settings
from tests.integration.worker.test_openai_worker import QUESTION, settings, work
from tests.support.api import serving
from tests.support.credentials import api_key

__all__ = ["settings"]

KEYS = {tenant: api_key("client", tenant=tenant) for tenant in ("default", "other")}
FOLLOW_UP = "And who has the keys of the chart room?"


@pytest.fixture
def api(settings: Settings, valkey: Redis) -> Iterator[str]:
    keys = tuple(entry for _, entry in KEYS.values())
    with serving(settings.model_copy(update={"api_keys": keys})) as url:
        yield f"{url}/v1"


@pytest.fixture
def client(api: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=api, api_key=KEYS["default"][0], max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture
def other(api: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=api, api_key=KEYS["other"][0], max_retries=0, timeout=60) as client:
        yield client


def said(client: OpenAI, settings: Settings, question: str, model: str = "test", **more: Any) -> Response:
    """The response to `question`, as `model` answers it; "test-echo" answers with its prompt."""
    created = client.responses.create(model="rag-queue", input=question, background=True, **more)
    work(settings.model_copy(update={"chat_model": model}))
    return client.responses.retrieve(created.id)


def test_a_conversation_is_made_asked_in_read_and_deleted(client: OpenAI, settings: Settings) -> None:
    conversation = client.conversations.create()
    first = said(client, settings, QUESTION, conversation=conversation.id)
    assert first.conversation is not None
    assert first.conversation.id == conversation.id
    second = said(client, settings, FOLLOW_UP, "test-echo", conversation={"id": conversation.id})
    assert QUESTION in second.output_text
    assert client.conversations.retrieve(conversation.id).id == conversation.id
    items: list[Any] = list(client.conversations.items.list(conversation.id, order="asc"))
    assert [(item.role, item.content[0].text) for item in items[:3]] == [
        ("user", QUESTION),
        ("assistant", first.output_text),
        ("user", FOLLOW_UP),
    ]
    assert items[1].content[0].annotations[0].title == "handbook.pdf, page 1"
    page = client.conversations.items.list(conversation.id, limit=1)
    assert [item.id for item in page] == [item.id for item in reversed(items)]
    assert client.conversations.delete(conversation.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.conversations.retrieve(conversation.id)
    with pytest.raises(openai.NotFoundError):
        client.conversations.items.list(conversation.id)
    with pytest.raises(openai.NotFoundError):
        client.conversations.delete(conversation.id)


def test_a_conversation_is_its_tenants_alone(client: OpenAI, other: OpenAI, settings: Settings) -> None:
    said(client, settings, QUESTION, conversation="ours")
    for refused in (other.conversations.retrieve, other.conversations.items.list, other.conversations.delete):
        with pytest.raises(openai.NotFoundError) as anothers:
            refused("ours")
        with pytest.raises(openai.NotFoundError) as unknown:
            refused("unknown")
        assert anothers.value.body == unknown.value.body
    assert QUESTION not in said(other, settings, FOLLOW_UP, "test-echo", conversation="ours").output_text


def test_what_is_not_stored_is_told_what_was_said_and_is_not_kept(client: OpenAI, settings: Settings) -> None:
    said(client, settings, QUESTION, conversation="c")
    before = [item.id for item in client.conversations.items.list("c")]
    asked: Any = {"model": "rag-queue", "input": FOLLOW_UP, "conversation": "c", "store": False}
    with client.responses.create(**asked, stream=True) as stream:
        work(settings.model_copy(update={"chat_model": "test-echo"}))
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
    assert QUESTION in text
    assert [item.id for item in client.conversations.items.list("c")] == before


def test_it_is_the_conversation_of_the_services_own_routes(client: OpenAI, settings: Settings, api: str) -> None:
    said(client, settings, QUESTION, conversation="c")
    key = {"Authorization": f"Bearer {KEYS['default'][0]}"}
    kept = httpx.get(f"{api.removesuffix('/v1')}/conversations/c", headers=key).json()
    assert [turn["question"] for turn in kept["turns"]] == [QUESTION]


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"conversation": "../x"}, "conversation"),
        ({"conversation": {}}, "conversation"),
        ({"conversation": {"id": 7}}, "conversation"),
        ({"conversation": "c", "previous_response_id": "resp_1"}, "previous_response_id"),
    ],
)
def test_what_names_no_conversation_is_refused(client: OpenAI, asked: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(**{"model": "rag-queue", "input": "?", **asked})
    assert caught.value.param == param


@pytest.mark.parametrize("given", [{"metadata": {"a": "b"}}, {"items": [{"role": "user", "content": "?"}]}])
def test_what_a_conversation_can_not_be_made_with_is_refused(client: OpenAI, given: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.conversations.create(**given)
    assert caught.value.param in given
