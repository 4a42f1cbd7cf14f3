"""The stand-in model server, held to what the real clients expect of the protocol."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import openai
import pytest
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from openai.types.chat import ChatCompletionMessageParam
from pydantic import SecretStr

from tests.support import ROOT
from tests.support.model_server import NOT_FOUND_ANSWER, ModelServer, parse_knobs, stem, tokenize

PROMPT: list[ChatCompletionMessageParam] = [
    {"role": "system", "content": "Answer from the sources."},
    {
        "role": "user",
        "content": '<source id="1" page="2">The moon is far. Boats &amp; oars are kept dry.</source>\n\n'
        '<source id="2" page="7">The boat house opens at six. Bring a towel.</source>\n\n'
        "Question: When does the boat house open?",
    },
]
HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello there"}]


@pytest.fixture(scope="module")
def shared_server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


@pytest.fixture
def server(shared_server: ModelServer) -> ModelServer:
    shared_server.wait_until(lambda stats: stats["in_flight"] == 0)
    shared_server.reset()
    return shared_server


@pytest.fixture
def client(server: ModelServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.url, api_key="x", max_retries=0) as made:
        yield made


def outcome(client: openai.OpenAI, model: str) -> str:
    """'ok', or the status of the error."""
    try:
        client.chat.completions.create(model=model, messages=HELLO)
    except openai.APIStatusError as error:
        return str(error.status_code)
    return "ok"


def test_a_plain_completion_quotes_the_source_that_answers_with_its_mark(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(model="test", messages=PROMPT)
    assert completion.choices[0].message.content == "The boat house opens at six. [2]"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (34, 7)
    assert completion.usage.total_tokens == 41


def test_sources_in_bracketed_blocks_are_read_too(client: openai.OpenAI) -> None:
    text = (
        "[1] guide.pdf, page 3\nOars are kept in the\nlong shed.\n\n[2] Tea is at four.\n\nWhere are the oars kept?"
    )
    completion = client.chat.completions.create(model="test", messages=[{"role": "user", "content": text}])
    assert completion.choices[0].message.content == "Oars are kept in the long shed. [1]"


def test_without_sources_it_says_that_it_found_nothing(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(model="gpt-4.1", messages=HELLO)
    assert completion.choices[0].message.content == NOT_FOUND_ANSWER


def test_a_stream_has_the_role_first_then_tokens_the_reason_and_the_usage(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="test", messages=PROMPT, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last, usage = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "The boat house opens at six. [2]"
    assert [c.choices[0].finish_reason for c in chunks] == [None] * len(chunks)
    assert last.choices[0].finish_reason == "stop"
    assert usage.choices == []
    assert usage.usage is not None
    assert usage.usage.completion_tokens == len(chunks) - 1 == 7


def test_a_stream_without_the_option_has_no_usage(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="test", messages=PROMPT, stream=True))
    assert [chunk.usage for chunk in chunks] == [None] * len(chunks)
    assert all(chunk.choices for chunk in chunks)


def test_echo_gives_back_every_message(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(model="test-echo", messages=PROMPT)
    assert json.loads(completion.choices[0].message.content or "") == PROMPT
    streamed = client.chat.completions.create(model="test-echo", messages=PROMPT, stream=True)
    assert json.loads("".join(c.choices[0].delta.content or "" for c in streamed)) == PROMPT


def test_the_answer_is_as_long_as_told_and_max_tokens_cuts_it(client: openai.OpenAI) -> None:
    long = client.chat.completions.create(model="test-tokens=200", messages=HELLO)
    assert long.usage is not None
    assert long.usage.completion_tokens == len((long.choices[0].message.content or "").split()) == 200
    cut = client.chat.completions.create(model="test-tokens=200", messages=HELLO, max_completion_tokens=5)
    assert cut.choices[0].finish_reason == "length"
    assert cut.choices[0].message.content == "I could not find the "


def test_langchain_reads_answer_stream_and_usage(server: ModelServer) -> None:
    model = ChatOpenAI(model="test", base_url=server.url, api_key=SecretStr("x"), max_retries=0, stream_usage=True)
    prompt = [HumanMessage(str(PROMPT[1]["content"]))]
    assert model.invoke(prompt).content == "The boat house opens at six. [2]"
    chunks = list(model.stream(prompt))
    assert "".join(str(chunk.content) for chunk in chunks) == "The boat house opens at six. [2]"
    assert sum(chunk.usage_metadata["output_tokens"] for chunk in chunks if chunk.usage_metadata) == 7


def test_thirty_of_each_hundred_get_429_and_ten_get_500(client: openai.OpenAI) -> None:
    model = "test-error429=0.3-error500=0.1"
    hundreds = [[outcome(client, model) for _ in range(100)] for _ in range(2)]
    assert [Counter(each) for each in hundreds] == [{"ok": 60, "429": 30, "500": 10}] * 2
    assert hundreds[0] != hundreds[1]


def test_the_order_of_faults_is_settled_by_the_seed_and_begins_anew_at_a_reset(
    server: ModelServer, client: openai.OpenAI
) -> None:
    first = [outcome(client, "test-error429=0.5") for _ in range(20)]
    other = [outcome(client, "test-error429=0.5-seed=7") for _ in range(20)]
    server.reset()
    assert [outcome(client, "test-error429=0.5") for _ in range(20)] == first != other


def test_a_counted_fault_strikes_the_first_requests_only(client: openai.OpenAI) -> None:
    assert [outcome(client, "test-error429=2x-error503=1x") for _ in range(5)] == ["429", "429", "503", "ok", "ok"]


@pytest.mark.parametrize(
    ("fault", "error", "status", "code"),
    [
        ("error400", openai.BadRequestError, 400, None),
        ("error401", openai.AuthenticationError, 401, "invalid_api_key"),
        ("error429", openai.RateLimitError, 429, "rate_limit_exceeded"),
        ("quota", openai.RateLimitError, 429, "insufficient_quota"),
        ("error500", openai.InternalServerError, 500, None),
        ("context=1", openai.BadRequestError, 400, "context_length_exceeded"),
        ("nosuchknob=1", openai.NotFoundError, 404, "model_not_found"),
        ("ttft=soon", openai.NotFoundError, 404, "model_not_found"),
    ],
)
def test_an_error_comes_in_openais_shape(
    client: openai.OpenAI, fault: str, error: type[openai.APIStatusError], status: int, code: str | None
) -> None:
    with pytest.raises(error) as caught:
        client.chat.completions.create(model=f"test-{fault}", messages=HELLO)
    assert caught.value.status_code == status
    assert caught.value.code == code
    assert isinstance(caught.value.body, dict)
    assert set(caught.value.body) == {"message", "type", "param", "code"}


def test_a_429_says_when_to_come_back_and_every_answer_has_the_limits(client: openai.OpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="test-error429-retry=7s", messages=HELLO)
    assert caught.value.response.headers["retry-after"] == "7"
    headers = client.chat.completions.with_raw_response.create(model="test", messages=HELLO).headers
    assert headers["x-request-id"].startswith("req_")
    assert headers["x-ratelimit-limit-requests"] == "10000"
    assert {"x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"} <= set(headers)


def test_a_limit_of_requests_a_minute_is_kept(client: openai.OpenAI) -> None:
    assert [outcome(client, "test-rpm=3") for _ in range(5)] == ["ok", "ok", "ok", "429", "429"]
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="test-rpm=3", messages=HELLO)
    headers = caught.value.response.headers
    assert 15 < float(headers["retry-after"]) <= 20
    assert headers["x-ratelimit-remaining-requests"] == "0"


def test_a_hang_ends_with_the_clients_time_out_and_counts_as_cancelled(
    server: ModelServer, client: openai.OpenAI
) -> None:
    with pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(model="test-hang", messages=HELLO, timeout=0.2)
    stats = server.wait_until(lambda stats: stats["in_flight"] == 0)
    assert (stats["requests"], stats["cancelled"], stats["completed"], stats["by_status"]) == (1, 1, 0, {})


def test_a_question_that_is_held_waits_while_another_is_answered(server: ModelServer, client: openai.OpenAI) -> None:
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.3).chat.completions.create(model="test-hold=boat", messages=PROMPT)
    assert outcome(client, "test-hold=boat") == "ok", "the word stands in the question, not only in a source"


def test_a_stream_that_the_client_closes_is_generated_no_further(server: ModelServer, client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="test-gap=20ms-tokens=500", messages=HELLO, stream=True)
    for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    stream.close()
    stats = server.wait_until(lambda stats: stats["in_flight"] == 0)
    assert stats["cancelled"] == 1
    assert 1 <= stats["tokens_sent"] < 100
    assert stats["completion_tokens"] == 0


def test_a_stalled_stream_sends_half_and_then_nothing(server: ModelServer, client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="test-stall-tokens=10", messages=HELLO, stream=True, timeout=0.3)
    received = []
    with pytest.raises(openai.APITimeoutError):  # noqa: PT012  (the error comes from within the loop)
        for chunk in stream:
            received.append(chunk.choices[0].delta.content)
    assert len(list(filter(None, received))) == 5
    assert server.wait_until(lambda stats: stats["in_flight"] == 0)["cancelled"] == 1


def test_a_truncated_answer_breaks_off(server: ModelServer) -> None:
    body = {"model": "test-truncate", "messages": HELLO}
    with httpx.Client() as http:
        for stream in (False, True):
            with pytest.raises(httpx.RemoteProtocolError):
                http.post(f"{server.url}/chat/completions", json=body | {"stream": stream})
    stats = server.stats()
    assert (stats["aborted"], stats["completed"]) == (2, 0)


def test_a_bad_body_is_no_json(client: openai.OpenAI) -> None:
    with pytest.raises(json.JSONDecodeError):
        client.chat.completions.create(model="test-badjson", messages=HELLO)
    with pytest.raises(json.JSONDecodeError):
        list(client.chat.completions.create(model="test-badjson", messages=HELLO, stream=True))


def test_filtered_content_stops_halfway_and_says_so(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(model="test-filter-tokens=10", messages=HELLO)
    assert completion.choices[0].finish_reason == "content_filter"
    assert len((completion.choices[0].message.content or "").split()) == 5


def test_latency_is_as_told(client: openai.OpenAI) -> None:
    began = time.perf_counter()
    stream = client.chat.completions.create(model="test-ttft=300ms-gap=20ms-tokens=11", messages=HELLO, stream=True)
    next(iter(stream))
    first = time.perf_counter() - began
    list(stream)
    whole = time.perf_counter() - began
    assert first >= 0.3
    assert whole - first >= 0.18
    assert whole < 2.5  # a noisy machine


def test_many_calls_wait_at_the_same_time(server: ModelServer, client: openai.OpenAI) -> None:
    model = "test-ttft=400ms"
    threads = [threading.Thread(target=outcome, args=(client, model)) for _ in range(32)]
    for thread in threads:
        thread.start()
    server.wait_until(lambda stats: stats["max_in_flight"] > 16)
    for thread in threads:
        thread.join()
    stats = server.stats()
    assert (stats["completed"], stats["in_flight"], stats["by_model"]) == (32, 0, {model: 32})


def similarity(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_embeddings_are_unit_vectors_and_near_texts_are_near(server: ModelServer) -> None:
    embeddings = OpenAIEmbeddings(
        model="test", openai_api_base=server.url, openai_api_key=SecretStr("x"), check_embedding_ctx_length=False
    )
    near, far = embeddings.embed_documents(["a purring cat", "interest rates"])
    query = embeddings.embed_query("cats purr")
    assert len(query) == 384
    assert similarity(query, query) == pytest.approx(1, abs=1e-5)
    assert similarity(query, near) > 0.8
    assert abs(similarity(query, far)) < 0.3


def test_base64_and_float_are_the_same_vector_every_time(client: openai.OpenAI) -> None:
    default = client.embeddings.create(model="test", input="Grüße, cats")
    plain = client.embeddings.create(model="test", input=["Grüße, cats"], encoding_format="float")
    assert default.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-7)
    assert default.usage.prompt_tokens == 2


def test_dimensions_are_taken_from_the_request_then_from_the_name(client: openai.OpenAI) -> None:
    assert len(client.embeddings.create(model="test-dims=64", input="x").data[0].embedding) == 64
    assert len(client.embeddings.create(model="test-dims=64", input="x", dimensions=8).data[0].embedding) == 8


@pytest.mark.parametrize("given", [[1, 2, 3], [[1, 2], [3]], "", [], ["a", ""]])
def test_tokens_and_empty_texts_are_refused(client: openai.OpenAI, given: list[str]) -> None:
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model="test", input=given)


def test_models_are_listed_and_any_good_name_can_be_looked_up(client: openai.OpenAI) -> None:
    assert "gpt-4.1" in [model.id for model in client.models.list()]
    assert client.models.retrieve("test-ttft=1s").id == "test-ttft=1s"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("davinci")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model":"test"}', b'{"model":"test","messages":["hi"]}'])
def test_a_bad_request_is_a_400_in_openais_shape(server: ModelServer, body: bytes) -> None:
    with httpx.Client() as http:
        answer = http.post(f"{server.url}/chat/completions", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_server_with_a_key_and_knobs_of_its_own() -> None:
    with ModelServer(api_key="right", knobs="tokens=3") as server:
        with openai.OpenAI(base_url=server.url, api_key="wrong", max_retries=0) as client:
            assert outcome(client, "test") == "401"
        with openai.OpenAI(base_url=server.url, api_key="right", max_retries=0) as client:
            completion = client.chat.completions.create(model="test", messages=HELLO)
        assert completion.usage is not None
        assert completion.usage.completion_tokens == 3
        assert server.stats()["by_status"] == {"401": 1, "200": 1}


def test_it_stops_at_once_with_calls_in_flight_and_can_come_back_on_its_port() -> None:
    with ModelServer() as server, httpx.Client() as http:
        body = {"model": "test-hang", "messages": HELLO}
        errors: list[Exception] = []

        def hang() -> None:
            try:
                http.post(f"{server.url}/chat/completions", json=body)
            except httpx.HTTPError as error:
                errors.append(error)

        thread = threading.Thread(target=hang)
        thread.start()
        server.wait_until(lambda stats: stats["in_flight"] == 1)
        began = time.perf_counter()
        server.stop()
        assert time.perf_counter() - began < 2
        thread.join()
        assert len(errors) == 1
        with ModelServer(port=server.port) as again:
            assert again.url == server.url


def test_it_ends_when_its_parent_does() -> None:
    command = [sys.executable, "-m", "tests.support.model_server", "--exit-with-stdin"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert "url" in json.loads(process.stdout.readline())
        process.stdin.close()
        assert process.wait(timeout=5) == 0


def test_a_server_that_cannot_start_says_so(server: ModelServer) -> None:
    with pytest.raises(RuntimeError, match="did not start"):
        ModelServer(port=server.port)


def test_tokens_joined_are_the_text() -> None:
    for text in ("", "  two words ", "a\n\n b", "x"):
        assert "".join(tokenize(text)) == (text if text.strip() else "")


def test_knobs_in_a_name_win_over_the_defaults() -> None:
    base = parse_knobs("ttft=1s-gap=5ms-error500")
    knobs = parse_knobs("ttft=20ms-error429=0.25", base)
    assert (knobs.ttft, knobs.gap, knobs.shares) == (0.02, 0.005, (("error429", 0.25),))


def test_stems_cut_common_endings() -> None:
    assert [stem(word) for word in ("Cats", "purring", "purrs", "purr")] == ["cat", "purr", "purr", "purr"]
