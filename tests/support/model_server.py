"""A small server that speaks the OpenAI protocol over HTTP: the one stand-in, for tests and benchmarks.

    python -m tests.support.model_server --port 8009 --knobs ttft=1s-gap=20ms

    with ModelServer() as server:
        client = OpenAI(base_url=server.url, api_key="x")

It serves POST /v1/chat/completions (plain and streamed), POST /v1/embeddings, GET /v1/models,
GET /v1/models/{id}, GET /as/{manner}/v1/models, which answers as `tests.support.models_manners` has it, GET /healthz,
GET /stats and POST /stats/reset.

A model's name is a family (one of `FAMILIES`), followed by knobs, each behind a hyphen:

    test-ttft=1000ms-gap=20ms-tokens=200-error429=0.3-error500=0.1

    ttft=<duration>      time to the first token ("1000ms", "1.5s"); an embedding takes this long, too
    gap=<duration>       time between tokens; a plain completion takes ttft + gap for each token but the first
    tokens=<n>           the answer has exactly n tokens (a token is a word)
    echo                 the answer is the prompt: all messages as JSON; `tokens` and max_tokens do not cut it
    dims=<n>             length of an embedding, when the request does not say (384)
    context=<n>          a prompt of more than n tokens is refused: 400 context_length_exceeded (128000)
    rpm=<n>  tpm=<n>     requests and tokens a minute, kept by a bucket that refills steadily; beyond it, 429
    hold=<word>          a question that has this word is never answered
    manner=<name>        the answer is sent as `tests.support.model_manners` has it under this name
    vectors=<name>       embeddings are sent as `tests.support.embedding_manners` has it under this name
    whole                the answer comes in one piece, though a stream was asked for
    retry=<duration>     Retry-After of error429 and error503 (1s)
    seed=<n>             another order of faults (0); also gives a test a model, and so counters, of its own

and faults. A fault alone strikes every request; `=0.3` strikes exactly 30 of each hundred requests to this
model name, in an order that `seed` settles; `=2x` strikes the first two and then never again. Faults with a
count come before those with a share.

    error<status>        400, 401, 403, 404, 408, 409, 429, 500, 502, 503 or 504, at once
    quota                429 insufficient_quota, which no retry can help
    hang                 never answers
    stall                streams half of the answer, then nothing more (a plain completion hangs)
    truncate             closes the connection in the middle of the answer
    badjson              200, with a body (or a streamed event) that is no JSON
    filter               half of the answer, then finish_reason content_filter

An unknown family or knob is a 404 model_not_found. `--knobs` or MODEL_SERVER_KNOBS sets the same for every
model; the knobs in a model's name win. Without `echo`, the answer is made of the prompt's own sources: see
`compose`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import html
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import FrameType, TracebackType
from typing import Any, Self, TypedDict, cast

import numpy as np
import orjson
import uvicorn
import uvloop

from tests.support import ROOT
from tests.support.embedding_manners import EMBEDDING_MANNERS
from tests.support.model_manners import MANNERS, Manner
from tests.support.models_manners import MODELS_MANNERS, ModelsManner

Json = dict[str, object]
Vector = np.ndarray[Any, np.dtype[np.float32]]
Headers = list[tuple[bytes, bytes]]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

FAMILIES = (
    "test",
    "gpt-4.1",
    "gpt-4.1-mini",
    "gpt-4o-mini",
    "text-embedding-3-small",
    "text-embedding-3-large",
)
NOT_FOUND_ANSWER = "I could not find the answer in the sources."
SHOWN_RPM, SHOWN_TPM = 10_000, 2_000_000  # what the rate-limit headers say when no knob sets a limit


# ------------------------------------------------------------------------------------ errors and knobs


class ClientGone(Exception):  # noqa: N818  (an event, not an error)
    """The client closed the connection before it had its answer."""


class ApiError(Exception):
    """An answer in OpenAI's error shape."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body: Json = {"error": {"message": message, "type": kind, "param": param, "code": code}}
        self.headers: Headers = []
        if retry_after_seconds is not None:
            self.headers = [
                (b"retry-after", f"{retry_after_seconds:g}".encode()),
                (b"retry-after-ms", str(round(retry_after_seconds * 1000)).encode()),
            ]


