"""A JSON body of every route that takes one, in each way to write it: read as it was meant, or told of UTF-8."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis, FakeServer
from fastapi.testclient import TestClient
from httpx2 import Response

from app.core.settings import Settings
from app.main import create_app
from tests.support.credentials import LOCAL_URL

QUESTION = "Wie prüft man den Zähler? \u20ac"
FIELDS = {"query": QUESTION, "input": QUESTION, "messages": [{"role": "user", "content": QUESTION}]}
READ = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
READ_AND_REFUSED = ("n must be 1", "no such embedding model", "has no metadata", "chat-log-off", "no such file")
"""What is said of a body that was read."""
PUT = {"/collections/{name}"}
REFUSED = {
    "Windows-1252": lambda text: text.encode("cp1252"),
    "Latin-1": lambda text: text.replace("\u20ac", "").encode("latin-1"),
    "Latin-1 after UTF-8's mark": lambda text: b"\xef\xbb\xbf" + text.replace("\u20ac", "").encode("latin-1"),
    "half a character": lambda text: text.encode()[: text.encode().index(b"\xc3") + 1] + b'"}',
    "half of UTF-16": lambda text: text.encode("utf-16")[:-1],
    "UTF-16 with half a pair": lambda text: text.replace("\u20ac", "\ud800").encode("utf-16", "surrogatepass"),
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    settings = Settings(documents_url=str(tmp_path_factory.mktemp("bodies")), qdrant_url="http://127.0.0.1:9")
    app = create_app(settings, valkey=FakeAsyncRedis(server=FakeServer()))
    with TestClient(app, LOCAL_URL, raise_server_exceptions=False) as client:
        yield client


def routes(client: TestClient) -> list[str]:
    """Every route whose body is JSON."""
    document: dict[str, Any] = client.get("/openapi.json").json()
    return [
        path
        for path, operations in document["paths"].items()
        for operation in operations.values()
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    ]


def text_for(path: str) -> str:
    own: dict[str, dict[str, object]] = {
        "/session": {"key": QUESTION},
        "/failed-jobs/requeue": {"filter": {"text": QUESTION}},
        "/failed-jobs/delete": {"filter": {"text": QUESTION}},
        "/collections/{name}": {"title": QUESTION},
        "/jobs/{job_id}/feedback": {"rating": "up", "comment": QUESTION},
    }
    fields = own.get(path, {"query": QUESTION})
    if path == "/v1/conversations":
        fields = {"metadata": {"of": QUESTION}}
    elif path == "/v1/batches":
        file_id = f"file-{'0' * 32}"
        fields = {"input_file_id": file_id, "endpoint": "/v1/responses", "completion_window": "24h"}
        fields["metadata"] = {"of": QUESTION}
    elif path.startswith("/v1/"):
        fields = FIELDS | {
            "model": "rag-queue",
            "background": True,
            "n": 2,
        }  # n: a completion is refused, not waited for
    return json.dumps(fields, ensure_ascii=False)


def send(client: TestClient, path: str, body: bytes) -> Response:
    method = "PUT" if path in PUT else "POST"
    return client.request(
        method, path.replace("{name}", "manuals"), content=body, headers={"Content-Type": "application/json"}
    )


def test_every_encoding_of_unicode_is_read_as_it_was_meant(client: TestClient) -> None:
    assert {"/chat", "/search", "/v1/chat/completions", "/v1/responses"} <= set(routes(client))
    for path in routes(client):
        plain = send(client, path, text_for(path).encode())
        is_read = any(known in plain.text for known in READ_AND_REFUSED)
        assert plain.status_code in (200, 201, 202) or is_read, path
        for encoding in READ:
            again = send(client, path, text_for(path).encode(encoding))
            assert again.status_code == (200 if path in PUT else plain.status_code), encoding


@pytest.mark.parametrize("encoding", READ)
def test_the_question_arrives_whatever_it_was_written_in(client: TestClient, encoding: str) -> None:
    made = send(client, "/v1/responses", text_for("/v1/responses").encode(encoding)).json()
    [item] = client.get(f"/v1/responses/{made['id']}/input_items").json()["data"]
    assert item["content"][0]["text"] == QUESTION
    job_id = send(client, "/chat", text_for("/chat").encode(encoding)).json()["job_id"]
    [item] = client.get(f"/v1/responses/resp_{job_id}/input_items").json()["data"]
    assert item["content"][0]["text"] == QUESTION


@pytest.mark.parametrize("way", REFUSED)
def test_any_other_encoding_is_refused_with_the_one_that_is_right(client: TestClient, way: str) -> None:
    for path in routes(client):
        response = send(client, path, REFUSED[way](text_for(path)))
        assert response.status_code in (400, 422), path
        is_openais = path.startswith("/v1/")
        shape = "application/json" if is_openais else "application/problem+json"
        assert response.headers["content-type"] == shape
        message = response.json()["error"]["message"] if is_openais else response.json()["detail"]
        if "half a pair" not in way:  # which can be read, and is no character
            assert (response.status_code, "UTF-8" in message) == (400, True), (path, message)
