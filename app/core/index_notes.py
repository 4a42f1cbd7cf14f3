"""What is noted in the index's own metadata, in Qdrant: whose vectors it has. And what a worker has found of that."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

EMBEDDING_MODEL = "embedding_model"
"""Names the model that the vectors come from; empty for none."""
LACKS_VECTORS = "lacks_vectors"
"""Chunks were written without the vectors that others have, by somebody who had another model."""
MADE_FOR = "made_for"
"""The name of the index that the collection is, was or is to be."""

SMALL_CHUNKS = 2_000
"""So many chunks at most are re-embedded by `python -m app` without being asked: some seconds, and some cents."""

KEY = "rag:index-check"
"""In Valkey: what a worker has found."""
EXPIRES_SECONDS = 30
"""After the last worker that looks has gone: longer than two looks are apart."""
BYTES_MAX = 64
"""Of the key, what is read."""


class IndexState(StrEnum):
    """Why questions are answered by words although there is an embedding model."""

    OF_ANOTHER_MODEL = "of_another_model"
    BEING_REEMBEDDED = "being_reembedded"


MESSAGES: dict[IndexState, str] = {
    IndexState.OF_ANOTHER_MODEL: (
        "Chunks in the index lack vectors of EMBEDDING_MODEL and are found by words: run python -m ingest --reembed."
    ),
    IndexState.BEING_REEMBEDDED: (
        "Vectors of EMBEDDING_MODEL are being made for the index; until then chunks are found by words."
    ),
}


def noted(info: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metadata of a collection, as Qdrant describes it (GET /collections/NAME)."""
    return info["config"].get("metadata") or {}


def lacks_vectors_of(model: str, notes: Mapping[str, Any]) -> bool:
    """Whether chunks of a collection lack vectors of `model`; none lacks those of no model."""
    return bool(model) and (notes.get(EMBEDDING_MODEL, "") != model or bool(notes.get(LACKS_VECTORS)))


def state_of(kept: bytes) -> IndexState | None:
    """What a worker has written; None for what is not of its making."""
    try:
        return IndexState(kept.decode())
    except ValueError:
        return None
