"""The service with its files in a store that speaks S3: everything that makes, reads or removes a file, over HTTP."""

import gzip
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import psutil
import pytest
from s3fs import S3FileSystem  # type: ignore[import-untyped]

from app.core.documents import files
from app.core.documents.files import DocumentStore, StorageUnavailableError
from app.embedded.ports import free_port
from tests.acceptance.conftest import PAGES, Running, ask, start
from tests.acceptance.test_services_mode import UVICORN
from tests.support import ROOT
from tests.support.cable import Cable, cable
from tests.support.credentials import api_key, bearer
from tests.support.pdfs import make_pdf
from tests.support.processes import PATIENCE_SECONDS, hold, wait_until
from tests.support.s3 import BUCKET, S3, s3

KEYS = {name: api_key(name, tenant=name, role="admin") for name in ("acme", "other", "default")}
QUESTION = "When does the harbour open in winter?"
FOLDER = "documents"
"""Where in the bucket the service has its files."""
ANY_KEY = (("ACCESS_KEY_ID", "any"), ("SECRET_ACCESS_KEY", "any"), ("DEFAULT_REGION", "eu-central-1"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="module")
def wire(store: S3) -> Iterator[Cable]:
    """What is between the service and its store."""
    with cable(store.port) as laid:
        yield laid


@pytest.fixture(scope="module")
def service(store: S3, wire: Cable, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = start(
        tmp_path_factory.mktemp("service"),
        API_KEYS=",".join(entry for _, entry in KEYS.values()),
        DOCUMENTS_URL=f"s3://{BUCKET}/{FOLDER}",
        **store.variables(f"http://127.0.0.1:{wire.port}"),
    )
    yield running
    if running.process.poll() is None:
        assert running.stop() == 0, running.log.read_text()
    assert store.secret not in running.log.read_text()


@pytest.fixture(scope="module")
def pdf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pdf(tmp_path_factory.mktemp("pdfs") / "handbook.pdf", PAGES)


@contextmanager
def replica(service: Running, folder: Path, **variables: str) -> Iterator[tuple[httpx.Client, Path]]:
    """One more process of the API, and its log."""
    port, log = free_port(0), folder / "replica.log"
    env = {**service.environment, **variables}
    with log.open("w") as output:
        process = subprocess.Popen([*UVICORN, "--port", str(port)], cwd=folder, env=env, stdout=output, stderr=output)
    try:
        with client_of(f"http://127.0.0.1:{port}", "acme") as client:
            wait_until(lambda: _answers(client, process), "another API answers")
            yield client, log
    finally:
        process.terminate()
        process.wait(30)


def _answers(client: httpx.Client, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None
    try:
        return client.get("/healthz").is_success
    except httpx.HTTPError:
        return False


def client_of(url: str, tenant: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers=bearer(KEYS[tenant][0]), timeout=60)


@pytest.fixture
def acme(service: Running) -> Iterator[httpx.Client]:
    with client_of(service.services.http_url, "acme") as client:
        yield client


def send(client: httpx.Client, file: Path) -> httpx.Response:
    return client.post("/documents", files={"files": (file.name, file.read_bytes(), "application/pdf")})


def indexed(client: httpx.Client, file: Path) -> str:
    """The document's id, once it is in the index."""
    (document,) = send(client, file).raise_for_status().json()["documents"]
    document_id: str = document["document_id"]
    wait_until(lambda: _status(client, document_id) == "indexed", "the document is indexed")
    return document_id


def _status(client: httpx.Client, document_id: str) -> str:
    document: dict[str, Any] = client.get(f"/documents/{document_id}").raise_for_status().json()
    assert document["status"] != "failed", document
    status: str = document["status"]
    return status


def name_of(file: Path, tenant: str = "acme") -> str:
    digest = sha256(file.read_bytes()).hexdigest()
    return f"{FOLDER}/{tenant}/{digest[:2]}/{digest}"


def is_empty(store: S3, prefix: str) -> bool:
    return store.names(prefix) == []


def test_a_document_is_kept_shown_and_removed(
    service: Running, store: S3, acme: httpx.Client, pdf: Path, tmp_path: Path
) -> None:
    document = indexed(acme, pdf)
    assert store.names(f"{FOLDER}/acme/") == [name_of(pdf)]
    assert indexed(acme, pdf) == document
    assert store.names(f"{FOLDER}/acme/") == [name_of(pdf)], "the same bytes again are the same file"
    assert store.get(name_of(pdf)) == pdf.read_bytes()

    citation = ask(acme, QUESTION)["result"]["citations"][0]
    assert (citation["document_id"], citation["page"]) == (document, 1)

    with replica(service, tmp_path) as (other, _):
        for client in (acme, other):
            whole = client.get(f"/documents/{document}/file")
            assert (whole.status_code, whole.content) == (200, pdf.read_bytes())
            part = client.get(f"/documents/{document}/file", headers={"Range": "bytes=10-19"})
            assert (part.status_code, part.content) == (206, pdf.read_bytes()[10:20])
            picture = client.get(f"/documents/{document}/pages/1.png")
            assert (picture.status_code, picture.content[:4]) == (200, b"\x89PNG")
        (kept,) = store.names(f"{FOLDER}/acme/@pictures/")
        assert store.get(kept) == picture.content
        assert other.delete(f"/documents/{document}").status_code == 204
    assert acme.get(f"/documents/{document}/file").status_code == 404
    wait_until(lambda: is_empty(store, f"{FOLDER}/acme/"), "the bucket holds nothing of the document")


def test_a_file_that_two_documents_have_goes_with_the_last(
    store: S3, acme: httpx.Client, pdf: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.pdf"
    copy.write_bytes(pdf.read_bytes())
    first, second = indexed(acme, pdf), indexed(acme, copy)
    assert store.names(f"{FOLDER}/acme/") == [name_of(pdf)]
    acme.delete(f"/documents/{first}").raise_for_status()
    assert acme.get(f"/documents/{second}/file").content == pdf.read_bytes()
    acme.delete(f"/documents/{second}").raise_for_status()
    wait_until(lambda: is_empty(store, f"{FOLDER}/acme/"), "the bucket holds nothing of the documents")


def test_the_bucket_holds_nothing_of_an_erased_tenant(
    service: Running, store: S3, acme: httpx.Client, tmp_path: Path
) -> None:
    pdf = make_pdf(tmp_path / "erased.pdf", PAGES, title="Erased")  # no page of which was drawn before
    with client_of(service.services.http_url, "other") as other:
        indexed(other, pdf)
        document = indexed(acme, pdf)
        assert acme.get(f"/documents/{document}/pages/1.png").status_code == 200
        lines = {"file": ("lines.jsonl", b'{"custom_id": "1"}\n')}
        acme.post("/v1/files", data={"purpose": "batch"}, files=lines).raise_for_status()
        folders = {name.split("/")[2] for name in store.names(f"{FOLDER}/acme/")}
        assert {"@pictures", "@batches"} <= folders, "else there is less to erase than a tenant may have"

        job = acme.delete("/tenants/acme").raise_for_status().json()["job_id"]
        result = acme.get(f"/result/{job}", params={"wait": 30}).raise_for_status().json()
        assert result["status"] == "finished", result
        assert result["result"]["erased"]["files"] == 3
        assert is_empty(store, f"{FOLDER}/acme/")
        assert store.names(f"{FOLDER}/other/") == [name_of(pdf, "other")]
        other.delete("/tenants/other").raise_for_status()
        wait_until(lambda: is_empty(store, f"{FOLDER}/other/"), "the other one is gone as well")


def run(service: Running, *command: str, code: int = 0, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, env={**service.environment, **variables},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert service.environment["AWS_SECRET_ACCESS_KEY"] not in said
    return said


def test_the_commands_read_and_write_addresses_of_the_store(
    service: Running, store: S3, pdf: Path, tmp_path: Path
) -> None:
    """A folder of this machine, one in the store, an archive of the index, a backup: each there and back."""
    run(service, "ingest", str(pdf.parent))
    assert store.names(f"{FOLDER}/default/") == [name_of(pdf, "default")]

    oars = make_pdf(tmp_path / "oars.pdf", ["Oars are hung up dry, blades to the wall."])
    store.put("shelf/rules/oars.pdf", oars.read_bytes())
    run(service, "ingest", f"s3://{BUCKET}/shelf")
    with client_of(service.services.http_url, "default") as client:
        assert ask(client, "How are oars hung up?")["result"]["citations"][0]["filename"] == "oars.pdf"

    archive = f"s3://{BUCKET}/kept/all.jsonl.gz"
    run(service, "ingest", "export", archive)
    assert json.loads(gzip.decompress(store.get("kept/all.jsonl.gz")).splitlines()[0])["kind"] == "head"
    assert "--force" in run(service, "ingest", "export", archive, code=1)
    run(service, "ingest", "import", archive)

    backup = f"s3://{BUCKET}/kept/service.tar.gz"
    run(service, "app", "backup", backup, "--partial")
    elsewhere = tmp_path / "restored"
    run(service, "app", "restore", backup, "--partial", DATA_DIR=str(elsewhere))
    assert any(elsewhere.iterdir())


def test_a_folder_in_the_store_is_watched(service: Running, store: S3, tmp_path: Path) -> None:
    page = "Lamps. Every lamp is lit at dusk."
    store.put("watched/lamps.pdf", make_pdf(tmp_path / "lamps.pdf", [page]).read_bytes())
    command = [
        sys.executable,
        "-m",
        "ingest",
        "--watch",
        f"s3://{BUCKET}/watched",
        "--every",
        "1",
        "--collection",
        "w",
    ]
    watching = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=dict(service.environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with client_of(service.services.http_url, "default") as client:

        def names() -> set[str]:
            listed = client.get("/documents", params={"collection": "w"}).json()["documents"]
            return {document["filename"] for document in listed if document["status"] == "indexed"}

        wait_until(lambda: names() == {"lamps.pdf"}, "the file is indexed")
        store.put("watched/more.pdf", make_pdf(tmp_path / "more.pdf", [f"More. {page}"]).read_bytes())
        wait_until(lambda: names() == {"lamps.pdf", "more.pdf"}, "the new one is, too")
    watching.send_signal(signal.SIGTERM)
    _, errors = watching.communicate(timeout=30)
    assert watching.returncode == 0, errors


WRONG = {
    "no such bucket": ({"DOCUMENTS_URL": f"s3://{BUCKET}-not/documents"}, "BucketNotFoundError"),
    "a wrong secret": ({"AWS_SECRET_ACCESS_KEY": "wr0ng/secret+of+nobody"}, "PermissionError"),
    "no such user": ({"AWS_ACCESS_KEY_ID": "AKIANOBODY0000000000"}, "PermissionError"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_stands_in_the_log_at_the_start_and_an_upload_is_refused(
    service: Running, store: S3, pdf: Path, tmp_path: Path, what: str
) -> None:
    variables, reason = WRONG[what]
    with replica(service, tmp_path, **variables) as (client, log):
        wait_until(lambda: "storage_unavailable" in log.read_text(), "the log says so")
        assert reason in log.read_text()
        refused = send(client, pdf)
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:problem:storage-unavailable")
        assert int(refused.headers["Retry-After"]) > 0
        assert client.get("/documents").json()["documents"] == []
    for secret in (store.secret, store.key_id, *variables.values()):
        assert secret.removeprefix("s3://") not in log.read_text() + refused.text


def test_a_store_that_is_away_loses_nothing(
    service: Running, store: S3, wire: Cable, acme: httpx.Client, pdf: Path, tmp_path: Path
) -> None:
    document = indexed(acme, pdf)
    late = make_pdf(tmp_path / "late.pdf", ["Sails are dried before they are folded."])
    missed = make_pdf(tmp_path / "missed.pdf", ["Nets are mended on Monday."])
    worker = process(service, "worker")
    hold(worker.pid)
    try:
        (waiting,) = send(acme, late).raise_for_status().json()["documents"]
        wire.cut()
        for answer in (send(acme, missed), acme.get(f"/documents/{document}/file")):
            assert (answer.status_code, answer.json()["type"]) == (503, "urn:problem:storage-unavailable")
            assert int(answer.headers["Retry-After"]) > 0
        assert acme.get("/readyz").json()["checks"]["queue"] == "ok"
        turned_away = wire.turned_away
        worker.resume()
        wait_until(lambda: wire.turned_away > turned_away, "the worker asks for the file")
    finally:
        wire.mend()
        worker.resume()
    wait_until(lambda: _status(acme, waiting["document_id"]) == "indexed", "the document is indexed after all")
    assert acme.get(f"/documents/{document}/file").content == pdf.read_bytes()
    names = {found["filename"] for found in acme.get("/documents").json()["documents"]}
    assert names == {"handbook.pdf", "late.pdf"}, "what was refused is not there"
    indexed(acme, missed)


def process(service: Running, module: str) -> psutil.Process:
    """The service's child that runs `python -m module`."""
    (found,) = [
        child
        for child in psutil.Process(service.process.pid).children(recursive=True)
        if child.cmdline()[1:3] == ["-m", module]
    ]
    return found


def test_no_process_has_the_secret_that_does_not_ask_the_store(
    service: Running, store: S3, acme: httpx.Client, pdf: Path
) -> None:
    indexed(acme, pdf)  # so that there is a child that has read a file
    found = psutil.Process(service.process.pid).children(recursive=True)
    having = {" ".join(child.cmdline()[1:3]) for child in found if store.secret in child.environ().values()}
    assert having == {"-m worker"}
    assert any("ingest.reading.extract" in child.cmdline() for child in found)


def test_a_large_file_goes_in_parts_so_that_it_is_never_whole_in_memory(
    store: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in store.variables().items():
        monkeypatch.setenv(name, value)
    size = 3 * files.S3_PARTS["chunksize"] - 1
    data = b"line of a file\n" * (size // 15)
    kept = DocumentStore(f"s3://{BUCKET}/large")
    digest, _ = kept.put_file("acme", BytesIO(data))
    name = f"large/acme/{digest[:2]}/{digest}"
    assert (store.names("large"), store.parts(name)) == ([name], 3)
    with kept.local_path("acme", digest) as copy:
        assert copy.read_bytes() == data
    kept.delete("acme", digest)
    assert is_empty(store, "large")
    S3FileSystem.clear_instance_cache()  # it has this store's address


CALLS: dict[str, Callable[[DocumentStore], object]] = {
    "check": lambda store: store.check(),
    "put_file": lambda store: store.put_file("acme", BytesIO(b"file")),
    "open": lambda store: store.open("acme", "0" * 64),
    "size": lambda store: store.size("acme", "0" * 64),
    "delete": lambda store: store.delete("acme", "0" * 64),
    "delete_batch_parts": lambda store: store.delete_batch_parts("acme", "b"),
    "delete_tenant": lambda store: store.delete_tenant("acme"),
}
"""One for each kind of request."""


@pytest.mark.parametrize("name", CALLS)
def test_a_store_that_takes_connections_and_never_answers_is_not_waited_for_without_an_end(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a link does that is cut, and a store that hangs."""
    monkeypatch.setattr(files, "S3_CONFIG", {**files.S3_CONFIG, "read_timeout": 0.2})
    monkeypatch.setattr(files, "PUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for variable, value in (("ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}"), *ANY_KEY):
            monkeypatch.setenv(f"AWS_{variable}", value)
        store = DocumentStore(f"s3://{BUCKET}/{name}")
        raised: list[BaseException] = []

        def call() -> None:
            try:
                CALLS[name](store)
            except StorageUnavailableError as error:
                raised.append(error)

        calling = Thread(target=call, daemon=True)  # one that never ends keeps no test from ending
        calling.start()
        calling.join(PATIENCE_SECONDS)
        S3FileSystem.clear_instance_cache()  # else the next one is this one's, with its address
        assert raised, "it waits still" if calling.is_alive() else "it was answered"
