"""What a server of OpenAI's protocol answers to POST /embeddings, in the manners that servers have of it."""

import sys
from array import array
from base64 import b64decode
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from app.core.errors import ErrorCode, ServiceError
from worker.model.completion_stream import BYTE_ORDER_MARK
from worker.model.provider_errors import error_in_body

FLOAT_MAX = 3.4e38
"""The index keeps 32 bits of a number (IEEE 754, binary32)."""

Vectors = list[list[float]]


def read_vectors(body: bytes, count: int, on_tokens: Callable[[int], object] = lambda _: None) -> Vectors:
    """The vectors of `count` texts, in the texts' order, of one size, each number finite.

    `on_tokens` is told how many tokens the texts are, where the server says it.
    Raises `ServiceError` (MODEL_UNAVAILABLE, or what an error within the body means), and one of `NOT_THE_PROTOCOL`.
    """
    parsed = orjson.loads(body.removeprefix(BYTE_ORDER_MARK))
    data = parsed.get("data") if isinstance(parsed, dict) else None
    if not isinstance(data, list) or not data:
        raise error_in_body(parsed)
    if isinstance(usage := parsed.get("usage"), dict) and isinstance(tokens := usage.get("prompt_tokens"), int):
        on_tokens(tokens)
    return checked([_vector(item["embedding"]) for item in _in_order(data)], count)


def checked(vectors: Vectors, count: int) -> Vectors:
    """`vectors`, when they are `count` of one size, and their numbers finite. Raises `ServiceError` else."""
    sizes = {len(vector) for vector in vectors}
    if len(vectors) != count or len(sizes) != 1 or 0 in sizes or not all(map(_is_finite, vectors)):
        raise ServiceError(ErrorCode.MODEL_UNAVAILABLE)
    return vectors


def _is_finite(vector: list[float]) -> bool:
    """By its sum, which is no more finite than what it is made of."""
    return abs(sum(vector)) <= FLOAT_MAX


def _in_order(data: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    """By `index`, from whatever it counts. Where it is missing, or the same for all, it says nothing."""
    numbers = [item.get("index") for item in data]
    if len(set(numbers)) == 1:
        return data
    ordered = sorted(data, key=lambda item: item["index"])
    first = ordered[0]["index"]
    if [item["index"] for item in ordered] != [*range(first, first + len(data))]:
        raise ServiceError(ErrorCode.MODEL_UNAVAILABLE)
    return ordered


def _vector(told: Any) -> list[float]:
    """Numbers, also within one more list as llama.cpp has them; or 32-bit floats in base64, as OpenAI packs them."""
    if isinstance(told, str):
        numbers = array("f", b64decode(told, validate=True))
        if sys.byteorder == "big":
            numbers.byteswap()
    else:
        numbers = array("d", told[0] if len(told) == 1 and isinstance(told[0], list) else told)
    return numbers.tolist()
