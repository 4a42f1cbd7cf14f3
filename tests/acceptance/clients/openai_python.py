"""The official package for Python, sync and async."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import openai
from openai import AsyncOpenAI, OpenAI

from tests.acceptance.clients.report import Answer, Failure, Link, Report, Target

FAILURES = {
    "unknown model": Failure(type="NotFoundError", status=404, code="model_not_found"),
    "wrong key": Failure(type="AuthenticationError", status=401, code="invalid_api_key"),
}
CHUNK: Any = {"include_usage": True}
ENDED = ("completed", "failed", "cancelled", "incomplete")


def _options(target: Target, key: str) -> dict[str, Any]:
    return {"base_url": target.base_url, "api_key": key, "max_retries": 0, "timeout": 60}


def chat_answer(text: str, annotations: Sequence[Any]) -> Answer:
    """Of a chat completion, whose annotations may be the package's objects or, in a delta, as they were sent."""
    plain = [each if isinstance(each, dict) else each.model_dump() for each in annotations]
    assert all(each["type"] == "url_citation" for each in plain)
    return Answer(text=text, links=[link(each["url_citation"]) for each in plain])


def response_answer(response: Any) -> Answer:
    """Of a response's one message with one text."""
    [message] = response.output
    [content] = message.content
    assert response.output_text == content.text
    return Answer(text=content.text, links=[link(each) for each in content.annotations])


def link(annotation: Any) -> Link:
    """The citation that an annotation is, the package's object or as it was sent."""
    citation = annotation if isinstance(annotation, dict) else annotation.model_dump()
    return Link(
        url=citation["url"], title=citation["title"], start=citation["start_index"], end=citation["end_index"]
    )


def failure(error: openai.APIStatusError) -> Failure:
    """The package's exception."""
    return Failure(type=type(error).__name__, status=error.status_code, code=error.code)


# ---------------------------------------------------------------------------------------------- sync


def run(target: Target) -> Report:
    """Everything, with `OpenAI`."""
    with OpenAI(**_options(target, target.key)) as client, OpenAI(**_options(target, target.wrong_key)) as stranger:
        background, states = _in_background(client, target)
        made = client.embeddings.create(model=target.embedding_model, input=list(target.texts))
        return Report(
            version=openai.__version__,
            models=[model.id for model in client.models.list()],
            answers={
                "chat": _chat(client, target),
                "chat stream": _chat_stream(client, target),
                "response": response_answer(client.responses.create(model=target.model, input=target.question)),
                "response stream": _response_stream(client, target),
                "background": response_answer(background),
            },
            failures={
                "unknown model": failure_of(lambda: client.responses.create(model=target.unknown_model, input="?")),
                "wrong key": failure_of(stranger.models.list),
            },
            background=states,
            cancelled=_cancelled(client, target),
            input_items=_input_texts([*client.responses.input_items.list(background.id)]),
            embeddings=[each.embedding for each in made.data],
        )


def _input_texts(items: Sequence[Any]) -> list[str]:
    return [part.text for item in items for part in item.content]


def _chat(client: OpenAI, target: Target) -> Answer:
    completion = client.chat.completions.create(model=target.model, messages=_messages(target))
    message = completion.choices[0].message
    return chat_answer(message.content or "", message.annotations or [])


def _chat_stream(client: OpenAI, target: Target) -> Answer:
    text = ""
    annotations: list[Any] = []
    for chunk in client.chat.completions.create(
        model=target.model, messages=_messages(target), stream=True, stream_options=CHUNK
    ):
        for choice in chunk.choices:
            text += choice.delta.content or ""
            annotations += getattr(choice.delta, "annotations", [])
    return chat_answer(text, annotations)


def _messages(target: Target) -> Any:
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": target.question}]


def _response_stream(client: OpenAI, target: Target) -> Answer:
    """The text as its deltas are joined, the citations as they are announced."""
    text, links = "", []
    with client.responses.stream(model=target.model, input=target.question) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                text += event.delta
            elif event.type == "response.output_text.annotation.added":
                links.append(link(event.annotation))
        assert response_answer(stream.get_final_response()) == Answer(text=text, links=links)
    return Answer(text=text, links=links)


