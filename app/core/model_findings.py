"""What a worker's check of the models at its start has found, as it stands in Valkey: which model, and what is wrong.

One small key of closed words, without addresses, names and secrets: `/readyz`, which anybody may read, shows it. What
the operator needs beside is in the worker's log.
"""

from enum import StrEnum

from pydantic import TypeAdapter, ValidationError

from app.core.models import HIDDEN

KEY = "rag:model-check"
EXPIRES_SECONDS = 150
"""After the last worker that has found it has gone: longer than it waits before it asks again."""
BYTES_MAX = 1024
"""Of the key, what is read: all words together are shorter."""


class ModelRole(StrEnum):
    """Which model."""

    CHAT = "chat_model"
    EMBEDDING = "embedding_model"


class Problem(StrEnum):
    """What is wrong with it."""

    UNREACHABLE = "unreachable"
    NO_V1 = "no_v1"
    KEY_REFUSED = "key_refused"
    UNKNOWN_MODEL = "unknown_model"
    NOT_CHOSEN = "not_chosen"


Findings = dict[ModelRole, Problem]

MESSAGES: dict[Problem, str] = {
    Problem.UNREACHABLE: "The model's server could not be reached when a worker asked.",
    Problem.NO_V1: "The base URL of the model's server lacks /v1 at its end.",
    Problem.KEY_REFUSED: "The model's server refused the key.",
    Problem.UNKNOWN_MODEL: "The model's server lists no model of this name.",
    Problem.NOT_CHOSEN: "It is not clear which model is to embed; words alone are searched. Set EMBEDDING_MODEL.",
}
"""Fit for the public; the worker's log, under `model_check_failed`, has the address and the names."""

_FINDINGS = TypeAdapter(Findings, config=HIDDEN)


def written(findings: Findings) -> bytes:
    """As they are kept in Valkey."""
    return _FINDINGS.dump_json(findings)


def read(kept: bytes) -> Findings:
    """What `kept` says; nothing when it is not of our making."""
    try:
        return _FINDINGS.validate_json(kept)
    except ValidationError:
        return {}
