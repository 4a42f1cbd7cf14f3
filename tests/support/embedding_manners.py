"""How servers of OpenAI's protocol answer POST /embeddings, odd habits from public complaints about them: one table.

The model server's knob `manner=NAME` takes them by name, as those of `tests.support.model_manners`.
"""

import gzip
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import orjson

Json = dict[str, Any]
Vector = Sequence[float]


def as_told(data: list[Json]) -> Any:
    """What stands in `data`."""
    return data


def same(body: bytes) -> bytes:
    """`body` as it is."""
    return body


@dataclass(frozen=True)
class EmbeddingManner:
    """One habit: what it refuses, what it makes of the `data` of a right answer, and how that goes over the wire."""

    texts_max: int | None = None
    words_max: int | None = None
    """Of all texts of a request together."""
    refusal: tuple[int, Json] = (400, {"error": {"message": "too large", "type": "invalid_request_error"}})
    data: Callable[[list[Json]], Any] = as_told
    body: Json | None = None
    """Instead of any vectors."""
    pack: Callable[[bytes], bytes] = same
    encoding: bytes | None = None
    dims: int | None = None

    def refuses(self, texts: Sequence[str]) -> bool:
        """Whether a request with `texts` is more than it takes."""
        words = sum(len(text.split()) for text in texts)
        return (self.texts_max is not None and len(texts) > self.texts_max) or (
            self.words_max is not None and words > self.words_max
        )


PLAIN = EmbeddingManner()
"""None at all."""


def each(change: Callable[[Json, int], Json]) -> Callable[[list[Json]], list[Json]]:
    """Every item as `change` has it, by its place."""
    return lambda data: [change(dict(item), place) for place, item in enumerate(data)]


def numbered(number: Callable[[int, int], Any]) -> Callable[[list[Json]], list[Json]]:
    """Every item with the `index` that `number` gives for its place and their count, ordered by it downwards."""
    return lambda data: [item | {"index": number(place, len(data))} for place, item in enumerate(data)][::-1]


def vector(change: Callable[[Vector], Any]) -> Callable[[list[Json]], list[Json]]:
    """Every item with its vector as `change` has it."""
    return each(lambda item, _: item | {"embedding": change(item["embedding"])})


def packed(numbers: Vector) -> str:
    """In base64 of 32-bit floats, the least significant byte first."""
    return b64encode(numpy.asarray(numbers, dtype="<f4").tobytes()).decode()


def _message(text: str, **more: object) -> Json:
    return {"error": {"message": text, "type": "invalid_request_error", **more}}


EMBEDDING_MANNERS: dict[str, EmbeddingManner] = {
    # As much as one request takes, as Hugging Face, OpenAI, Cohere, Voyage, DashScope, vLLM and llama.cpp say it
    "texts_413": EmbeddingManner(4, refusal=(413, {"error": "batch size 9 > maximum allowed batch size 4"})),
    "texts_400": EmbeddingManner(4, refusal=(400, _message("'$.input' is invalid: at most 4 inputs"))),
    "texts_422": EmbeddingManner(1, refusal=(422, {"detail": "input must be a single text"})),
    "texts_cohere": EmbeddingManner(4, refusal=(400, {"message": "total number of texts must be at most 4"})),
    "tokens_openai": EmbeddingManner(
        words_max=60, refusal=(400, _message("Invalid 'input': maximum request size is 60 tokens per request."))
    ),
    "tokens_voyage": EmbeddingManner(
        words_max=60, refusal=(400, {"detail": "The max allowed tokens per submitted batch is 60."})
    ),
    "tokens_context": EmbeddingManner(
        words_max=60, refusal=(400, _message("This model's maximum context length is 60 tokens"))
    ),
    "tokens_500": EmbeddingManner(
        words_max=60,
        refusal=(
            500,
            _message("input is too large to process. increase the physical batch size", type="server_error"),
        ),
    ),
    "nothing_fits": EmbeddingManner(words_max=0, refusal=(400, _message("input is too long", type="invalid"))),
    # The order, and how it is told
    "reversed": EmbeddingManner(data=numbered(lambda place, _: place)),
    "from_one": EmbeddingManner(data=numbered(lambda place, _: place + 1)),
    "index_missing": EmbeddingManner(data=each(lambda item, _: {"embedding": item["embedding"]})),
    "index_zero": EmbeddingManner(data=each(lambda item, _: item | {"index": 0})),
    "index_twice": EmbeddingManner(data=numbered(lambda place, count: min(place, max(count - 2, 0)))),
    "index_gap": EmbeddingManner(data=each(lambda item, place: item | {"index": 3 * place + (place > 0)})),
    "index_words": EmbeddingManner(data=each(lambda item, place: item | {"index": f"no. {place}"})),
    # The vector
    "base64": EmbeddingManner(data=vector(packed)),
    "nested": EmbeddingManner(data=vector(lambda numbers: [list(numbers)])),
    "by_token": EmbeddingManner(data=vector(lambda numbers: [list(numbers), list(numbers)])),
    "base64_cut": EmbeddingManner(data=vector(lambda numbers: b64encode(b"abcde").decode())),
    "no_base64": EmbeddingManner(data=vector(lambda _: "one, two")),
    "null": EmbeddingManner(data=vector(lambda _: None)),
    "null_within": EmbeddingManner(data=vector(lambda numbers: [None, *list(numbers)[1:]])),
    "words": EmbeddingManner(data=vector(lambda numbers: [str(number) for number in numbers])),
    "no_number": EmbeddingManner(data=vector(lambda numbers: packed([float("nan"), *list(numbers)[1:]]))),
    "infinite": EmbeddingManner(data=vector(lambda numbers: packed([float("inf"), *list(numbers)[1:]]))),
    "empty": EmbeddingManner(data=vector(lambda _: [])),
    "uneven": EmbeddingManner(
        data=each(lambda item, place: item | {"embedding": list(item["embedding"])[: None if place else -1]})
    ),
    "other_size": EmbeddingManner(dims=8),
    # The list
    "one_less": EmbeddingManner(data=lambda data: data[:-1]),
    "one_more": EmbeddingManner(data=lambda data: [*data, data[0] | {"index": len(data)}]),
    "none": EmbeddingManner(data=lambda _: []),
    "no_list": EmbeddingManner(data=lambda _: None),
    # Instead of it
    "error": EmbeddingManner(body={"object": "error", "message": "CUDA error", "type": "InternalServerError"}),
    "error_rate": EmbeddingManner(body=_message("slow down", code="rate_limit_exceeded")),
    "nothing": EmbeddingManner(body={}),
    # The wire
    "bom": EmbeddingManner(pack=lambda body: b"\xef\xbb\xbf" + body),
    "gzip": EmbeddingManner(pack=gzip.compress, encoding=b"gzip"),
    "html": EmbeddingManner(pack=lambda _: b"<html>Bad Gateway</html>"),
    "cut": EmbeddingManner(pack=lambda body: body[: len(body) // 2]),
}


def answer_of(manner: EmbeddingManner, data: list[Json], model: str, usage: Json) -> bytes:
    """The body of an answer with these vectors."""
    whole = {"object": "list", "data": manner.data(data), "model": model, "usage": usage}
    told = whole if manner.body is None else manner.body
    return manner.pack(orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY))
