"""What is read back of a check of the models is hostile until it was looked at."""

from collections.abc import Iterator

import pytest
from fakeredis import FakeAsyncRedis, FakeRedis, FakeServer
from fastapi.testclient import TestClient

from app.core.model_findings import BYTES_MAX, KEY, MESSAGES, ModelRole, Problem, read, written
from app.core.settings import Settings
from app.main import create_app

HOSTILE = [
    b"",
    b"null",
    b"[]",
    b"{",
    b"\xff\xfe",
    b'{"chat_model":"<script>"}',
    b'{"<script>":"no_v1"}',
    b'{"chat_model":{"a":1}}',
    b'{"chat_model":"no_v1","x":"y"}',
    b"[" * 10_000,
    b'{"chat_model":"' + b"x" * 10_000_000 + b'"}',
]


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def client(server: FakeServer) -> Iterator[TestClient]:
    app = create_app(Settings(qdrant_url="http://127.0.0.1:9"), valkey=FakeAsyncRedis(server=server))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


def test_all_findings_together_fit_into_what_is_read() -> None:
    for problem in Problem:
        findings = dict.fromkeys(ModelRole, problem)
        assert read(written(findings)) == findings
        assert len(written(findings)) < BYTES_MAX
    assert set(MESSAGES) == set(Problem)


@pytest.mark.parametrize("kept", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_not_of_our_making_is_not_shown(client: TestClient, server: FakeServer, kept: bytes) -> None:
    FakeRedis(server=server).set(KEY, kept)
    assert "warnings" not in client.get("/readyz").json()


def test_a_key_of_another_type_is_not_shown(client: TestClient, server: FakeServer) -> None:
    FakeRedis(server=server).hset(KEY, "chat_model", "no_v1")
    assert "warnings" not in client.get("/readyz").json()


def test_a_finding_is_shown_in_words_and_makes_nothing_unavailable(client: TestClient, server: FakeServer) -> None:
    before = client.get("/readyz")
    FakeRedis(server=server).set(KEY, written({ModelRole.EMBEDDING: Problem.KEY_REFUSED}))
    ready = client.get("/readyz")
    assert ready.json() == before.json() | {"warnings": {"embedding_model": MESSAGES[Problem.KEY_REFUSED]}}
    assert ready.status_code == before.status_code
