"""How servers of OpenAI's protocol send vectors, odd habits from public complaints about them: one table.

Each manner says what the server takes at once and how it refuses more, what the vectors and their order become, and
how the body goes over the wire. The model server's knob `vectors=NAME` takes them by name.
"""

import base64
import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

Json = dict[str, Any]
Vector = np.ndarray[Any, np.dtype[np.float32]]
REFUSED = 400


def same(given: Any) -> Any:
    """What is given, as it is."""
    return given


@dataclass(frozen=True)
class EmbeddingManner:
    """One habit. `most` and `most_words` are the texts and the words that a request may have; more is `refusal`."""

    most: int | None = None
    most_words: int | None = None
    status: int = REFUSED
    refusal: object = None
    refuses_base64: bool = False
    vector: Callable[[Vector], object] = np.ndarray.tolist
    items: Callable[[list[Json]], object] = same
    body: object = None
    """Instead of any vectors."""
    raw: bytes | None = None
    """Instead of any body."""
    before: bytes = b""
    pack: Callable[[bytes], bytes] = same
    encoding: bytes | None = None

    def refuses(self, request: Json, texts: list[str]) -> bool:
        """Whether the request is more than is taken, or asked as it is not."""
        is_too_many = self.most is not None and len(texts) > self.most
        is_too_long = self.most_words is not None and sum(len(text.split()) for text in texts) > self.most_words
        return is_too_many or is_too_long or (self.refuses_base64 and request.get("encoding_format") == "base64")

    def content(self, vectors: list[Vector], envelope: Json) -> bytes:
        """The body of the answer."""
        if self.raw is not None:
            return self.raw
        items = [
            {"object": "embedding", "index": at, "embedding": self.vector(each)} for at, each in enumerate(vectors)
        ]
        body = {**envelope, "data": self.items(items)} if self.body is None else self.body
        return self.pack(self.before + orjson.dumps(body))


def message(words: str, **more: object) -> Json:
    """OpenAI's form of an error."""
    return {"error": {"message": words, "type": "invalid_request_error", "param": None, "code": None, **more}}


def packed(vector: Vector) -> str:
    """Base64, as OpenAI's clients ask for it."""
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def first_is(number: object) -> Callable[[Vector], object]:
    """Another thing where the first number of each vector would be."""
    return lambda vector: [number, *vector.tolist()[1:]]


def without(*names: str) -> Callable[[list[Json]], object]:
    """The items without some fields."""
    return lambda items: [{name: value for name, value in item.items() if name not in names} for item in items]


def indexes(index: Callable[[int], object]) -> Callable[[list[Json]], object]:
    """The items with other indexes."""
    return lambda items: [{**item, "index": index(at)} for at, item in enumerate(items)]


REFUSALS: dict[str, tuple[int, object]] = {
    "tei": (422, {"error": "batch size 8 > maximum allowed batch size 2", "error_type": "Validation"}),
    "siliconflow": (
        413,
        {"code": 20042, "message": "input batch size 8 > maximum allowed batch size 2", "data": None},
    ),
    "openai": (
        400,
        message(
            "Invalid 'input': array too long. Expected an array with maximum length 2, but got an array with length "
            "8 instead.",
            code="array_above_max_length",
        ),
    ),
    "openai_tokens": (
        400,
        message("Requested 350000 tokens, max 300000 tokens per request", code="max_tokens_per_request"),
    ),
    "azure": (400, message("Too many inputs. The max number of inputs is 2.  We hope to increase the number soon.")),
    "cohere": (400, {"message": "invalid request: total number of texts must be at most 2, received 8."}),
    "mistral": (400, {"object": "error", "message": "Too many inputs in request, split into more batches."}),
    "mistral_tokens": (400, {"object": "error", "message": "Too many tokens in batch. Max is 16384 got 20000"}),
    "voyage": (400, {"detail": "The batch size limit is 2. Your batch size is 8."}),
    "voyage_tokens": (
        400,
        {"detail": "The max allowed tokens per submitted batch is 120000. Your batch has 150000 tokens."},
    ),
    "dashscope": (
        400,
        message(
            "<400> InternalError.Algo.InvalidParameter: Value error, batch size is invalid, "
            "it should not be larger than 2.: input.contents"
        ),
    ),
    "gemini": (
        400,
        {
            "error": {
                "code": 400,
                "message": "* BatchEmbedContentsRequest.requests: at most 2 requests can be in one batch",
                "status": "INVALID_ARGUMENT",
            }
        },
    ),
    "infinity": (422, {"detail": [{"type": "too_long", "msg": "List should have at most 2 items after validation"}]}),
    "zhipu": (400, {"error": {"code": "1214", "message": "input数组最大不得超过2条"}}),
    "jina": (422, {"detail": "Number of inputs exceeds the maximum of 2"}),
    "vllm": (400, {"object": "error", "message": "This model's maximum context length is 512 tokens.", "code": 400}),
    "nginx": (413, "<html><h1>413 Request Entity Too Large</h1></html>"),
    "wordless_413": (413, ""),
    "at_most_2048_inputs": (400, message("at most 2048 inputs are allowed")),
}
"""How servers say that a request is too much, in their own words."""

