"""`python -m ingest --queue`: a job for each document, which any kind of worker runs."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from redis import Redis

from app.core.documents.catalog import Catalog
from app.core.documents.records import DocumentStatus
from tests.acceptance.conftest import environment
from tests.support import pdfs

WORKERS = {
    "stock": ["rq", "worker", "rag_ingest"],
    "concurrent": [sys.executable, "-m", "worker", "--queues", "rag_ingest"],
}


@pytest.fixture
def variables(tmp_path: Path, valkey_url: str, qdrant_url: str) -> dict[str, str]:
    return environment(
        tmp_path / "data",
        REDIS_URL=valkey_url,
        RQ_REDIS_URL=valkey_url,
        QDRANT_URL=qdrant_url,
        QDRANT_COLLECTION=f"queue-{uuid4().hex}",
    )


@pytest.fixture(params=WORKERS)
def _worker(
    request: pytest.FixtureRequest, variables: dict[str, str], valkey: Redis, tmp_path: Path
) -> Iterator[None]:
    """A worker of the ingestion queue, started after the queue was emptied."""
    with (tmp_path / "worker.log").open("w") as log:
        process = subprocess.Popen(WORKERS[request.param], env=variables, stdout=log, stderr=log, cwd=tmp_path)
        yield
        process.terminate()
        process.wait(30)


def _ingest(variables: dict[str, str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ingest", *map(str, arguments)]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.usefixtures("_worker")
def test_workers_index_the_folder_and_the_command_tells_what_became_of_each_file(
    variables: dict[str, str], valkey: Redis, tmp_path: Path
) -> None:
    folder = tmp_path / "pdfs"
    folder.mkdir()
    for number in range(3):
        pdfs.make_pdf(folder / f"{number}.pdf", [f"Document {number}.", "Its second page."])
    pdfs.scanned_pdf(folder / "scan.pdf")
    (folder / "photo.jpg").write_bytes(b"bytes")
    done = _ingest(variables, folder, "--queue", "--json")
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert (report["counts"]["added"], report["counts"]["failed"], report["pages"]) == (3, 1, 6)
    failures = {one["source"]: one["failure"]["code"] for one in report["documents"] if one["failure"]}
    assert failures == {"scan.pdf": "no_text", "photo.jpg": "not_read_kind"}
    records = {record.filename: record.status for record in Catalog(valkey).all("default")}
    assert records == {f"{n}.pdf": DocumentStatus.INDEXED for n in range(3)} | {"scan.pdf": DocumentStatus.FAILED}
    assert not valkey.keys("rq:group*")  # the run's group goes with the run
    (folder / "0.pdf").rename(folder / "zero.pdf")
    (folder / "1.pdf").unlink()
    (folder / "scan.pdf").unlink()
    again = json.loads(_ingest(variables, folder, "--queue", "--prune", "--json").stdout)
    statuses = {document["source"]: document["status"] for document in again["documents"]}
    assert statuses == {"zero.pdf": "renamed", "1.pdf": "pruned", "2.pdf": "unchanged", "photo.jpg": "skipped"}


def test_without_a_valkey_there_is_no_queue(tmp_path: Path, qdrant_url: str) -> None:
    pdf = pdfs.make_pdf(tmp_path / "a.pdf", ["Words."])
    done = _ingest(environment(tmp_path / "data", QDRANT_URL=qdrant_url), pdf, "--queue")
    assert done.returncode == 2
    assert "make run" in done.stderr
