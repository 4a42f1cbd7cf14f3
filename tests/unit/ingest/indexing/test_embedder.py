"""Embedding within the model's budget, and with patience."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fakeredis import FakeRedis

from app.core.budget_keys import LEASES
from app.core.errors import ErrorCode, ServiceError
from app.core.settings import Settings
from ingest.indexing import embedder as budgeted
from ingest.indexing.embedder import ATTEMPTS, Embedder, open_budget
from worker.index.vector_index import VectorIndex


@pytest.fixture
def valkey() -> FakeRedis:
    return FakeRedis()


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgeted, "WAIT_SECONDS_MAX", 0.001)
    monkeypatch.setattr(budgeted, "TURN_POLL_SECONDS", 0.001)


def _index(*answers: ErrorCode | None) -> Any:
    """An index whose calls to `embed` end in these ways, one after the other."""
    left = list(answers)

    def embed(texts: Sequence[str]) -> list[list[float]]:
        code = left.pop(0)
        if code is not None:
            raise ServiceError(code, retry_after_seconds=30)
        return [[1.0] for _ in texts]

    return cast(VectorIndex, SimpleNamespace(embed=embed, left=left))


def test_a_provider_that_asks_to_slow_down_is_asked_again() -> None:
    limited = ErrorCode.MODEL_RATE_LIMITED
    assert Embedder(_index(limited, limited, None)).embed(["a"]) == [[1.0]]


@pytest.mark.parametrize("code", ErrorCode)
def test_patience_ends(code: ErrorCode) -> None:
    index = _index(*[code] * 7)
    with pytest.raises(ServiceError, match=code.value):
        Embedder(index).embed(["a"])
    assert 7 - len(index.left) == ATTEMPTS.get(code, 1)


def test_another_error_comes_out_at_once() -> None:
    with pytest.raises(ServiceError, match="model_rejected"):
        Embedder(_index(ErrorCode.MODEL_REJECTED)).embed(["a"])


def test_without_a_limit_or_a_model_there_is_no_budget(valkey: FakeRedis) -> None:
    assert open_budget(valkey, Settings(embedding_model="m")) is None
    assert open_budget(valkey, Settings(model_max_concurrency=1)) is None


def test_a_request_holds_one_place_of_the_budget_and_gives_it_back(valkey: FakeRedis) -> None:
    budget = open_budget(valkey, Settings(embedding_model="m", model_max_concurrency=1))
    held: list[int] = []

    def embed(texts: Sequence[str]) -> list[list[float]]:
        held.append(valkey.zcard(LEASES))
        return [[1.0]]

    Embedder(cast(VectorIndex, SimpleNamespace(embed=embed)), budget).embed(["a"])
    assert (held, valkey.zcard(LEASES)) == ([1], 0)


def test_who_waits_for_a_place_is_told_to_stop(valkey: FakeRedis) -> None:
    budget = open_budget(valkey, Settings(embedding_model="m", model_max_concurrency=1))
    assert budget is not None
    assert budget.acquire("another")
    embedder = Embedder(_index(None), budget)
    embedder.stop()
    with pytest.raises(ServiceError, match="rate_limited"):
        embedder.embed(["a"])