EMBEDDING_MANNERS: dict[str, EmbeddingManner] = {
    # Limits
    **{f"most_{name}": EmbeddingManner(2, None, status, said) for name, (status, said) in REFUSALS.items()},
    "most_words": EmbeddingManner(None, 30, *REFUSALS["openai_tokens"]),
    "most_in_200": EmbeddingManner(2, None, 200, REFUSALS["mistral"][1]),
    # Forms
    "no_base64": EmbeddingManner(refuses_base64=True, refusal=message("encoding_format base64 is not supported")),
    "base64": EmbeddingManner(vector=packed),
    "bare": EmbeddingManner(items=without("object")),
    "gzip": EmbeddingManner(pack=gzip.compress, encoding=b"gzip"),
    "zlib": EmbeddingManner(pack=zlib.compress, encoding=b"deflate"),
    "bom": EmbeddingManner(before=b"\xef\xbb\xbf"),
    # Order
    "reversed": EmbeddingManner(items=lambda items: items[::-1]),
    "no_index": EmbeddingManner(items=without("index")),
    "null_index": EmbeddingManner(items=indexes(lambda _: None)),
    "same_index": EmbeddingManner(items=indexes(lambda _: 0)),
    "some_indexes": EmbeddingManner(items=indexes(lambda at: at or None)),
    "index_from_1": EmbeddingManner(items=indexes(lambda at: at + 1)),
    "text_index": EmbeddingManner(items=indexes(str)),
    "one_too_few": EmbeddingManner(items=lambda items: items[:-1]),
    "one_too_many": EmbeddingManner(items=lambda items: [*items, items[0]]),
    # Another model
    "longer": EmbeddingManner(vector=lambda vector: [*vector.tolist(), *vector.tolist()]),
    "shorter": EmbeddingManner(vector=lambda vector: vector.tolist()[:-1]),
    # Nothing, or nothing that can be used
    "no_data": EmbeddingManner(body={"object": "list"}),
    "null_data": EmbeddingManner(body={"object": "list", "data": None}),
    "empty_data": EmbeddingManner(body={"object": "list", "data": []}),
    "null_body": EmbeddingManner(raw=b"null"),
    "empty_body": EmbeddingManner(raw=b""),
    "list_body": EmbeddingManner(body=[]),
    "null_items": EmbeddingManner(items=lambda items: [None for _ in items]),
    "no_vectors": EmbeddingManner(items=without("embedding")),
    "null_vectors": EmbeddingManner(vector=lambda _: None),
    "empty_vectors": EmbeddingManner(vector=lambda _: []),
    "nested_vectors": EmbeddingManner(vector=lambda vector: [vector.tolist()]),
    "null": EmbeddingManner(vector=first_is(None)),
    "nan": EmbeddingManner(raw=b'{"data":[{"index":0,"embedding":[NaN,1]}]}'),
    "nan_text": EmbeddingManner(vector=first_is("NaN")),
    "nan_base64": EmbeddingManner(vector=lambda vector: packed(vector * np.float32("nan"))),
    "huge": EmbeddingManner(vector=first_is(1e300)),
    "bad_base64": EmbeddingManner(vector=lambda _: "?AAA"),
    "cut_base64": EmbeddingManner(vector=lambda vector: packed(vector)[:-4]),
    "uneven": EmbeddingManner(
        items=lambda items: [{**item, "embedding": [0.5] * (at + 1)} for at, item in enumerate(items)]
    ),
    "html": EmbeddingManner(raw=b"<!doctype html><title>Sign in</title>"),
    "gzip_cut": EmbeddingManner(pack=lambda body: gzip.compress(body)[:-20], encoding=b"gzip"),
    # Errors in a 200
    "error_object": EmbeddingManner(body={"object": "error", "message": "it broke", "code": 500}),
    "error_object_400": EmbeddingManner(body={"object": "error", "message": "no", "code": 400}),
    "error": EmbeddingManner(body={"error": {"message": "it broke", "type": "server_error"}}),
    "error_rate": EmbeddingManner(body={"error": {"message": "slow down", "code": "rate_limit_exceeded"}}),
    "error_key": EmbeddingManner(body={"error": {"message": "no", "code": "invalid_api_key"}}),
}