ERRORS: dict[str, tuple[int, str, str | None, str]] = {  # fault: status, type, code, message
    "error400": (400, "invalid_request_error", None, "The request is not valid."),
    "error401": (401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    "error403": (403, "invalid_request_error", "permission_denied", "The key may not use this model."),
    "error404": (404, "invalid_request_error", "model_not_found", "The model does not exist."),
    "error408": (408, "timeout", None, "The request took too long."),
    "error409": (409, "conflict", None, "The request is in conflict with another one."),
    "error429": (429, "requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    "error500": (500, "server_error", None, "The server had an error while processing your request."),
    "error502": (502, "server_error", None, "Bad gateway."),
    "error503": (503, "server_error", None, "The engine is overloaded."),
    "error504": (504, "server_error", None, "Gateway time-out."),
    "quota": (429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota."),
}
FAULTS = (*ERRORS, "hang", "stall", "truncate", "badjson", "filter")


@dataclass(frozen=True)
class Knobs:
    """How a model behaves; times in seconds."""

    ttft: float = 0.0
    gap: float = 0.0
    tokens: int | None = None
    echo: bool = False
    dims: int = 384
    context: int = 128_000
    rpm: int | None = None
    tpm: int | None = None
    hold: str | None = None
    manner: str | None = None
    vectors: str | None = None
    whole: bool = False
    retry: float = 1.0
    seed: int = 0
    counted: tuple[tuple[str, int], ...] = ()  # the first n requests
    shares: tuple[tuple[str, float], ...] = ()  # a share of each hundred

    def fault(self, number: int) -> str | None:
        """Name the fault that strikes request `number` (from 0) of a model, if one does."""
        for name, count in self.counted:
            if number < count:
                return name
            number -= count
        if not self.shares:
            return None
        draw = _shuffled_hundred(self.seed, number // 100)[number % 100] / 100
        for name, share in self.shares:
            if draw < share - 1e-9:
                return name
            draw -= share
        return None


@lru_cache(maxsize=1024)
def _shuffled_hundred(seed: int, block: int) -> list[int]:
    hundred = list(range(100))
    random.Random(f"{seed}/{block}").shuffle(hundred)
    return hundred


def parse_knobs(text: str, base: Knobs | None = None) -> Knobs:
    """Read `ttft=1s-gap=20ms-...` on top of `base`; raises ValueError for what it does not know."""
    base = base or Knobs()
    changed: dict[str, Any] = {}
    counted: list[tuple[str, int]] = []
    shares: list[tuple[str, float]] = []
    for part in filter(None, text.split("-")):
        name, _, value = part.partition("=")
        match name:
            case "ttft" | "gap" | "retry":
                changed[name] = _seconds(value)
            case "tokens" | "context" | "seed":
                changed[name] = int(value)
            case "dims" | "rpm" | "tpm" if int(value) > 0:
                changed[name] = int(value)
            case "echo" | "whole" if not value:
                changed[name] = True
            case "manner" if value in MANNERS:
                changed["manner"] = value
            case "vectors" if value in EMBEDDING_MANNERS:
                changed["vectors"] = value
            case "hold" if value:
                changed["hold"] = value
            case _ if name in FAULTS and value.endswith("x"):
                counted.append((name, int(value[:-1])))
            case _ if name in FAULTS:
                shares.append((name, float(value or 1)))
            case _:
                raise ValueError(f"unknown knob: {part}")
    if counted or shares:  # a name's faults take the place of the defaults'
        changed |= {"counted": tuple(counted), "shares": tuple(shares)}
    return replace(base, **changed)


def _seconds(value: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s)|0", value)
    if not found:
        raise ValueError(f"not a duration: {value!r} (write 20ms or 1.5s)")
    return float(found[1] or 0) / (1000 if found[2] == "ms" else 1)


@lru_cache(maxsize=4096)
def parse_model(name: str, defaults: Knobs) -> Knobs:
    """Read the knobs in a model's name; raises ApiError 404 when there is no such model."""
    for family in sorted(FAMILIES, key=len, reverse=True):
        if name == family or name.startswith(f"{family}-"):
            try:
                return parse_knobs(name.removeprefix(family), defaults)
            except ValueError:
                break
    raise ApiError(404, f"The model `{name}` does not exist.", param="model", code="model_not_found")


# ----------------------------------------------------------------------------------------- the answers

_SOURCE_TAG = re.compile(r"<(\w+)\b[^>]*\b(?:id|n|index|number)=[\"']?\[?(\d+)\]?[\"']?[^>]*>(.*?)</\1>", re.DOTALL)
_SOURCE_MARK = re.compile(r"^[ \t]*\[(\d+)\](.*?)(?=^[ \t]*\[\d+\]|\Z)", re.MULTILINE | re.DOTALL)
_QUESTION = re.compile(r"<question>|^#*[ \t]*question:", re.IGNORECASE | re.MULTILINE)
_HEADER = re.compile(r"\A[^\n]*(?:\.pdf\b|\bpage \d+)[^\n.?!]*\n")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_WORD = re.compile(r"\w+")
_SUFFIX = re.compile(r"(?<=\w{3})(?:ings?|ed|ly|es|s|e)$")
_COMMON = frozenset(
    re.findall(
        r"\w+",
        "a about an and any are as at be been by can could did do does for from had has have how i if in is it its "
        "many may me much must my no not of on or our shall should so than that the their them there they this to "
        "was we were what when where which who whom why will with would you your",
    )
)


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Cut the commonest English endings: cats -> cat, purring -> purr."""
    return _SUFFIX.sub("", word.lower())


REWRITES: dict[str, str] = {}
"""What a question is put in other words, for prompts whose rules begin with `REWRITE`; else it is no question."""
REWRITE = "Rewrite the last question"


def compose(messages: Sequence[Json]) -> str:
    """Answer from the numbered sources in the prompt: the sentence with most of the question's words.

    Sources are `<source id="1" ...>text</source>` (any tag, with id, n, index or number) or blocks that begin
    with `[1]` at the start of a line. The question is what follows "Question:" (or stands in <question>) in the
    last user message, or else the last paragraph of it. The sentence is followed by its source's mark, ` [1]`;
    when two sources answer equally well, both are quoted.
    """
    given = [(str(m.get("role")), text_of(m)) for m in messages]
    asked = _asked(messages)
    if given[:1] and given[0][1].startswith(REWRITE):
        return REWRITES.get(_split_question(asked)[1].strip(), NOT_FOUND_ANSWER)
    before = "\n\n".join(text for role, text in given if role != "assistant" and text is not asked)
    sources_text, question = _split_question(asked)
    sources = _numbered_sources(f"{before}\n\n{sources_text}")
    stems = {stem(word) for word in _WORD.findall(question) if word.lower() not in _COMMON}

    best: list[tuple[int, str]] = []  # (words matched, quote)
    for number, text in sources:
        matched, sentence = max(
            ((sum(s in low for s in stems), s) for s, low in _sentences(text)),
            key=lambda pair: pair[0],
            default=(0, ""),
        )
        if matched:
            best.append((matched, f"{sentence} [{number}]"))
    top = max((matched for matched, _ in best), default=0)
    quotes = [quote for matched, quote in best if matched == top]
    return " ".join(quotes[:2]) or NOT_FOUND_ANSWER


def _asked(messages: Sequence[Json]) -> str:
    """The user's last message."""
    return next((text_of(m) for m in reversed(messages) if m.get("role") == "user"), "")


def _question(messages: Sequence[Json]) -> str:
    return _split_question(_asked(messages))[1]


def _split_question(asked: str) -> tuple[str, str]:
    if marks := list(_QUESTION.finditer(asked)):
        return asked[: marks[-1].start()], asked[marks[-1].end() :].partition("</question>")[0]
    head, _, last = asked.rstrip().rpartition("\n\n")
    return head, last


def _numbered_sources(text: str) -> list[tuple[int, str]]:
    if tagged := [(int(n), html.unescape(body)) for _, n, body in _SOURCE_TAG.findall(text)]:
        return tagged
    return [(int(n), body) for n, body in _SOURCE_MARK.findall(text)]


def _sentences(text: str) -> Iterator[tuple[str, str]]:
    for sentence in _SENTENCE_END.split(_HEADER.sub("", text.strip())):
        clean = " ".join(sentence.split())
        yield clean, clean.lower()


def text_of(message: Json) -> str:
    """Take the text of a message, whose content is a string or a list of parts."""
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def tokenize(text: str) -> list[str]:
    """Split into words with the space that follows them: joined again, they are the text."""
    return re.findall(r"\s*\S+(?:\s+\Z)?", text)


@lru_cache(maxsize=16_384)
def _random_vector(feature: str, dims: int) -> Vector:
    raw = hashlib.shake_128(feature.encode()).digest(dims)
    return (np.frombuffer(raw, dtype=np.uint8).astype(np.float32) - 127.5) / 73.9


@lru_cache(maxsize=16_384)
def _word_vector(word: str, dims: int) -> Vector:
    root = stem(word)
    padded = f"<{root}>"
    trigrams = [padded[i : i + 3] for i in range(len(padded) - 2)]
    spelling = np.mean([_random_vector(t, dims) for t in trigrams], axis=0)
    vector = _random_vector(f"word:{root}", dims) + spelling
    return cast("Vector", vector * (0.1 if word in _COMMON else 1.0))


def embed(text: str, dims: int) -> Vector:
    """Embed as a unit vector: each word's stem and trigrams point where their hash says; common ones weigh little."""
    words = _WORD.findall(text.lower()) or [text]
    total = np.sum([_word_vector(word, dims) for word in words], axis=0)
    return cast("Vector", (total / np.linalg.norm(total)).astype("<f4"))


# ----------------------------------------------------------------------------------- counts and limits


class Stats(TypedDict):
    """What the server has seen of model calls since its start or the last reset.

    requests = completed + cancelled + aborted + in_flight.
    """

    requests: int
    in_flight: int
    max_in_flight: int
    completed: int  # answered in full, errors included
    cancelled: int  # the client went away before the end
    aborted: int  # the server closed the connection in the middle (truncate)
    by_status: dict[str, int]
    by_model: dict[str, int]
    prompt_tokens: int
    completion_tokens: int  # of the completions that reached their end
    tokens_sent: int  # of all completions, as they went out


def new_stats(in_flight: int = 0) -> Stats:
    """Begin at zero, but for the requests that are still in flight."""
    return Stats(
        requests=in_flight,
        in_flight=in_flight,
        max_in_flight=in_flight,
        completed=0,
        cancelled=0,
        aborted=0,
        by_status=Counter(),
        by_model=Counter(),
        prompt_tokens=0,
        completion_tokens=0,
        tokens_sent=0,
    )


class Bucket:
    """A limit a minute that refills steadily."""

    def __init__(self, limit: int) -> None:
        self.limit, self.left, self.at = limit, float(limit), time.monotonic()

    def wait_for(self, amount: int) -> float:
        """Seconds until `amount` can be taken; 0 when it can be taken now."""
        now = time.monotonic()
        self.left = min(self.limit, self.left + (now - self.at) * self.limit / 60)
        self.at = now
        return max(0.0, (amount - self.left) * 60 / self.limit)

    @property
    def reset_seconds(self) -> float:
        """Until the bucket is full again."""
        return (self.limit - self.left) * 60 / self.limit


@dataclass
class ModelState:
    """What the server remembers of one model name."""

    requests: Bucket
    tokens: Bucket
    seen: int = 0


@dataclass
class Completion:
    """A chat request that was understood, and the answer it will get."""

    id: str
    model: str
    stream: bool
    include_usage: bool
    tokens: list[str]
    finish: str
    usage: Json
    created: int = field(default_factory=lambda: int(time.time()))

    def plain(self) -> bytes:
        """The body of an answer in one piece."""
        message: Json = {"role": "assistant", "content": "".join(self.tokens), "refusal": None, "annotations": []}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish}
        return orjson.dumps(self._envelope("chat.completion") | {"choices": [choice], "usage": self.usage})

    def chunk(self, delta: Json, finish: str | None = None) -> bytes:
        """One event of a streamed answer."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        extra: Json = {"usage": None} if self.include_usage else {}
        return _event(self._envelope("chat.completion.chunk") | {"choices": [choice]} | extra)

    def ending(self) -> bytes:
        """The events after the last token."""
        last = self.chunk({}, self.finish)
        if self.include_usage:
            last += _event(self._envelope("chat.completion.chunk") | {"choices": [], "usage": self.usage})
        return last + b"data: [DONE]\n\n"

    def _envelope(self, kind: str) -> Json:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "service_tier": "default",
            "system_fingerprint": "fp_stand_in",
        }


def _event(body: Json) -> bytes:
    return b"data: " + orjson.dumps(body) + b"\n\n"


# ------------------------------------------------------------------------------------------------ HTTP


class Call:
    """One request and its answer, over bare ASGI."""

    def __init__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.request_headers: dict[bytes, bytes] = dict(scope["headers"])
        self.headers: Headers = []  # sent with whatever answer it gets
        self.status: int | None = None
        self.answered = False
        self._receive, self._send = receive, send

    async def body(self) -> bytes:
        """Read the whole request."""
        parts, more = [], True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
        return b"".join(parts)

    async def pause(self, seconds: float) -> None:
        """Wait; raises ClientGone as soon as the client closes the connection. Read the body before."""
        if seconds <= 0:
            return
        try:
            async with asyncio.timeout(None if seconds == float("inf") else seconds):
                while (await self._receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            return
        raise ClientGone

    async def start(self, status: int, content_type: bytes, length: int | None = None) -> None:
        """Send the head; without a length the body goes out in chunks."""
        self.status = status
        headers = [(b"content-type", content_type), *self.headers]
        if length is not None:
            headers.append((b"content-length", b"%d" % length))
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Send a piece of the body."""
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})
        self.answered = last

    async def answer(self, status: int, body: bytes) -> None:
        """Send a whole JSON answer."""
        await self.start(status, b"application/json", len(body))
        await self.write(body, last=True)


class App:
    """The ASGI application."""

    def __init__(self, *, api_key: str | None = None, knobs: Knobs | None = None) -> None:
        self.api_key = api_key
        self.defaults = knobs or Knobs()
        self.stats = new_stats()
        self.models: dict[str, ModelState] = {}
        self.serial = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        call = Call(scope, receive, send)
        match call.method, call.path:
            case "POST", "/v1/chat/completions":
                await self._counted(call, self._chat)
            case "POST", "/v1/embeddings":
                await self._counted(call, self._embeddings)
            case _:
                await self._guarded(call, self._other)

    # -- every model call: identified, counted, and every error in OpenAI's shape

    async def _counted(self, call: Call, handler: Callable[[Call], Awaitable[None]]) -> None:
        stats = self.stats
        stats["requests"] += 1
        stats["in_flight"] += 1
        stats["max_in_flight"] = max(stats["max_in_flight"], stats["in_flight"])
        outcome = "cancelled"
        try:
            await self._guarded(call, handler)
            outcome = "completed" if call.answered else "aborted"
        except ClientGone:
            pass
        finally:
            stats = self.stats  # a reset may have come between
            stats["in_flight"] -= 1
            stats[outcome] += 1  # type: ignore[literal-required]
            if call.status is not None:
                key = str(call.status)
                stats["by_status"][key] = stats["by_status"].get(key, 0) + 1

    async def _guarded(self, call: Call, handler: Callable[[Call], Awaitable[None]]) -> None:
        self.serial += 1
        call.headers = [(b"x-request-id", b"req_%012x" % self.serial), (b"openai-version", b"2020-10-01")]
        try:
            await handler(call)
        except ApiError as error:
            call.headers += error.headers
            await call.answer(error.status, orjson.dumps(error.body))
        except ClientGone:
            raise
        except Exception:
            traceback.print_exc()
            raise

    def _check_key(self, call: Call) -> None:
        if self.api_key is None or call.request_headers.get(b"authorization") == b"Bearer " + self.api_key.encode():
            return
        raise ApiError(401, "Incorrect API key provided.", code="invalid_api_key")

    # -- what is no model call

    async def _other(self, call: Call) -> None:
        match call.method, call.path.rstrip("/").split("/")[1:]:
            case "GET", ["healthz"]:
                await call.answer(200, b'{"status":"ok"}')
            case "GET", ["stats"]:
                await call.answer(200, orjson.dumps(self.stats))
            case "POST", ["stats", "reset"]:
                self.stats, self.models = new_stats(self.stats["in_flight"]), {}
                await call.answer(200, orjson.dumps(self.stats))
            case "GET", ["v1", "models"]:
                self._check_key(call)
                await call.answer(200, orjson.dumps({"object": "list", "data": [_model(f) for f in FAMILIES]}))
            case "GET", ["as", name, "v1", "models"] if name in MODELS_MANNERS:
                await self._mannered_list(call, MODELS_MANNERS[name])
            case "GET", ["v1", "models", name]:
                self._check_key(call)
                parse_model(name, self.defaults)
                await call.answer(200, orjson.dumps(_model(name)))
            case method, _:
                raise ApiError(404, f"Invalid URL ({method} {call.path})", code="unknown_url")

    async def _mannered_list(self, call: Call, manner: ModelsManner) -> None:
        if manner.hangs:
            await call.body()
            await call.pause(float("inf"))
        if manner.breaks_off:
            await call.start(200, b"application/json", 100)
            return await call.write(b"{")
        return await call.answer(manner.status, manner.body)

    # -- what both kinds of model call begin with

    async def _request(self, call: Call) -> tuple[Json, str, Knobs]:
        body = await call.body()
        self._check_key(call)
        try:
            request = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise ApiError(400, "We could not parse the JSON body of your request.") from None
        if not isinstance(request, dict) or not isinstance(request.get("model"), str):
            raise ApiError(400, "you must provide a model parameter")
        model = request["model"]
        return request, model, parse_model(model, self.defaults)

    async def _admit(self, call: Call, model: str, knobs: Knobs, prompt_tokens: int) -> str | None:
        """Apply the limits and draw this request's fault: raises the errors, hangs, or returns it."""
        state = self.models.get(model)
        if state is None:
            state = ModelState(Bucket(knobs.rpm or SHOWN_RPM), Bucket(knobs.tpm or SHOWN_TPM))
            self.models[model] = state
        self.stats["by_model"][model] = self.stats["by_model"].get(model, 0) + 1
        self._limit(call, state, knobs, prompt_tokens)
        fault = knobs.fault(state.seen)
        state.seen += 1
        if prompt_tokens > knobs.context:
            raise ApiError(
                400,
                f"This model's maximum context length is {knobs.context} tokens. However, your messages "
                f"resulted in {prompt_tokens} tokens. Please reduce the length of the messages.",
                param="messages",
                code="context_length_exceeded",
            )
        self.stats["prompt_tokens"] += prompt_tokens
        if fault in ERRORS:
            status, kind, code, message = ERRORS[fault]
            after = knobs.retry if fault in ("error429", "error503") else None
            raise ApiError(status, message, kind=kind, code=code, retry_after_seconds=after)
        if fault == "hang":
            await call.pause(float("inf"))
        return fault

    def _limit(self, call: Call, state: ModelState, knobs: Knobs, prompt_tokens: int) -> None:
        buckets = [
            ("requests", state.requests, 1, knobs.rpm),
            ("tokens", state.tokens, prompt_tokens, knobs.tpm),
        ]
        waits = [(bucket.wait_for(amount), kind) for kind, bucket, amount, limit in buckets if limit]
        wait, kind = max(waits, default=(0.0, ""))
        for name, bucket, amount, limit in buckets:
            if wait == 0 and limit:
                bucket.left -= amount
            call.headers += [
                (b"x-ratelimit-limit-" + name.encode(), b"%d" % bucket.limit),
                (b"x-ratelimit-remaining-" + name.encode(), b"%d" % max(0, bucket.left)),
                (b"x-ratelimit-reset-" + name.encode(), b"%dms" % (bucket.reset_seconds * 1000)),
            ]
        if wait:
            message = f"Rate limit reached on {kind} per min. Please try again in {wait:.3f}s."
            raise ApiError(429, message, kind=kind, code="rate_limit_exceeded", retry_after_seconds=round(wait, 3))

    # -- chat

    async def _chat(self, call: Call) -> None:
        request, model, knobs = await self._request(call)
        messages = request.get("messages")
        if (
            not isinstance(messages, list)
            or not messages
            or not all(isinstance(m, dict) and "role" in m for m in messages)
        ):
            raise ApiError(400, "'messages' must be a non-empty list of messages with a role.", param="messages")
        prompt_tokens = sum(len(text_of(message).split()) for message in messages)
        fault = await self._admit(call, model, knobs, prompt_tokens)
        if knobs.hold is not None and knobs.hold in _question(messages):
            await call.pause(float("inf"))
        tokens, finish = _answer(request, messages, knobs, fault)
        options = request.get("stream_options")
        completion = Completion(
            id=f"chatcmpl-{self.serial:012x}",
            model=model,
            stream=request.get("stream") is True and not knobs.whole,
            include_usage=isinstance(options, dict) and options.get("include_usage") is True,
            tokens=tokens,
            finish=finish,
            usage={
                "prompt_tokens": prompt_tokens,
                "completion_tokens": len(tokens),
                "total_tokens": prompt_tokens + len(tokens),
            },
        )
        if knobs.manner is not None:
            await self._mannered(call, completion, knobs, MANNERS[knobs.manner])
        elif completion.stream:
            await self._stream(call, completion, knobs, fault)
        else:
            await self._plain(call, completion, knobs, fault)
        if fault != "truncate":
            self.stats["completion_tokens"] += len(tokens)

    async def _mannered(self, call: Call, completion: Completion, knobs: Knobs, manner: Manner) -> None:
        send, content_type = manner.whole, b"application/json"
        if completion.stream:
            send, content_type = manner.streamed, b"text/event-stream; charset=utf-8"
        if manner.encoding is not None:
            call.headers.append((b"content-encoding", manner.encoding))
        body = send("".join(completion.tokens), {"id": completion.id, "model": completion.model}, completion.usage)
        await call.start(200, manner.content_type or content_type, len(body))
        for event in body.splitlines(keepends=True) if knobs.gap else ():
            await call.pause(knobs.gap)
            await call.write(event)
        await call.write(b"" if knobs.gap else body, last=True)

    async def _plain(self, call: Call, completion: Completion, knobs: Knobs, fault: str | None) -> None:
        await call.pause(float("inf") if fault == "stall" else knobs.ttft + knobs.gap * (len(completion.tokens) - 1))
        body = completion.plain()
        if fault == "truncate":
            await call.start(200, b"application/json", len(body))
            return await call.write(body[: len(body) // 2])
        self.stats["tokens_sent"] += len(completion.tokens)
        return await call.answer(200, body[:-2] if fault == "badjson" else body)

    async def _mannered_vectors(self, call: Call, request: Json, texts: list[str], knobs: Knobs) -> None:
        assert knobs.vectors is not None
        manner = EMBEDDING_MANNERS[knobs.vectors]
        if manner.refuses(request, texts):
            said = manner.refusal if isinstance(manner.refusal, str) else orjson.dumps(manner.refusal).decode()
            return await call.answer(manner.status, said.encode())
        if manner.encoding is not None:
            call.headers.append((b"content-encoding", manner.encoding))
        envelope: Json = {
            "object": "list",
            "model": request["model"],
            "usage": {"prompt_tokens": 1, "total_tokens": 1},
        }
        return await call.answer(200, manner.content([embed(text, knobs.dims) for text in texts], envelope))

    async def _stream(self, call: Call, completion: Completion, knobs: Knobs, fault: str | None) -> None:
        half = len(completion.tokens) // 2
        await call.pause(knobs.ttft)
        await call.start(200, b"text/event-stream; charset=utf-8")
        await call.write(completion.chunk({"role": "assistant", "content": "", "refusal": None}))
        if fault in ("stall", "truncate", "badjson"):
            await self._stream_tokens(call, completion, completion.tokens[:half], knobs)
            if fault == "badjson":
                return await call.write(b'data: {"id": \n\ndata: [DONE]\n\n', last=True)
            if fault == "stall":
                await call.pause(float("inf"))
            return None
        await self._stream_tokens(call, completion, completion.tokens, knobs)
        return await call.write(completion.ending(), last=True)

    async def _stream_tokens(self, call: Call, completion: Completion, tokens: list[str], knobs: Knobs) -> None:
        if knobs.gap == 0:
            await call.write(b"".join([completion.chunk({"content": token}) for token in tokens]))
            self.stats["tokens_sent"] += len(tokens)
            return
        for index, token in enumerate(tokens):
            await call.pause(knobs.gap if index else 0)
            await call.write(completion.chunk({"content": token}))
            self.stats["tokens_sent"] += 1

    # -- embeddings

    async def _embeddings(self, call: Call) -> None:
        request, model, knobs = await self._request(call)
        given = request.get("input")
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
            message = "'input' must be a string or a list of strings, none of them empty. Tokens are not supported."
            raise ApiError(400, message, param="input")
        dims = request.get("dimensions") or knobs.dims
        if not isinstance(dims, int) or not 1 <= dims <= 4096:
            raise ApiError(400, "'dimensions' must be between 1 and 4096.", param="dimensions")
        words = sum(len(text.split()) for text in texts)
        fault = await self._admit(call, model, knobs, words)
        await call.pause(float("inf") if fault == "stall" else knobs.ttft)
        if knobs.vectors is not None:
            return await self._mannered_vectors(call, request, texts, knobs)
        as_base64 = request.get("encoding_format") == "base64"
        data = [
            {"object": "embedding", "index": index, "embedding": _encoded(embed(text, dims), as_base64)}
            for index, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": words, "total_tokens": words}
        body = orjson.dumps(
            {"object": "list", "data": data, "model": model, "usage": usage},
            option=orjson.OPT_SERIALIZE_NUMPY,
        )
        if fault == "truncate":
            await call.start(200, b"application/json", len(body))
            return await call.write(body[: len(body) // 2])
        return await call.answer(200, body[:-2] if fault == "badjson" else body)


def _answer(request: Json, messages: list[Json], knobs: Knobs, fault: str | None) -> tuple[list[str], str]:
    """Make the answer's tokens and its finish_reason."""
    if knobs.echo:
        tokens = tokenize(orjson.dumps(messages).decode())
    else:
        tokens = tokenize(compose(messages))
        if knobs.tokens is not None:
            tokens = [token.strip() + " " for token in tokens]
            tokens = (tokens * (knobs.tokens // len(tokens) + 1))[: knobs.tokens]
    if fault == "filter":
        return tokens[: len(tokens) // 2], "content_filter"
    limit = request.get("max_completion_tokens") or request.get("max_tokens")
    if isinstance(limit, int) and len(tokens) > limit and not knobs.echo:
        return tokens[:limit], "length"
    return tokens, "stop"


def _encoded(vector: Vector, as_base64: bool) -> object:
    return base64.b64encode(vector.tobytes()).decode() if as_base64 else vector


def _model(name: str) -> Json:
    return {"id": name, "object": "model", "created": 1_735_689_600, "owned_by": "tests"}


# ----------------------------------------------------------------------------------------- the process


class _Server(uvicorn.Server):
    """Leaves at once on a signal and cuts its connections, as a machine that dies does."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        os._exit(0)  # uvicorn's own way out would answer 500 to the calls in flight


async def _serve(app: App, host: str, port: int, exit_with_stdin: bool) -> None:
    listener = socket.create_server((host, port), backlog=2048)
    config = uvicorn.Config(
        cast("Any", app),
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="critical",  # it would log each `truncate` as an error; the application's own go to stderr
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=120,  # longer than any client's, which would otherwise meet a closing connection
    )
    server = _Server(config)
    if exit_with_stdin:

        def read() -> None:
            if not os.read(0, 1024):
                server.handle_exit(signal.SIGTERM, None)

        asyncio.get_running_loop().add_reader(0, read)
    ready = {"url": f"http://{host}:{listener.getsockname()[1]}/v1", "pid": os.getpid()}
    print(json.dumps(ready), flush=True)  # noqa: T201  (the parent waits for this line)
    await server.serve(sockets=[listener])


def main() -> None:
    """Serve until SIGTERM, SIGINT or, with --exit-with-stdin, the end of stdin."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.model_server", description=__doc__.split("\n")[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument(
        "--knobs", default=os.environ.get("MODEL_SERVER_KNOBS", ""), help="for every model: ttft=1s-..."
    )
    parser.add_argument("--api-key", default=os.environ.get("MODEL_SERVER_API_KEY"), help="refuse any other (401)")
    parser.add_argument("--exit-with-stdin", action="store_true", help="exit when stdin is closed")
    parser.add_argument("--rewrites", type=json.loads, default={}, help="follow-ups and their standalone form, JSON")
    args = parser.parse_args()
    REWRITES.update(args.rewrites)
    try:
        app = App(api_key=args.api_key or None, knobs=parse_knobs(args.knobs))
    except ValueError as error:
        parser.error(str(error))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(app, args.host, args.port, args.exit_with_stdin))


class ModelServer:
    """The server as a child process, which ends with this process at the latest.

    `knobs` apply to every model ("ttft=1s-gap=20ms"). `rewrites`: follow-ups, and what they are in other words.
    With `port` it can come back where another one stopped.
    Raises RuntimeError when the child does not start (a port in use, a knob it does not know).
    """

    def __init__(
        self, *, knobs: str = "", api_key: str | None = None, port: int = 0, rewrites: dict[str, str] | None = None
    ) -> None:
        command = [sys.executable, "-m", "tests.support.model_server", "--exit-with-stdin"]
        command += ["--port", str(port), "--knobs", knobs, "--api-key", api_key or ""]
        command += ["--rewrites", json.dumps(rewrites or {})]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        ready = self.process.stdout.readline()
        if not ready:
            self.stop()
            raise RuntimeError(f"the model server did not start (exit code {self.process.returncode}, see stderr)")
        self.url: str = json.loads(ready)["url"]
        self.port: int = int(self.url.split(":")[2].removesuffix("/v1"))

    def stats(self) -> Stats:
        """What it has seen since the start or the last reset."""
        return self._json("GET", "/stats")

    def reset(self) -> Stats:
        """Begin counting anew, faults and limits included; what is in flight stays in flight."""
        return self._json("POST", "/stats/reset")

    def wait_until(self, fact: Callable[[Stats], bool], timeout_seconds: float = 10.0) -> Stats:
        """Wait for a fact about the stats; raises TimeoutError with the last stats seen."""
        end = time.monotonic() + timeout_seconds
        while not fact(stats := self.stats()):
            if time.monotonic() > end:
                raise TimeoutError(f"not so after {timeout_seconds:g} s: {stats}")
            time.sleep(0.01)
        return stats

    def stop(self) -> None:
        """End it; calls in flight are cut."""
        self.process.terminate()
        self.process.wait(timeout=10)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _json(self, method: str, path: str) -> Stats:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path)
            return cast("Stats", json.loads(connection.getresponse().read()))
        finally:
            connection.close()


if __name__ == "__main__":
    main()