def _in_background(client: OpenAI, target: Target) -> tuple[Any, list[str]]:
    response = client.responses.create(model=target.model, input=target.question, background=True)
    states = [str(response.status)]
    while response.status not in ENDED:
        response = client.responses.retrieve(response.id)
        states.append(str(response.status))
    return response, list(dict.fromkeys(states))


def _cancelled(client: OpenAI, target: Target) -> str:
    response = client.responses.create(model=target.model, input=target.held_question, background=True)
    while response.status == "queued":
        response = client.responses.retrieve(response.id)
    assert response.status == "in_progress"
    return str(client.responses.cancel(response.id).status)


def failure_of(ask: Callable[[], object]) -> Failure:
    try:
        ask()
    except openai.APIStatusError as error:
        return failure(error)
    raise AssertionError("there was no error")


# --------------------------------------------------------------------------------------------- async


def run_async(target: Target) -> Report:
    """Everything, with `AsyncOpenAI`."""
    return asyncio.run(_run(target))


async def _run(target: Target) -> Report:
    async with (
        AsyncOpenAI(**_options(target, target.key)) as client,
        AsyncOpenAI(**_options(target, target.wrong_key)) as stranger,
    ):
        chat, response, (background, states), cancelled, chat_stream, response_stream = await asyncio.gather(
            client.chat.completions.create(model=target.model, messages=_messages(target)),
            client.responses.create(model=target.model, input=target.question),
            _in_background_async(client, target),
            _cancelled_async(client, target),
            _chat_stream_async(client, target),
            _response_stream_async(client, target),
        )
        message = chat.choices[0].message
        items = [item async for item in client.responses.input_items.list(background.id)]
        made = await client.embeddings.create(model=target.embedding_model, input=list(target.texts))
        return Report(
            version=openai.__version__,
            models=[model.id async for model in client.models.list()],
            answers={
                "chat": chat_answer(message.content or "", message.annotations or []),
                "chat stream": chat_stream,
                "response": response_answer(response),
                "response stream": response_stream,
                "background": response_answer(background),
            },
            failures={
                "unknown model": await _failure_async(client.models.retrieve(target.unknown_model)),
                "wrong key": await _failure_async(stranger.responses.create(model=target.model, input="?")),
            },
            background=states,
            cancelled=cancelled,
            input_items=_input_texts(items),
            embeddings=[each.embedding for each in made.data],
        )


async def _chat_stream_async(client: AsyncOpenAI, target: Target) -> Answer:
    """Joined by the package itself."""
    annotations: list[Any] = []
    async with client.chat.completions.stream(model=target.model, messages=_messages(target)) as stream:
        async for event in stream:
            if event.type == "chunk":
                for choice in event.chunk.choices:
                    annotations += getattr(choice.delta, "annotations", [])
        completion = await stream.get_final_completion()
    return chat_answer(completion.choices[0].message.content or "", annotations)


async def _response_stream_async(client: AsyncOpenAI, target: Target) -> Answer:
    """Without the package's accumulation: the raw events."""
    text, links = "", []
    async for event in await client.responses.create(model=target.model, input=target.question, stream=True):
        if event.type == "response.output_text.delta":
            text += event.delta
        elif event.type == "response.output_text.annotation.added":
            links.append(link(event.annotation))
    return Answer(text=text, links=links)


async def _in_background_async(client: AsyncOpenAI, target: Target) -> tuple[Any, list[str]]:
    response = await client.responses.create(model=target.model, input=target.question, background=True)
    states = [str(response.status)]
    while response.status not in ENDED:
        response = await client.responses.retrieve(response.id)
        states.append(str(response.status))
    return response, list(dict.fromkeys(states))


async def _cancelled_async(client: AsyncOpenAI, target: Target) -> str:
    response = await client.responses.create(model=target.model, input=target.held_question, background=True)
    while response.status == "queued":
        response = await client.responses.retrieve(response.id)
    return str((await client.responses.cancel(response.id)).status)


async def _failure_async(asking: Awaitable[object]) -> Failure:
    try:
        await asking
    except openai.APIStatusError as error:
        return failure(error)
    raise AssertionError("there was no error")
