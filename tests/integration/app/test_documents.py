"""Documents over real HTTP, a real Valkey and a real index: from the upload to the last chunk, and back."""

import hashlib
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr
from redis import Redis
from rq import Queue, SimpleWorker

from app.core.contract import DEFAULT_TENANT, INGEST_QUEUE
from app.core.documents import operations
from app.core.documents.catalog import Catalog
from app.core.documents.files import DocumentStore
from app.core.documents.ids import document_id
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from tests.support.api import serving
from tests.support.pdfs import make_pdf
from tests.support.processes import wait_until
from worker.index.vector_index import open_index
from worker.resources import end

LARGE = 20 * 2**20
ROUNDS = 20
"""Enough to find a step that is out of order nearly every time."""


@pytest.fixture
def settings(valkey: Redis, valkey_url: str, qdrant_url: str, tmp_path: Path) -> Settings:
    return Settings(
        redis_url=SecretStr(valkey_url),
        qdrant_url=qdrant_url,
        qdrant_collection=f"t{uuid4().hex}",
        documents_url=str(tmp_path / "documents"),
        upload_max_mb=LARGE // 2**20 + 1,
    )


@pytest.fixture
def api(settings: Settings) -> Iterator[httpx.Client]:
    with serving(settings) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


def upload(api: httpx.Client, name: str, data: bytes) -> httpx.Response:
    return api.post("/documents", files=[("files", (name, data))])


def stored(settings: Settings) -> set[str]:
    folder = Path(settings.documents_url or "")
    return {path.name for path in folder.rglob("*") if path.is_file()}


def work(valkey: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work the ingestion queue until it is empty, as a stock worker does."""
    for name, value in settings.model_dump(exclude_unset=True).items():
        monkeypatch.setenv(name.upper(), value.get_secret_value() if isinstance(value, SecretStr) else str(value))
    queue = Queue(INGEST_QUEUE, connection=valkey, serializer=PlainSerializer)
    try:
        SimpleWorker([queue], connection=valkey, serializer=PlainSerializer).work(burst=True)
    finally:
        end()


def test_a_document_is_uploaded_indexed_shown_and_deleted(
    api: httpx.Client, valkey: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = make_pdf(tmp_path / "harbour.pdf", ["The harbour opens at six.", "It closes at nine."])
    taken = upload(api, file.name, file.read_bytes())
    assert taken.status_code == 202, taken.text
    document = taken.json()["documents"][0]
    work(valkey, settings, monkeypatch)
    shown = api.get(document["urls"]["document"]).json()
    assert (shown["status"], shown["error"], shown["pages"], shown["pages_done"]) == ("indexed", None, 2, 2)
    assert shown["chunks"] >= 1
    job = api.get(document["urls"]["job"]).json()
    assert (job["status"], job["kind"]) == ("finished", "ingest")
    index = open_index(settings)
    try:
        where = {"tenant": DEFAULT_TENANT, "collection": "default"}
        assert [found.document_id for found in index.documents(**where)] == [document["document_id"]]
        assert api.delete(document["urls"]["document"]).status_code == 204
        assert api.get("/documents").json()["documents"] == []
        work(valkey, settings, monkeypatch)
        assert list(index.documents(**where)) == []
    finally:
        index.close()
    assert stored(settings) == set()


def test_a_file_that_can_not_be_read_fails_with_its_reason(
    api: httpx.Client, valkey: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = upload(api, "broken.pdf", b"%PDF-1.7\nnothing else").json()["documents"][0]
    work(valkey, settings, monkeypatch)
    shown = api.get(document["urls"]["document"]).json()
    assert shown["status"] == "failed"
    assert shown["error"]["code"]
    assert shown["error"]["message"]


def test_a_large_file_comes_and_goes_whole(api: httpx.Client, settings: Settings) -> None:
    data = b"%PDF-1.7\n" + random.Random(1).randbytes(LARGE)
    document = upload(api, "large.pdf", data).json()["documents"][0]
    assert document["sha256"] == hashlib.sha256(data).hexdigest()
    assert hashlib.sha256(api.get(document["urls"]["file"]).content).hexdigest() == document["sha256"]
    span = api.get(document["urls"]["file"], headers={"range": f"bytes={LARGE // 2}-{LARGE // 2 + 700_000}"})
    assert span.content == data[LARGE // 2 : LARGE // 2 + 700_001]


def test_a_client_that_leaves_in_the_middle_leaves_nothing(api: httpx.Client, settings: Settings) -> None:
    def half() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.pdf"\r\n\r\n%PDF-1.7'
        yield bytes(2**20)
        raise ConnectionAbortedError

    headers = {"content-type": "multipart/form-data; boundary=b"}
    with pytest.raises(ConnectionAbortedError):
        api.post("/documents", content=half(), headers=headers)
    wait_until(lambda: not stored(settings), "the draft is dropped")
    assert api.get("/documents").json()["documents"] == []


def test_whoever_comes_at_once_no_document_is_without_its_file_and_no_file_without_a_document(
    api: httpx.Client, valkey: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a store that takes its time, so that requests meet in every step of each other."""
    for step in ("delete", "_keep"):
        monkeypatch.setattr(DocumentStore, step, _slow(getattr(DocumentStore, step)))
    contents = [b"%PDF-1.7\n" + bytes([number]) for number in range(2)]
    chances = [random.Random(seed) for seed in range(6)]
    with ThreadPoolExecutor(len(chances)) as pool:
        for _ in range(ROUNDS):
            responses = list(pool.map(lambda chance: _any_of(api, chance, contents), chances))
            assert {response.status_code for response in responses} <= {202, 204, 404, 503}
            assert all("busy" in response.json()["type"] for response in responses if response.status_code == 503)
            _assert_whole(api, settings)
    catalog = Catalog(valkey)
    for sha256 in (hashlib.sha256(data).hexdigest() for data in contents):
        assert catalog.do(operations.begin_removal(DEFAULT_TENANT, sha256)) is (sha256 not in stored(settings))


def _assert_whole(api: httpx.Client, settings: Settings) -> None:
    documents = api.get("/documents").json()["documents"]
    for document in documents:
        served = api.get(document["urls"]["file"])
        assert hashlib.sha256(served.content).hexdigest() == document["sha256"]
        assert document["job_id"]
    assert stored(settings) == {document["sha256"] for document in documents}


def _slow(step: Callable[..., None]) -> Callable[..., None]:
    def slow(*arguments: object) -> None:
        sleep(random.random() / 100)
        step(*arguments)
        sleep(random.random() / 100)

    return slow


def _any_of(api: httpx.Client, chance: random.Random, contents: list[bytes]) -> httpx.Response:
    name = f"{chance.randrange(2)}.pdf"
    if chance.random() < 0.5:
        return upload(api, name, chance.choice(contents))
    return api.delete(f"/documents/{document_id(DEFAULT_TENANT, 'default', name)}")
