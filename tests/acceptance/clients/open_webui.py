"""What Open WebUI's backend sends, said again over plain HTTP, and how it reads what comes back.

It asks with aiohttp: JSON as `json.dumps` writes it, an API key, and with ENABLE_FORWARD_USER_INFO_HEADERS who asks.
Of a stream it reads lines that begin with `data: `, and from each delta `content` and `annotations`. Its page shows
[n] as a link to the n-th distinct `url` of those. (open-webui: routers/openai.py, utils/middleware.py, 0.11.)
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.acceptance.clients.openai_python import chat_answer
from tests.acceptance.clients.report import Answer, Failure, Report, Target

LACKS = {
    "a_response_in_the_background_is_polled_until_it_is_there": "it asks by chat completions",
    "a_running_response_is_cancelled": "it has none",
    "the_input_items_are_the_question": "it has none",
}
FAILURES = {
    "unknown model": Failure(type="invalid_request_error", status=404, code="model_not_found"),
    "wrong key": Failure(type="invalid_request_error", status=401, code="invalid_api_key"),
}
VERSION = "0.11"
HEADERS = {
    "Accept": "*/*",
    "Accept-Encoding": "gzip, deflate",
    "Content-Type": "application/json",
    "User-Agent": "Python/3.11 aiohttp/3.13.2",
    "X-OpenWebUI-User-Name": "J%C3%BCrgen%20L.",
    "X-OpenWebUI-User-Id": "6c1f5a0e-8f4e-4c61-9b1e-0d5a3a1f7c55",
    "X-OpenWebUI-User-Email": "juergen@harbour.example",
    "X-OpenWebUI-User-Role": "user",
    "X-OpenWebUI-Chat-Id": "3a0c7c0c-52a4-4a8e-8a05-2c1f70b0c6f1",
}


@contextmanager
def backend(target: Target, key: str = "") -> Iterator[httpx.Client]:
    """Its connection: /v1 as the administrator has entered it, and a key."""
    headers = HEADERS | {"Authorization": f"Bearer {key or target.key}"}
    with httpx.Client(base_url=target.base_url, headers=headers, timeout=60, trust_env=False) as client:
        yield client


def asking(target: Target, question: object, **more: Any) -> dict[str, Any]:
    """The body of a chat's request, as its page's settings of a model make it."""
    messages = [{"role": "system", "content": "Answer as a pilot would."}, {"role": "user", "content": question}]
    return {
        "stream": True, "model": target.model, "messages": messages, "temperature": 0.7, "top_p": 0.9, "seed": 7,
        "max_tokens": 800, "stop": ["\n\n\n"], "stream_options": {"include_usage": True}, **more,
    }  # fmt: skip


def send(client: httpx.Client, body: object) -> httpx.Response:
    """A chat completion."""
    return client.post("/chat/completions", content=json.dumps(body))


def read_stream(response: httpx.Response) -> tuple[Answer, dict[str, Any]]:
    """The answer, and the usage of its last chunk. Raises AssertionError where Open WebUI would show an error."""
    assert response.status_code == 200, response.text
    assert "text/event-stream" in response.headers["content-type"]
    text = ""
    annotations: list[Any] = []
    usage: dict[str, Any] = {}
    chunks = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    assert chunks[-1] == "[DONE]"
    for chunk in map(json.loads, chunks[:-1]):
        assert "error" not in chunk, chunk
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            text += choice["delta"].get("content") or ""
            annotations += choice["delta"].get("annotations") or []
    return chat_answer(text, annotations), usage


def read_whole(response: httpx.Response) -> Answer:
    """The answer of a request without `stream`."""
    assert response.status_code == 200, response.text
    [choice] = response.json()["choices"]
    return chat_answer(choice["message"]["content"], choice["message"]["annotations"])


def run(target: Target) -> Report:
    """What it can ask."""
    with backend(target) as client, backend(target, target.wrong_key) as stranger:
        made = client.post(
            "/embeddings", content=json.dumps({"model": target.embedding_model, "input": target.texts})
        )
        return Report(
            version=VERSION,
            models=[model["id"] for model in client.get("/models").json()["data"]],
            answers={
                "chat": read_whole(send(client, asking(target, target.question, stream=False))),
                "chat stream": read_stream(send(client, asking(target, target.question)))[0],
            },
            failures={
                "unknown model": _failure(send(client, asking(target, "?", model=target.unknown_model))),
                "wrong key": _failure(stranger.get("/models")),  # as its page's "Verify connection" asks
            },
            background=None,
            cancelled=None,
            input_items=None,
            embeddings=[each["embedding"] for each in made.json()["data"]],
        )


def _failure(response: httpx.Response) -> Failure:
    error = response.json()["error"]
    assert error["message"], "it shows this"
    return Failure(type=error["type"], status=response.status_code, code=error["code"])
