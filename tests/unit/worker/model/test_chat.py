"""How servers that differ are asked, against one that speaks as it is told."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import openai
import pytest
from langchain_core.messages import AIMessage
from langchain_openai import ChatOpenAI
from langchain_openai.chat_models import base
from pydantic import SecretStr

from app.core.errors import ErrorCode, ServiceError
from app.core.settings import Settings
from worker.answer.endings import finish_reason
from worker.model.chat import ChatModel
from worker.model.embeddings import ProviderEmbeddings
from worker.model.opening import ChatClient, open_chat_model
from worker.model.responses_api import MAY_NEED_IT, ResponsesModel, needs_responses_api

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


def ask(model: ChatClient) -> tuple[str, str]:
    """What was told, and the whole."""
    told: list[str] = []
    whole = model.complete([{"role": "user", "content": "Is it so?"}], told.append)
    return "".join(told), whole.text


RULES = {"role": "system", "content": "Be brief."}
QUESTION = {"role": "user", "content": "Is it so?"}


@pytest.mark.parametrize("name", ["m", "gpt-4o-mini", "gpt-5", "o3", "o4-mini", "qwen3:4b", "org/model"])
def test_the_request_is_the_one_that_langchain_would_make(name: str) -> None:
    with serving(lambda _: (200, STREAMED), chat_model=name) as (server, model):
        model.complete([RULES, QUESTION], lambda _: None)
    langchains = ChatOpenAI(model=name, api_key=SecretStr("k"))
    stated: Any = {"stream": True, "stream_options": {"include_usage": True}}
    assert server.bodies == [langchains._get_request_payload([RULES, QUESTION], **stated)]


def test_who_pays_is_told_as_openais_client_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    client = openai.OpenAI(api_key="k")
    with serving(lambda _: (200, STREAMED)) as (server, model):
        ask(model)
    for name in ("OpenAI-Organization", "OpenAI-Project", "Authorization"):
        assert server.headers[0][name.lower()] == {**client.default_headers, **client.auth_headers}[name]


def test_the_request_has_the_key_and_asks_for_a_stream() -> None:
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
    with closing(open_chat_model(Settings(_env_file=None, chat_model="gpt-5-pro", openai_api_key="k"))) as model:
        assert isinstance(model, ResponsesModel)
        assert ask(model) == ("Yes.", "Yes.")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"status": "completed", "incomplete_details": None}, "stop"),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({}, "stop"),
    ],
)
def test_an_answer_of_the_responses_api_that_is_cut_off_says_so(
    monkeypatch: pytest.MonkeyPatch, said: Body, reason: str
) -> None:
    monkeypatch.setattr("langchain_openai.ChatOpenAI.invoke", lambda *_: AIMessage("Yes", response_metadata=said))
    with closing(open_chat_model(Settings(_env_file=None, chat_model="gpt-5-pro", openai_api_key="k"))) as model:
        assert finish_reason(model.complete([QUESTION], lambda _: None).finish_reason) == reason


def test_langchain_is_asked_about_every_name_that_it_takes_for_one_of_the_responses_api() -> None:
    names = [*base._RESPONSES_API_ONLY_PREFIXES, "codex-mini-latest", "gpt-5.1-codex"]
    assert all(needs_responses_api(name) for name in names)
    assert not any(needs_responses_api(name) for name in ("m", "gpt-4o-mini", "gpt-5", "gpt-5-turbo", "o3"))


@pytest.mark.parametrize("name", ["gpt-4o-mini", "gpt-5", "gpt-5-mini", "gpt-5.2-chat-latest", "o3", "llama3.1:8b"])
def test_a_model_with_another_name_costs_no_import_of_langchain(name: str) -> None:
    assert not MAY_NEED_IT.search(name)


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (lambda answer: openai.AuthenticationError("", response=answer(401), body=None), ErrorCode.MODEL_AUTH_FAILED),
        (lambda answer: openai.RateLimitError("", response=answer(429), body=None), ErrorCode.MODEL_RATE_LIMITED),
        (
            lambda answer: openai.RateLimitError("", response=answer(429), body={"code": "insufficient_quota"}),
            ErrorCode.MODEL_REJECTED,
        ),
        (
            lambda answer: openai.BadRequestError("", response=answer(400), body={"code": "content_filter"}),
            ErrorCode.CONTENT_FILTERED,
        ),
        (lambda answer: openai.APIStatusError("", response=answer(407), body=None), ErrorCode.MODEL_UNAVAILABLE),
        (lambda answer: openai.InternalServerError("", response=answer(500), body=None), ErrorCode.MODEL_UNAVAILABLE),
        (lambda answer: openai.APITimeoutError(answer(500).request), ErrorCode.MODEL_TIMEOUT),
        (lambda answer: openai.APIConnectionError(request=answer(500).request), ErrorCode.MODEL_UNAVAILABLE),
        (lambda _: KeyError("choices"), ErrorCode.MODEL_UNAVAILABLE),
    ],
)
def test_what_openais_client_raises_within_langchains_has_a_code(
    monkeypatch: pytest.MonkeyPatch, raised: Callable[[Any], Exception], code: ErrorCode
) -> None:
    def answer(status: int) -> httpx2.Response:
        return httpx2.Response(status, request=httpx2.Request("POST", "http://h"))

    def fail(*_: object) -> None:
        raise raised(answer)

    monkeypatch.setattr("langchain_openai.ChatOpenAI.invoke", fail)
    model = ResponsesModel(Settings(_env_file=None, chat_model="gpt-5-pro"))
    with closing(model), pytest.raises(ServiceError) as caught:
        ask(model)
    assert caught.value.code is code


def embedder(server: Server) -> ProviderEmbeddings:
    return ProviderEmbeddings(Settings(_env_file=None, openai_base_url=server.url), "e")


def test_a_question_is_embedded_by_one_call() -> None:
    vector = b'{"data":[{"embedding":[0.5,1,-2e-3]}]}'
    with closing(Server(lambda _: (200, vector))) as server, closing(embedder(server)) as embeddings:
        assert embeddings.embed_query("why?") == [0.5, 1.0, -0.002]
    assert (server.paths, server.bodies) == (["/v1/embeddings"], [{"model": "e", "input": ["why?"]}])


def test_a_few_texts_are_embedded_by_one_call_in_their_order() -> None:
    vectors = b'{"data":[{"embedding":[0.5]},{"embedding":[1]}]}'
    with closing(Server(lambda _: (200, vectors))) as server, closing(embedder(server)) as embeddings:
        assert embeddings.embed_few(["why?", "so"]) == [[0.5], [1.0]]
        with pytest.raises(ServiceError):
            embeddings.embed_few(["why?", "so", "too few vectors"])
    assert [body["input"] for body in server.bodies] == [["why?", "so"], ["why?", "so", "too few vectors"]]


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
