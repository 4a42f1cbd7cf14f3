"""How servers that differ are asked, against one that speaks as it is told."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from pydantic import SecretStr

from app.core.errors import ErrorCode, ServiceError
from app.core.settings import Settings
from worker.model.chat import ChatModel
from worker.model.embeddings import ProviderEmbeddings

Body = dict[str, Any]
Answer = Callable[[Body], tuple[int, bytes]]

STREAMED = (
    b'data: {"model":"m","choices":[{"delta":{"content":"Yes, "}}]}\n\n'
    b'data: {"choices":[{"delta":{"content":"indeed."},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)
WHOLE = b'{"model":"m","choices":[{"message":{"content":"Yes, indeed."},"finish_reason":"stop"}]}'


class Server:
    """A model's server whose answers `answer` makes of the requests' bodies."""

    def __init__(self, answer: Answer) -> None:
        self.bodies: list[Body] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.bodies.append(body)
                outer.headers.append({name.lower(): value for name, value in self.headers.items()})
                outer.paths.append(self.path)
                status, content = answer(body)
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def serving(answer: Answer, **settings: Any) -> Iterator[tuple[Server, ChatModel]]:
    with closing(Server(answer)) as server:
        stated: Body = {"openai_base_url": server.url, "openai_api_key": SecretStr("k"), "chat_model": "m"} | settings
        with closing(ChatModel(Settings(_env_file=None, **stated))) as model:
            yield server, model


def ask(model: ChatModel) -> tuple[str, str]:
    """What was told, and the whole."""
    told: list[str] = []
    whole = model.complete([HumanMessage("Is it so?")], told.append)
    return "".join(told), whole.text


def test_the_request_is_langchains_with_the_clients_headers_and_asks_for_a_stream() -> None:
    with serving(lambda _: (200, STREAMED)) as (server, model):
        assert ask(model) == ("Yes, indeed.", "Yes, indeed.")
    assert server.paths == ["/v1/chat/completions"]
    assert server.headers[0]["authorization"] == "Bearer k"
    assert server.headers[0]["content-type"] == "application/json"
    assert server.bodies == [
        {
            "model": "m",
            "messages": [{"role": "user", "content": "Is it so?"}],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ]


def refusing(word: str) -> Answer:
    """A server that takes no request with the field `word`."""

    def answer(body: Body) -> tuple[int, bytes]:
        if body.get(word):
            return 400, json.dumps({"error": {"message": f"Unsupported value: '{word}'", "param": word}}).encode()
        return 200, STREAMED if body.get("stream") else WHOLE

    return answer


@pytest.mark.parametrize("word", ["stream_options", "stream"])
def test_a_server_that_refuses_the_way_of_asking_is_asked_in_another_and_that_is_remembered(
    word: str,
) -> None:
    with serving(refusing(word)) as (server, model):
        assert ask(model) == ask(model) == ("Yes, indeed.", "Yes, indeed.")
    assert len(server.bodies) == 3
    assert not server.bodies[-1].get(word)


def test_another_refusal_is_not_asked_again() -> None:
    too_long = serving(lambda _: (400, b'{"error":{"message":"too long"}}'))
    with too_long as (server, model), pytest.raises(ServiceError) as raised:
        ask(model)
    assert raised.value.code is ErrorCode.MODEL_REJECTED
    assert len(server.bodies) == 1


def test_an_answer_in_one_piece_is_told_too() -> None:
    with serving(lambda _: (200, WHOLE)) as (_, model):
        assert ask(model) == ("Yes, indeed.", "Yes, indeed.")


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (302, b"", ErrorCode.MODEL_UNAVAILABLE),
        (400, b'{"error":{"code":"content_filter"}}', ErrorCode.CONTENT_FILTERED),
        (401, b"", ErrorCode.MODEL_AUTH_FAILED),
        (403, b"<html>", ErrorCode.MODEL_AUTH_FAILED),
        (404, b"[]", ErrorCode.MODEL_REJECTED),
        (408, b"", ErrorCode.MODEL_UNAVAILABLE),
        (429, b'{"error":{"code":"insufficient_quota"}}', ErrorCode.MODEL_REJECTED),
        (429, b"", ErrorCode.MODEL_RATE_LIMITED),
        (503, b"", ErrorCode.MODEL_UNAVAILABLE),
        (200, b"<html>", ErrorCode.MODEL_UNAVAILABLE),
    ],
)
def test_a_status_has_a_code(status: int, body: bytes, code: ErrorCode) -> None:
    with serving(lambda _: (status, body)) as (_, model), pytest.raises(ServiceError) as raised:
        ask(model)
    assert raised.value.code is code


def test_a_model_that_speaks_the_responses_api_only_is_called_by_langchain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("langchain_openai.ChatOpenAI.invoke", lambda *_: AIMessage("Yes."))
    with serving(lambda _: (500, b""), chat_model="gpt-5-pro") as (server, model):
        assert ask(model) == ("Yes.", "Yes.")
    assert server.bodies == []


def embedder(server: Server) -> ProviderEmbeddings:
    return ProviderEmbeddings(Settings(_env_file=None, openai_base_url=server.url), "e")


def test_a_question_is_embedded_by_one_call() -> None:
    vector = b'{"data":[{"embedding":[0.5,1,-2e-3]}]}'
    with closing(Server(lambda _: (200, vector))) as server, closing(embedder(server)) as embeddings:
        assert embeddings.embed_query("why?") == [0.5, 1.0, -0.002]
    assert (server.paths, server.bodies) == (["/v1/embeddings"], [{"model": "e", "input": ["why?"]}])


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((500, b""), ErrorCode.MODEL_UNAVAILABLE),
        ((200, b'{"data":[]}'), ErrorCode.MODEL_UNAVAILABLE),
        ((200, b'{"data":[{"embedding":"AAAA"}]}'), ErrorCode.MODEL_UNAVAILABLE),
        ((429, b""), ErrorCode.MODEL_RATE_LIMITED),
    ],
)
def test_a_question_that_is_not_embedded_is_not_tried_again_here(answer: tuple[int, bytes], code: ErrorCode) -> None:
    with (
        closing(Server(lambda _: answer)) as server,
        closing(embedder(server)) as embeddings,
        pytest.raises(ServiceError) as raised,
    ):
        embeddings.embed_query("why?")
    assert raised.value.code is code
    assert len(server.bodies) == 1
