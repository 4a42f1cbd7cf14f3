"""Documents over HTTP, on a fake Valkey and a real folder: what is taken, what is refused, what is shown of it."""

import asyncio
import hashlib
import json
import shutil
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fakeredis import FakeAsyncRedis, FakeRedis, FakeServer
from fastapi.testclient import TestClient
from httpx2 import Response
from pydantic import TypeAdapter
from redis import Redis
from rq.job import Job
from starlette.requests import Request
from starlette.types import Message

from app.auth.principals import ANONYMOUS, Principal, Role
from app.core.contract import DELETE_JOB, INGEST_JOB, INGEST_QUEUE, DeleteJob, IngestJob, Label
from app.core.documents import operations
from app.core.documents.catalog import Catalog
from app.core.documents.files import DocumentStore, StorageUnavailableError
from app.core.documents.ids import document_id
from app.core.documents.records import DocumentStatus
from app.core.formats import OLE, SUFFIXES, MediaType
from app.core.queue.outbox import cursor_key, lock_key
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from app.documents.filenames import shown_filename
from app.documents.uploads import Form, receiving
from app.main import create_app
from tests.support.formats import SAMPLES
from tests.support.problems import assert_problem
from tests.support.queue import waiting

PDF = b"%PDF-1.7\n" + bytes(range(256))
SHA256 = hashlib.sha256(PDF).hexdigest()
DOCX = SAMPLES[MediaType.DOCX].says("words")


@pytest.fixture(scope="module")
def whole_server() -> FakeServer:
    return FakeServer()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        documents_url=str(tmp_path_factory.mktemp("documents")), upload_max_mb=1, upload_max_files=3,
        max_queue_depth=5, qdrant_url="http://127.0.0.1:9",
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole_client(whole_server: FakeServer, settings: Settings) -> Iterator[TestClient]:
    app = create_app(settings, valkey=FakeAsyncRedis(server=whole_server))
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def server(whole_server: FakeServer, settings: Settings) -> Iterator[FakeServer]:
    """The module's Valkey, and its folder of files: both empty."""
    yield whole_server
    whole_server.connected = True
    for folder in Path(settings.documents_url or "").iterdir():
        shutil.rmtree(folder)


@pytest.fixture
def valkey(server: FakeServer) -> Iterator[Redis]:
    with FakeRedis(server=server) as connection:
        connection.flushall()
        yield connection


@pytest.fixture
def client(valkey: Redis, whole_client: TestClient) -> TestClient:
    return whole_client


@pytest.fixture
def catalog(valkey: Redis) -> Catalog:
    return Catalog(valkey)


def upload(client: TestClient, *files: tuple[str, bytes], **options: Any) -> Response:
    return client.post("/documents", files=[("files", file) for file in files], **options)


def add(client: TestClient, name: str = "a.pdf", data: bytes = PDF, **options: Any) -> dict[str, Any]:
    response = upload(client, (name, data), **options)
    assert response.status_code == 202, response.text
    document: dict[str, Any] = response.json()["documents"][0]
    return document


def raw(client: TestClient, body: bytes, boundary: str = "b") -> Response:
    return client.post(
        "/documents", content=body, headers={"content-type": f"multipart/form-data; boundary={boundary}"}
    )


def part(header: bytes, data: bytes = PDF) -> bytes:
    return b"--b\r\n" + header + b"\r\n\r\n" + data + b"\r\n"


def named(filename: bytes) -> bytes:
    return b'Content-Disposition: form-data; name="files"; filename="' + filename + b'"'


def stored(settings: Settings) -> list[str]:
    folder = Path(settings.documents_url or "")
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def kept(valkey: Redis) -> list[bytes]:
    """What is in Valkey, but for what the application's upkeep holds for a moment, a second after its start."""
    upkeep = (lock_key("").encode(), cursor_key("").encode())
    found: Any = valkey.keys()
    return [key for key in found if not key.startswith(upkeep)]


def jobs(valkey: Redis) -> list[Job]:
    ids = waiting(valkey, INGEST_QUEUE)
    return [Job.fetch(job_id, connection=valkey, serializer=PlainSerializer) for job_id in ids]


class TestUpload:
    def test_a_file_becomes_a_document_with_a_job(
        self, client: TestClient, valkey: Redis, settings: Settings
    ) -> None:
        document = add(client, "handbook.pdf", data=PDF, headers={"x-request-id": "r1"})
        assert (document["status"], document["filename"], document["collection"]) == (
            "queued",
            "handbook.pdf",
            "default",
        )
        assert (document["sha256"], document["size_bytes"]) == (SHA256, len(PDF))
        assert document["document_id"] == document_id("default", "default", "handbook.pdf")
        assert stored(settings) == [f"default/{SHA256[:2]}/{SHA256}"]
        (job,) = jobs(valkey)
        assert job.id == document["job_id"]
        assert job.func_name == INGEST_JOB
        payload = IngestJob.model_validate(job.args[0])
        assert (payload.document_id, payload.sha256) == (document["document_id"], SHA256)
        assert (payload.filename, payload.source) == ("handbook.pdf", None)
        assert client.get(document["urls"]["document"]).json()["job_id"] == job.id
        assert client.get(document["urls"]["job"]).json()["status"] == "queued"
        assert client.get(document["urls"]["file"]).content == PDF

    def test_many_files_come_in_one_request_and_each_answers_for_itself(
        self, client: TestClient, valkey: Redis, settings: Settings
    ) -> None:
        response = upload(client, ("a.pdf", PDF), ("b.pdf", b"no pdf"), ("c.md", b"# Title"))
        assert response.status_code == 202
        assert [document["filename"] for document in response.json()["documents"]] == ["a.pdf", "c.md"]
        (problem,) = response.json()["problems"]
        assert (problem["index"], problem["status"]) == (1, 415)
        assert problem["type"] == "urn:problem:unsupported-file-type"
        assert len(jobs(valkey)) == len(stored(settings)) == 2

    @pytest.mark.parametrize(
        ("name", "data", "media_type"),
        [("a.pdf", PDF, "application/pdf"), ("A.PDF", b"\n" * 1000 + PDF, "application/pdf"),
         ("a.md", "Größe".encode(), "text/markdown"), ("a.txt", b"text", "text/plain"),
         ("a.html", b"<p>text", "text/html"), ("a.htm", b"<p>text", "text/html"),
         ("a.docx", DOCX, "application/vnd.openxmlformats-officedocument.wordprocessingml.document")],
    )  # fmt: skip
    def test_a_type_is_what_name_and_first_bytes_say_and_not_what_the_client_says(
        self, client: TestClient, name: str, data: bytes, media_type: str
    ) -> None:
        response = client.post("/documents", files=[("files", (name, data, "image/svg+xml"))])
        assert response.json()["documents"][0]["media_type"] == media_type

    @pytest.mark.parametrize(
        ("name", "data", "status", "kind"),
        [("a.pdf", b"", 422, "empty-file"),
         ("a.pdf", b"<html>", 415, "unsupported-file-type"),
         ("a.pdf", b" " * 1024 + PDF, 415, "unsupported-file-type"),
         ("a.docx", PDF, 415, "unsupported-file-type"),
         ("a.txt", PDF, 415, "unsupported-file-type"),
         ("a.md", DOCX, 415, "unsupported-file-type"),
         ("a.html", b"x" * 5000 + b"\0", 415, "unsupported-file-type"),
         ("a.exe", b"MZ", 415, "unsupported-file-type"),
         ("a", PDF, 415, "unsupported-file-type"),
         ("a.pdf", b"%PDF-" + bytes(2**20), 413, "file-too-large")],
    )  # fmt: skip
    def test_what_can_not_be_taken_is_a_problem_and_leaves_nothing(
        self, client: TestClient, valkey: Redis, settings: Settings, name: str, data: bytes, status: int, kind: str
    ) -> None:
        problem = assert_problem(upload(client, (name, data)), status, kind)
        assert [found["index"] for found in problem["problems"]] == [0]
        assert (stored(settings), kept(valkey)) == ([], [])

    def test_when_all_files_are_refused_for_different_reasons_each_is_told(self, client: TestClient) -> None:
        problem = assert_problem(upload(client, ("a.pdf", b""), ("b.exe", b"MZ")), 422, "no-file-taken")
        assert [(found["index"], found["status"]) for found in problem["problems"]] == [(0, 422), (1, 415)]

    def test_a_file_as_large_as_the_limit_is_taken_and_the_next_one_too(self, client: TestClient) -> None:
        large = PDF + bytes(2**20 - len(PDF))
        response = upload(client, ("a.pdf", large + b"x"), ("b.pdf", large), ("c.pdf", PDF))
        assert [document["filename"] for document in response.json()["documents"]] == ["b.pdf", "c.pdf"]
        assert response.json()["documents"][0]["sha256"] == hashlib.sha256(large).hexdigest()

    def test_the_same_bytes_under_the_same_name_are_the_same_document(
        self, client: TestClient, settings: Settings
    ) -> None:
        first, second = add(client), add(client)
        assert first["document_id"] == second["document_id"]
        assert first["created_at"] == second["created_at"]
        assert len(stored(settings)) == 1
        assert len(client.get("/documents").json()["documents"]) == 1

    def test_other_bytes_under_the_same_name_replace_the_document_and_its_file(
        self, client: TestClient, settings: Settings
    ) -> None:
        first, second = add(client), add(client, data=PDF + b"2")
        assert first["document_id"] == second["document_id"]
        assert client.get(second["urls"]["file"]).content == PDF + b"2"
        assert [name.rpartition("/")[2] for name in stored(settings)] == [second["sha256"]]

    def test_the_same_bytes_under_two_names_are_two_documents_of_one_file(
        self, client: TestClient, settings: Settings
    ) -> None:
        one, other = add(client, "a.pdf"), add(client, "b.pdf")
        assert one["document_id"] != other["document_id"]
        assert len(stored(settings)) == 1

    def test_the_collection_is_a_field_or_a_parameter(self, client: TestClient) -> None:
        assert add(client, data=PDF, params={"collection": "c1"})["collection"] == "c1"
        one, other = add(client, params={"collection": "c1"}), client.post(
            "/documents", files=[("files", ("a.pdf", PDF))], data={"collection": "c2"}
        ).json()["documents"][0]  # fmt: skip
        assert other["collection"] == "c2"
        assert one["document_id"] != other["document_id"]

    @pytest.mark.parametrize("collection", ["../x", "a/b", "", "x" * 129, "é", "a\n"])
    def test_a_collection_that_is_none_is_refused(
        self, client: TestClient, settings: Settings, collection: str
    ) -> None:
        response = client.post("/documents", files=[("files", ("a.pdf", PDF))], data={"collection": collection})
        assert_problem(response, 422, "invalid-request")
        assert_problem(
            upload(client, ("a.pdf", PDF), params={"collection": collection or " "}), 422, "invalid-request"
        )
        assert stored(settings) == []

    def test_without_room_in_the_queue_nothing_is_taken(
        self, client: TestClient, valkey: Redis, settings: Settings
    ) -> None:
        for number in range(5):
            add(client, f"{number}.pdf")
        assert_problem(upload(client, ("more.pdf", PDF + b"2")), 503, "queue-full")
        assert len(stored(settings)) == 1
        assert len(client.get("/documents").json()["documents"]) == 5

    def test_when_the_queue_fills_up_meanwhile_what_was_put_is_taken_back(
        self, client: TestClient, settings: Settings
    ) -> None:
        for number in range(4):
            add(client, f"{number}.pdf")
        response = upload(client, ("0.pdf", PDF + b"2"), ("1.pdf", PDF + b"3"), ("new.pdf", PDF + b"4"))
        assert_problem(response, 503, "queue-full")
        documents = client.get("/documents").json()["documents"]
        assert {document["filename"]: document["size_bytes"] - len(PDF) for document in documents} == {
            "0.pdf": 1, "1.pdf": 0, "2.pdf": 0, "3.pdf": 0
        }  # fmt: skip
        assert all(document["job_id"] for document in documents)
        assert len(stored(settings)) == 2

    def test_when_the_store_fails_what_was_put_is_taken_back(
        self, client: TestClient, valkey: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise StorageUnavailableError

        monkeypatch.setattr(DocumentStore, "_keep", fail)
        response = upload(client, ("a.pdf", PDF))
        assert_problem(response, 503, "storage-unavailable")
        assert int(response.headers["retry-after"]) > 0
        assert kept(valkey) == []

    def test_a_file_that_is_just_being_removed_is_a_503(self, client: TestClient, catalog: Catalog) -> None:
        catalog.do(operations.begin_removal("default", SHA256))
        assert_problem(upload(client, ("a.pdf", PDF)), 503, "file-busy")
        catalog.do(operations.end_removal("default", SHA256))
        add(client)

    def test_with_valkey_unavailable_nothing_is_read(
        self, client: TestClient, server: FakeServer, settings: Settings
    ) -> None:
        server.connected = False
        for response in (upload(client, ("a.pdf", PDF)), client.get("/documents"), client.get("/documents/x")):
            assert_problem(response, 503, "queue-unavailable")
        assert stored(settings) == []


class TestIdempotency:
    KEY = {"idempotency-key": "k1"}  # noqa: RUF012 - read only

    def test_the_same_upload_again_is_answered_with_the_same_jobs(self, client: TestClient, valkey: Redis) -> None:
        first = upload(client, ("a.pdf", PDF), ("b.md", b"x"), headers=self.KEY)
        again = upload(client, ("a.pdf", PDF), ("b.md", b"x"), headers=self.KEY)
        assert "idempotent-replayed" not in first.headers
        assert again.headers["idempotent-replayed"] == "true"
        assert [one["job_id"] for one in again.json()["documents"]] == [
            one["job_id"] for one in first.json()["documents"]
        ]
        assert len(jobs(valkey)) == 2

    @pytest.mark.parametrize("other", [[("a.pdf", PDF + b"2")], [("b.pdf", PDF)], [("a.pdf", PDF), ("b.pdf", PDF)]])
    def test_another_upload_under_the_same_key_is_refused(
        self, client: TestClient, valkey: Redis, settings: Settings, other: list[tuple[str, bytes]]
    ) -> None:
        upload(client, ("a.pdf", PDF), headers=self.KEY)
        assert_problem(upload(client, *other, headers=self.KEY), 422, "idempotency-key-reused")
        assert len(jobs(valkey)) == len(stored(settings)) == 1

    def test_a_document_that_was_deleted_meanwhile_is_taken_again(self, client: TestClient) -> None:
        first = upload(client, ("a.pdf", PDF), headers=self.KEY).json()["documents"][0]
        client.delete(first["urls"]["document"])
        again = upload(client, ("a.pdf", PDF), headers=self.KEY).json()["documents"][0]
        assert again["job_id"] != first["job_id"]
        assert client.get(again["urls"]["file"]).content == PDF

    def test_a_key_that_is_none_is_refused(self, client: TestClient) -> None:
        assert_problem(upload(client, ("a.pdf", PDF), headers={"idempotency-key": " "}), 400, "bad-idempotency-key")


class TestHostileUpload:
    @pytest.mark.parametrize(
        ("sent", "shown"),
        [("report.pdf", "report.pdf"), ("../../etc/passwd.pdf", "passwd.pdf"), ("C:\\docs\\a.pdf", "a.pdf"),
         ("/abs/a.pdf", "a.pdf"), ("a\0b\r\n.pdf", "ab.pdf"), ("ann\u202efdp.exe.pdf", "annfdp.exe.pdf"),
         ("\u2066a\u2069\ufeff.pdf", "a.pdf"), ("  a   b .pdf ", "a b .pdf"), ("a\u2028b.pdf", "ab.pdf"),
         ("Gru\u0308ße 木.pdf", "Grüße 木.pdf"), ("می\u200cشود.pdf", "می\u200cشود.pdf"),
         ("<script>.pdf", "<script>.pdf"),
         ("\ud800.pdf", ".pdf"), ("x" * 251 + ".pdf", "x" * 251 + ".pdf"),
         ("x" * 252 + ".pdf", None), ("x" * 4000 + ".pdf", None), ("", None), ("..", None), ("a/", None),
         ("\u202e", None), (" ", None)],
    )  # fmt: skip
    def test_of_a_file_name_only_what_can_be_shown_is_kept(self, sent: str, shown: str | None) -> None:
        assert shown_filename(sent) == shown

    @pytest.mark.parametrize(
        ("sent", "shown"),
        [(b"../../../etc/a.pdf", "a.pdf"), (b"\xff\xfe.pdf", "ÿþ.pdf"), ("木.pdf".encode(), "木.pdf"),
         (b'a\\"b.pdf', 'a"b.pdf'), (b"x" * 200 + b".pdf", "x" * 200 + ".pdf"),
         (b"a%2e%2e%2fb.pdf", "a%2e%2e%2fb.pdf")],
    )  # fmt: skip
    def test_a_hostile_name_is_shown_and_stored_harmlessly(
        self, client: TestClient, settings: Settings, sent: bytes, shown: str
    ) -> None:
        response = raw(client, part(named(sent)) + b"--b--\r\n")
        assert response.status_code == 202, response.text
        assert response.json()["documents"][0]["filename"] == shown
        assert stored(settings) == [f"default/{SHA256[:2]}/{SHA256}"]

    def test_a_name_that_is_decoded_is_no_less_hostile(self, client: TestClient) -> None:
        header = (
            b"Content-Disposition: form-data; name=files; filename*=utf-8''..%2Fetc%5C%E2%80%AE%00Pr%C3%BCfung.pdf"
        )
        response = raw(client, part(header) + b"--b--\r\n")
        assert response.json()["documents"][0]["filename"] == "Prüfung.pdf"

    def test_a_file_that_dotnet_sends_has_its_name(self, client: TestClient) -> None:
        words = b"filename=\"=?utf-8?B?UHLDvGZ1bmcucGRm?=\"; filename*=utf-8''Pr%C3%BCfung.pdf"
        header = b"Content-Disposition: form-data; name=files; " + words + b"\r\nContent-Type: application/pdf"
        response = raw(client, part(header) + b"--b--\r\n", boundary='"b"')
        assert response.json()["documents"][0]["filename"] == "Prüfung.pdf"

    @pytest.mark.parametrize("sent", [b"", b"..", b"a/", b"x" * 300 + b".pdf", b"\xe2\x80\xae"])
    def test_a_name_of_which_nothing_is_left_is_refused(self, client: TestClient, sent: bytes) -> None:
        assert_problem(raw(client, part(named(sent)) + b"--b--\r\n"), 422, "invalid-filename")

    @pytest.mark.parametrize(
        "body",
        [b"", b"x", b"--b", b"--b\r\n", part(named(b"a.pdf")), part(b"no colon") + b"--b--\r\n",
         part(b"\r\n".join([named(b"a.pdf")] + [b"X-%d: y" % n for n in range(50)])) + b"--b--\r\n",
         part(named(b"a.pdf") + b"\r\nX: " + b"y" * 10_000) + b"--b--\r\n",
         part(named(b"x" * 5000 + b".pdf")) + b"--b--\r\n",
         part(b'Content-Disposition: form-data; name="collection"', b"x" * 5000) + b"--b--\r\n",
         b"\r\n" * 300 + b"--c--\r\n"],
    )  # fmt: skip
    def test_a_body_that_is_no_multipart_is_a_400_and_leaves_nothing(
        self, client: TestClient, settings: Settings, body: bytes
    ) -> None:
        assert_problem(raw(client, body), 400, "malformed-multipart")
        assert stored(settings) == []

    @pytest.mark.parametrize("boundary", ["", "x" * 300, '""'])
    def test_a_boundary_that_is_none_is_a_400(self, client: TestClient, boundary: str) -> None:
        assert_problem(raw(client, part(named(b"a.pdf")), boundary), 400, "malformed-multipart")

    def test_thousands_of_parts_are_refused_at_the_first_too_many(
        self, client: TestClient, settings: Settings
    ) -> None:
        files = b"".join(part(named(b"%d.pdf" % n)) for n in range(1000))
        assert_problem(raw(client, files + b"--b--\r\n"), 413, "too-many-files")
        fields = part(b'Content-Disposition: form-data; name="collection"', b"x") * 5000
        assert_problem(raw(client, fields + b"--b--\r\n"), 400, "malformed-multipart")
        assert stored(settings) == []

    @pytest.mark.parametrize("name", [b"data", b"", b"__proto__"])
    def test_a_part_that_is_not_known_is_refused_without_repeating_it(self, client: TestClient, name: bytes) -> None:
        header = b'Content-Disposition: form-data; name="' + name + b'"; filename="a.pdf"'
        response = raw(client, part(header) + b"--b--\r\n")
        assert_problem(response, 422, "invalid-request")
        assert b"proto" not in response.content

    def test_an_upload_without_a_file_is_refused(self, client: TestClient) -> None:
        header = b'Content-Disposition: form-data; name="collection"'
        assert_problem(raw(client, part(header, b"c") + b"--b--\r\n"), 422, "invalid-request")

    @pytest.mark.parametrize("suffix", [".docx", ".pptx", ".xlsx"])
    def test_a_file_with_a_password_or_of_an_old_office_is_told(self, client: TestClient, suffix: str) -> None:
        response = upload(client, (f"a{suffix}", OLE + bytes(1000)))
        assert_problem(response, 415, "unsupported-file-type")
        assert "has a password" in response.json()["detail"]

    @pytest.mark.parametrize("name", ["photo.jpg", "old.doc", "noname", "a.zip"])
    def test_a_kind_that_is_not_read_is_refused_with_those_that_are(self, client: TestClient, name: str) -> None:
        response = upload(client, (name, b"bytes"))
        assert_problem(response, 415, "unsupported-file-type")
        assert all(suffix in response.json()["detail"] for suffix in SUFFIXES)

    @pytest.mark.parametrize("media_type", ["application/json", "application/pdf", "multipart/mixed; boundary=b", ""])
    def test_another_media_type_is_refused(self, client: TestClient, media_type: str) -> None:
        response = client.post("/documents", content=PDF, headers={"content-type": media_type})
        assert_problem(response, 415, "unsupported-media-type")

    def test_a_body_beyond_all_files_together_is_refused_stated_or_not(self, client: TestClient) -> None:
        def unstated() -> Iterator[bytes]:
            yield b"--b\r\n" + named(b"a.pdf") + b"\r\n\r\n"
            for _ in range(50):
                yield bytes(100_000)

        headers = {"content-type": "multipart/form-data; boundary=b"}
        response = client.post("/documents", content=unstated(), headers=headers)
        assert_problem(response, 413, "body-too-large")
        assert_problem(raw(client, bytes(5 * 2**20)), 413, "body-too-large")

    def test_a_broken_upload_leaves_no_draft(self, client: TestClient, settings: Settings) -> None:
        whole = part(named(b"a.pdf"), bytes(900_000)) + b"--b--\r\n"
        assert_problem(raw(client, whole[:-200]), 400, "malformed-multipart")
        assert stored(settings) == []


class TestList:
    def test_pages_lead_from_the_newest_to_the_oldest(self, client: TestClient) -> None:
        for number in range(5):
            add(client, f"{number}.pdf")
        seen: list[str] = []
        cursor: str | None = None
        for _ in range(3):
            page = client.get("/documents", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
            seen += [document["filename"] for document in page["documents"]]
            cursor = page["next_cursor"]
        assert (seen, cursor) == (["4.pdf", "3.pdf", "2.pdf", "1.pdf", "0.pdf"], None)

    def test_a_collection_lists_its_own(self, client: TestClient) -> None:
        add(client, "a.pdf", params={"collection": "c1"})
        add(client, "b.pdf", params={"collection": "c2"})
        found = client.get("/documents", params={"collection": "c2"}).json()["documents"]
        assert [document["filename"] for document in found] == ["b.pdf"]
        assert client.get("/documents", params={"collection": "c3"}).json() == {"documents": [], "next_cursor": None}

    @pytest.mark.parametrize(
        "query", ["limit=0", "limit=101", "limit=x", "cursor=x", "cursor=-1", "cursor=" + "9" * 16, "collection=../x"]
    )
    def test_a_query_that_is_wrong_is_a_422(self, client: TestClient, query: str) -> None:
        assert_problem(client.get(f"/documents?{query}"), 422, "invalid-request")

    def test_what_the_worker_reports_is_shown(self, client: TestClient, catalog: Catalog) -> None:
        document = add(client)
        status = DocumentStatus.PARSING
        catalog.do(
            operations.update(
                "default", document["document_id"], status=status, pages=9, pages_done=4, title="Handbook"
            )
        )
        shown = client.get(document["urls"]["document"]).json()
        assert (shown["status"], shown["pages"], shown["pages_done"], shown["title"]) == ("parsing", 9, 4, "Handbook")


class TestDelete:
    def test_a_document_is_gone_at_once_and_a_job_clears_the_index(
        self, client: TestClient, valkey: Redis, settings: Settings
    ) -> None:
        document = add(client, params={"collection": "c1"})
        response = client.delete(document["urls"]["document"])
        assert (response.status_code, response.content) == (204, b"")
        for url in (document["urls"]["document"], document["urls"]["file"]):
            assert_problem(client.get(url), 404, "document-not-found")
        assert stored(settings) == []
        (job,) = jobs(valkey)
        assert job.func_name == DELETE_JOB
        payload = DeleteJob.model_validate(job.args[0])
        assert (payload.document_id, payload.collection) == (document["document_id"], "c1")

    def test_an_indexing_that_has_not_begun_is_cancelled(self, client: TestClient) -> None:
        document = add(client)
        client.delete(document["urls"]["document"])
        assert client.get(document["urls"]["job"]).json()["status"] == "stopped"

    def test_deleting_again_is_a_404_and_puts_nothing_on_the_queue(self, client: TestClient, valkey: Redis) -> None:
        document = add(client)
        client.delete(document["urls"]["document"])
        assert_problem(client.delete(document["urls"]["document"]), 404, "document-not-found")
        assert len(jobs(valkey)) == 1

    def test_a_file_stays_while_another_document_has_the_same_bytes(
        self, client: TestClient, settings: Settings
    ) -> None:
        one, other = add(client, "a.pdf"), add(client, "b.pdf")
        client.delete(one["urls"]["document"])
        assert client.get(other["urls"]["file"]).content == PDF
        client.delete(other["urls"]["document"])
        assert stored(settings) == []

    def test_when_the_job_can_not_be_queued_the_document_stays(self, client: TestClient) -> None:
        documents = [add(client, f"{number}.pdf") for number in range(5)]
        assert_problem(client.delete(documents[0]["urls"]["document"]), 503, "queue-full")
        assert client.get(documents[0]["urls"]["file"]).content == PDF

    def test_a_store_that_is_away_keeps_nobody_waiting(
        self, client: TestClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise StorageUnavailableError

        document = add(client)
        monkeypatch.setattr(DocumentStore, "delete", fail)
        assert client.delete(document["urls"]["document"]).status_code == 204
        add(client)  # the same bytes can come back at once


@pytest.mark.parametrize("path", ["/documents/{}", "/documents/{}/file"])
@pytest.mark.parametrize("strange", ["unknown", "x" * 129, "..%2f..", "%00", "é", "*", "a b", "'; DROP"])
def test_a_strange_id_is_a_404(client: TestClient, path: str, strange: str) -> None:
    assert client.get(path.format(strange)).status_code == 404
    assert client.delete(path.format(strange)).status_code in (404, 405)


def test_a_tenant_sees_and_touches_only_its_own(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    document = add(client)
    become(client, Principal(tenant="other", name="stranger", role=Role.ADMIN), monkeypatch)
    for url in (document["urls"]["document"], document["urls"]["file"]):
        assert_problem(client.get(url), 404, "document-not-found")
    assert_problem(client.delete(document["urls"]["document"]), 404, "document-not-found")
    assert client.get("/documents").json()["documents"] == []
    assert add(client)["document_id"] != document["document_id"]
    become(client, ANONYMOUS, monkeypatch)
    assert client.get(document["urls"]["file"]).content == PDF


def test_who_may_only_ask_reads_and_writes_nothing(
    client: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = add(client)
    become(client, Principal(tenant="default", name="reader", role=Role.ASK), monkeypatch)
    assert client.get(document["urls"]["file"]).content == PDF
    assert upload(client, ("b.pdf", PDF + b"2")).status_code == 403
    assert client.delete(document["urls"]["document"]).status_code == 403
    assert len(stored(settings)) == len(client.get("/documents").json()["documents"]) == 1


def become(client: TestClient, principal: Principal, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gate:
        secret = None

        async def admit(self, request: object, by: object = None) -> Principal:
            return principal

    monkeypatch.setitem(client.app.state._state, "gate", Gate())  # type: ignore[attr-defined]


class TestFile:
    @pytest.mark.parametrize(
        ("asked", "status", "start", "end"),
        [("bytes=0-4", 206, 0, 5), ("bytes=5-5", 206, 5, 6), ("bytes=9-", 206, 9, 265), ("bytes=-10", 206, 255, 265),
         ("bytes=-9999", 206, 0, 265), ("bytes=260-9999", 206, 260, 265), ("bytes=264-264", 206, 264, 265),
         ("bytes=0-0,5-6", 200, 0, 265), ("bytes=5-4", 200, 0, 265), ("bytes=-", 200, 0, 265),
         ("bytes=a-b", 200, 0, 265), ("items=0-4", 200, 0, 265), ("bytes=" + "9" * 30 + "-", 200, 0, 265),
         ("bytes=٣-٤", 200, 0, 265), ("", 200, 0, 265)],
    )  # fmt: skip
    def test_one_range_is_sent_and_anything_else_is_the_whole_file(
        self, client: TestClient, asked: str, status: int, start: int, end: int
    ) -> None:
        url = add(client)["urls"]["file"]
        response = client.get(url, headers={b"range": asked.encode()})
        assert (response.status_code, response.content) == (status, PDF[start:end])
        assert response.headers["content-length"] == str(end - start)
        assert response.headers.get("content-range") == (f"bytes {start}-{end - 1}/265" if status == 206 else None)

    @pytest.mark.parametrize("asked", ["bytes=265-", "bytes=265-300", "bytes=-0"])
    def test_a_range_beyond_the_end_is_a_416_that_tells_the_size(self, client: TestClient, asked: str) -> None:
        response = client.get(add(client)["urls"]["file"], headers={"range": asked})
        assert_problem(response, 416, "range-not-satisfiable")
        assert response.headers["content-range"] == "bytes */265"

    def test_who_has_the_file_is_told_so(self, client: TestClient) -> None:
        url, tag = add(client)["urls"]["file"], f'"{SHA256}"'
        assert client.get(url).headers["etag"] == tag
        for sent in (tag, f"W/{tag}", f'"x", {tag}', "*"):
            response = client.get(url, headers={"if-none-match": sent, "range": "bytes=0-1"})
            assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", tag)
        for sent in ('"x"', SHA256, ""):
            assert client.get(url, headers={"if-none-match": sent}).status_code == 200

    def test_a_range_of_other_bytes_is_the_whole_file(self, client: TestClient) -> None:
        url = add(client)["urls"]["file"]
        for sent, status in ((f'"{SHA256}"', 206), ('"x"', 200), (f'W/"{SHA256}"', 200), ("Fri, 01 Jan 2027", 200)):
            response = client.get(url, headers={"range": "bytes=0-1", "if-range": sent})
            assert response.status_code == status

    def test_head_is_get_without_the_bytes(self, client: TestClient) -> None:
        url = add(client)["urls"]["file"]
        response = client.head(url)
        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["content-length"] == str(len(PDF))

    def test_a_pdf_opens_in_the_browser(self, client: TestClient) -> None:
        headers = client.get(add(client)["urls"]["file"]).headers
        assert headers["content-type"] == "application/pdf"
        assert headers["content-disposition"] == 'inline; filename="a.pdf"'
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "private, no-cache"

    @pytest.mark.parametrize(("name", "data"), [("a.html", b"<script>alert(1)</script>"), ("a.docx", DOCX)])
    def test_what_could_be_a_page_is_saved_and_sandboxed(self, client: TestClient, name: str, data: bytes) -> None:
        headers = client.get(add(client, name, data)["urls"]["file"]).headers
        assert headers["content-disposition"].startswith("attachment;")
        assert "sandbox" in headers["content-security-policy"]
        assert "default-src 'none'" in headers["content-security-policy"]

    def test_text_is_shown_as_text(self, client: TestClient) -> None:
        headers = client.get(add(client, "a.txt", b"<script>")["urls"]["file"]).headers
        assert headers["content-type"] == "text/plain; charset=utf-8"
        assert "sandbox" in headers["content-security-policy"]

    @pytest.mark.parametrize("name", ['a"; x="b.pdf', "a\\b.pdf", "Grüße 木.pdf", "100%.pdf", "a;b.pdf", "🙂.pdf"])
    def test_no_file_name_breaks_out_of_its_header(self, client: TestClient, name: str) -> None:
        response = raw(client, part(named(name.replace("\\", "").replace('"', '\\"').encode())) + b"--b--\r\n")
        document = response.json()["documents"][0]
        shown = document["filename"]
        header = client.get(document["urls"]["file"]).headers["content-disposition"]
        plain = header.partition('filename="')[2].partition('"')[0]
        assert plain.isascii()
        assert not set(plain) & set('"\\%')
        rest = header.partition(f'filename="{plain}"')[2]
        assert rest in ("", f"; filename*=UTF-8''{quote(shown, safe='')}")
        assert rest or plain == shown

    def test_a_document_whose_file_is_not_kept_says_so(self, client: TestClient, settings: Settings) -> None:
        document = add(client)
        DocumentStore(settings.documents_url or "").delete("default", SHA256)
        assert_problem(client.get(document["urls"]["file"]), 404, "file-not-kept")
        assert client.get(document["urls"]["document"]).status_code == 200


def test_a_file_in_a_remote_store_is_served_the_same(settings: Settings) -> None:
    remote = settings.model_copy(update={"documents_url": "memory://bucket/documents"})
    app = create_app(remote, valkey=FakeAsyncRedis(server=FakeServer()))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        document = add(client)
        assert client.get(document["urls"]["file"]).content == PDF
        part_of_it = client.get(document["urls"]["file"], headers={"range": "bytes=9-11"})
        assert (part_of_it.status_code, part_of_it.content) == (206, bytes(range(3)))
        assert client.delete(document["urls"]["document"]).status_code == 204
        assert_problem(client.get(document["urls"]["file"]), 404, "document-not-found")


def test_an_upload_is_never_whole_in_memory(tmp_path: Path) -> None:
    """20 MiB go by within 4: what is read, what is parsed and what is written are bounded."""
    pieces = [b"--b\r\n" + named(b"a.pdf") + b"\r\n\r\n%PDF-1.7", *[bytes(65_536)] * 320, b"\r\n--b--\r\n"]
    arriving = iter(pieces)

    async def receive() -> Message:
        piece = next(arriving, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def take() -> int:
        headers = [(b"content-type", b"multipart/form-data; boundary=b")]
        request = Request({"type": "http", "headers": headers}, receive)
        async with receiving(request, DocumentStore(str(tmp_path)), Form.of_documents(Settings())) as upload:
            return upload.files[0].draft.size

    tracemalloc.start()
    try:
        assert asyncio.run(take()) == 20 * 2**20 + len(b"%PDF-1.7")
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()


def test_the_pattern_that_the_openapi_document_shows_is_the_one_that_holds(client: TestClient) -> None:
    post = client.get("/openapi.json").json()["paths"]["/documents"]["post"]
    [parameter] = [one["schema"] for one in post["parameters"] if one["name"] == "collection"]
    field = post["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]["collection"]
    assert field["pattern"] == parameter["pattern"] == TypeAdapter(Label).json_schema()["pattern"]


def test_the_openapi_document_describes_uploads_and_files(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    body = paths["/documents"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(body["properties"]) == {"files", "collection"}
    assert {"202", "400", "413", "415", "422", "503"} <= set(paths["/documents"]["post"]["responses"])
    assert {"200", "206", "304", "404", "416"} <= set(paths["/documents/{document_id}/file"]["get"]["responses"])
    assert "examples" in json.dumps(client.get("/openapi.json").json()["components"]["schemas"]["DocumentView"])
