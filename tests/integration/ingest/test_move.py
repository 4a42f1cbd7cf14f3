"""`python -m ingest export` and `import`, from one index to another, on real Qdrant and Valkey."""

import gzip
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from app.core.documents import collections
from app.core.documents.catalog import Catalog
from app.core.documents.collections import CollectionSettings, settings_of
from app.core.documents.files import open_store
from app.core.errors import ErrorCode, ServiceError
from app.core.settings import Settings
from ingest.__main__ import main
from ingest.moving import importing, lines, reader
from tests.support import pdfs
from tests.support.documents import add_document
from tests.support.model_server import ModelServer
from worker.http.writing import WritingHttp
from worker.index.vector_index import VectorIndex, open_index

MODEL = "test-dims=8"
Json = dict[str, Any]


class Place:
    """A service's stores: an index, a Valkey and a folder of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
        self._monkeypatch = monkeypatch
        self.variables = variables

    def use(self, **more: str) -> None:
        for name, value in (self.variables | more).items():
            self._monkeypatch.setenv(name, value)

    def points(self) -> list[Json]:
        """Every point with all it has, in the order of their ids."""
        with closing(self._index()) as index:
            found: list[Json] = index.http.post(
                f"/collections/{index.name}/points/scroll",
                {"limit": 1_000, "with_payload": True, "with_vector": True},
            )["points"]
        return sorted(found, key=lambda point: str(point["id"]))

    def whole(self) -> dict[str, int]:
        """The documents that there are, and how many chunks each has."""
        with closing(self._index()) as index:
            if index.generations().current is None:
                return {}
            counts = {}
            for document in index.documents():
                where = {"tenant": document.tenant, "collection": document.collection}
                counts[document.document_id] = index.chunk_counts(**where)[document.document_id]
                assert counts[document.document_id] == document.chunks, "a record without its chunks"
            return counts

    def _index(self) -> VectorIndex:
        self.use()
        return open_index(Settings())


@pytest.fixture(autouse=True)
def _logging_is_put_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def places(
    qdrant_url: str,
    valkey_url: str,
    valkey: Redis,
    model: ModelServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Place, Place]:
    """Where it comes from, and where it goes."""

    def place(number: int) -> Place:
        return Place(
            monkeypatch,
            QDRANT_URL=qdrant_url,
            QDRANT_COLLECTION=f"move-{uuid4().hex}",
            REDIS_URL=valkey_url.removesuffix("0") + str(number),
            DATA_DIR=str(tmp_path / f"data-{number}"),
            EMBEDDING_MODEL=MODEL,
            EMBEDDING_BASE_URL=model.url,
        )

    return place(0), place(1)


@pytest.fixture
def source(places: tuple[Place, Place], tmp_path: Path) -> Place:
    """Three documents of the default tenant, one of them in another collection; one of another tenant's; a title."""
    here = places[0]
    here.use()
    folder = tmp_path / "pdfs"
    folder.mkdir()
    pdfs.make_pdf(folder / "otter.pdf", [f"Otters sleep in groups of {n}." for n in range(2, 9)], title="Otters")
    pdfs.make_pdf(folder / "heron.pdf", ["Herons wait for hours."])
    assert main([str(folder)]) == 0
    with closing(open_index(Settings())) as index:
        add_document(index, "Acme's own words.", "And more.", tenant="acme", document_id="acme-1")
        add_document(index, "Press the red button.", collection="manuals", document_id="manual-1")
    assert main(["--repair"]) == 0
    said = CollectionSettings(title="The manuals", top_k=3)
    with Redis.from_url(here.variables["REDIS_URL"]) as connection:
        Catalog(connection).do(collections.put("default", "manuals", said))
    return here


@pytest.fixture
def target(places: tuple[Place, Place]) -> Place:
    return places[1]


@pytest.fixture
def archive(source: Place, tmp_path: Path) -> Path:
    source.use()
    path = tmp_path / "all.jsonl.gz"
    assert main(["export", str(path)]) == 0
    return path


def _catalog(place: Place, tenant: str = "default") -> list[Json]:
    with Redis.from_url(place.variables["REDIS_URL"]) as connection:
        records = [record.model_dump(mode="json") for record in Catalog(connection).all(tenant)]
    return [
        {name: value for name, value in record.items() if name not in ("updated_at", "job_id")} for record in records
    ]


def test_an_index_moves_with_vectors_files_and_titles_and_nothing_is_embedded(
    source: Place, target: Place, archive: Path, model: ModelServer, capsys: pytest.CaptureFixture[str]
) -> None:
    before, asked = source.points(), model.stats()
    assert archive.stat().st_mode & 0o777 == 0o600
    target.use()
    assert main(["import", str(archive)]) == 0
    assert "imported 4 documents" in capsys.readouterr().err
    assert model.stats() == asked
    assert target.points() == before
    assert {
        len(point["vector"]["dense"]) for point in before if point["payload"]["metadata"]["tenant"] == "default"
    } == {8}
    assert _catalog(target) == _catalog(source)
    assert [record["document_id"] for record in _catalog(target, "acme")] == ["acme-1"]
    store = open_store(Settings())
    for record in _catalog(source):
        if record["collection"] == "default":
            with store.open("default", record["sha256"]) as file:
                assert sha256(file.read()).hexdigest() == record["sha256"]
    with Redis.from_url(target.variables["REDIS_URL"]) as connection:
        assert Catalog(connection).do(settings_of("default", "manuals")).title == "The manuals"
        assert connection.exists("rag:version:default/manuals")  # what was answered before is out of date
    capsys.readouterr()
    assert main(["import", str(archive)]) == 0
    assert "imported 0 documents" in (told := capsys.readouterr().err)
    assert "4 documents were here already" in told


def test_a_moved_folder_is_found_unchanged_by_the_next_ingest(
    source: Place,
    target: Place,
    archive: Path,
    tmp_path: Path,
    model: ModelServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target.use()
    assert main(["import", str(archive)]) == 0
    asked = model.stats()
    capsys.readouterr()
    assert main([str(tmp_path / "pdfs"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"]["unchanged"] == 2
    assert model.stats() == asked


def test_a_tenant_or_a_collection_moves_alone(source: Place, target: Place, archive: Path, tmp_path: Path) -> None:
    source.use()
    acme = tmp_path / "acme.gz"
    assert main(["export", str(acme), "--tenant", "acme"]) == 0
    target.use()
    assert main(["import", str(acme)]) == 0
    assert list(target.whole()) == ["acme-1"]
    assert main(["import", str(archive), "--collection", "manuals"]) == 0
    assert not Path(target.variables["DATA_DIR"], "documents").exists()  # the files are other collections'
    assert {point["payload"]["metadata"]["collection"] for point in target.points()} == {"default", "manuals"}
    assert len(target.whole()) == 2


def test_what_is_newer_here_is_left_and_what_is_older_is_replaced(
    source: Place, target: Place, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pdfs.make_pdf(tmp_path / "pdfs" / "heron.pdf", ["Herons wait for days."])
    source.use()
    assert main([str(tmp_path / "pdfs")]) == 0
    capsys.readouterr()
    assert main(["import", str(archive)]) == 0
    assert "1 documents are newer here" in capsys.readouterr().err
    assert "Herons wait for days." in {point["payload"]["text"] for point in source.points()}
    newer = tmp_path / "newer.gz"
    assert main(["export", str(newer)]) == 0
    target.use()
    assert main(["import", str(archive)]) == 0
    assert main(["import", str(newer)]) == 0
    assert target.points() == source.points()


def test_another_models_vectors_are_refused_with_what_to_do(
    source: Place, target: Place, archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target.use(EMBEDDING_MODEL="test-dims=16")
    assert main(["import", str(archive)]) == 1
    assert "EMBEDDING_MODEL=test-dims=8" in (told := capsys.readouterr().err)
    assert "--without-vectors" in told
    assert not target.whole()
    target.use(EMBEDDING_MODEL="test-dims=16")
    with closing(open_index(Settings())) as index:
        add_document(index, "Words of another model.", document_id="other")
    target.use()  # the setting is the archive's, the index is not
    assert main(["import", str(archive)]) == 1
    assert "--reembed" in capsys.readouterr().err
    assert list(target.whole()) == ["other"]
    assert main(["import", str(archive), "--without-vectors"]) == 0
    assert "run python -m ingest --reembed" in capsys.readouterr().err
    assert len(target.whole()) == 5


def test_an_index_of_words_alone_moves_and_is_reembedded(source: Place, target: Place, tmp_path: Path) -> None:
    source.use(EMBEDDING_MODEL="none", QDRANT_COLLECTION=f"words-{uuid4().hex}")
    assert main([str(tmp_path / "pdfs")]) == 0
    words = tmp_path / "words.gz"
    assert main(["export", str(words)]) == 0
    target.use()
    assert main(["import", str(words)]) == 0
    assert all("dense" not in point["vector"] for point in target.points())
    assert main(["--reembed"]) == 0
    assert all(len(point["vector"]["dense"]) == 8 for point in target.points())


def test_an_import_that_breaks_off_leaves_whole_documents_and_goes_on(
    source: Place, target: Place, archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importing, "BATCH_CHUNKS", 1)
    real, left = WritingHttp.put, 0

    def put(http: WritingHttp, path: str, body: Any) -> Any:
        nonlocal left
        if "/points" in path:
            left -= 1
            if left < 0:
                raise ServiceError(ErrorCode.INDEX_UNAVAILABLE)
        return real(http, path, body)

    monkeypatch.setattr("worker.index.vector_index.WRITE_BATCH", 2)  # a document is written in several requests
    monkeypatch.setattr(WritingHttp, "put", put)
    target.use()
    for writes in range(1, 5):
        left = writes
        assert main(["import", str(archive)]) == 1
        target.whole()  # which looks for halves
    left = 1_000
    assert main(["import", str(archive)]) == 0
    assert target.points() == source.points()


def test_a_folder_of_that_name_is_still_indexed(
    source: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    pdfs.make_pdf(folder / "crane.pdf", ["Cranes dance."])
    monkeypatch.chdir(tmp_path)
    source.use()
    assert main(["./export"]) == 0
    with pytest.raises(SystemExit) as caught:
        main(["export"])
    assert caught.value.code == 2


def test_a_file_that_is_there_is_not_written_over_and_a_failed_export_leaves_nothing(
    source: Place, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = archive.read_bytes()
    source.use()
    assert main(["export", str(archive)]) == 1
    assert "--force" in capsys.readouterr().err
    assert archive.read_bytes() == before
    monkeypatch.setenv("QDRANT_URL", "http://127.0.0.1:9")
    assert main(["export", str(archive), "--force"]) == 1
    assert archive.read_bytes() == before
    assert [path.name for path in archive.parent.glob("*.part")] == []


def test_an_archive_goes_through_any_store_that_fsspec_knows(source: Place, target: Place) -> None:
    place = f"memory://{uuid4().hex}/all.jsonl.gz"
    source.use()
    assert main(["export", place]) == 0
    assert main(["export", place]) == 1
    target.use()
    assert main(["import", place]) == 0
    assert target.points() == source.points()


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("gs://bucket/x.gz", "pip install gcsfs"),
        ("nothing://x", "no kind of address"),
        ("missing.gz", "no such file"),
    ],
)
def test_what_cannot_be_read_is_told(
    place: str, says: str, target: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    target.use()
    assert main(["import", place]) in (1, 2)
    assert says in capsys.readouterr().err


# Hostile and damaged archives


def _lines(archive: Path) -> list[bytes]:
    return gzip.decompress(archive.read_bytes()).splitlines(keepends=True)


def _packed(parts: list[bytes]) -> bytes:
    """An archive of these lines, its end made to fit."""
    *body, last = parts
    end = json.loads(last)
    if end.get("kind") == "end":
        end["sha256"] = sha256(b"".join(body)).hexdigest()
        last = json.dumps(end).encode() + b"\n"
    return gzip.compress(b"".join([*body, last]), 1)


def _with(kind: str, /, **changes: Any) -> Callable[[list[bytes]], list[bytes]]:
    """The first line of the kind, changed."""

    def change(parts: list[bytes]) -> list[bytes]:
        at = next(n for n, line in enumerate(parts) if json.loads(line)["kind"] == kind)
        return [*parts[:at], json.dumps(json.loads(parts[at]) | changes).encode() + b"\n", *parts[at + 1 :]]

    return change


def _without(kind: str) -> Callable[[list[bytes]], list[bytes]]:
    def change(parts: list[bytes]) -> list[bytes]:
        at = next(n for n, line in enumerate(parts) if json.loads(line)["kind"] == kind)
        return parts[:at] + parts[at + 1 :]

    return change


HOSTILE: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "another format": _with("head", format="other"),
    "a later version": _with("head", version=2),
    "a tenant that is a path": _with("file", tenant="../../etc"),
    "a hash that is a path": _with("file", sha256="../../../../etc/passwd"),
    "a hash of other bytes": _with("file", sha256="0" * 64),
    "a file of another size": _with("file", size_bytes=7),
    "a file larger than any": _with("file", size_bytes=1 << 40),
    "a file without bytes": _without("bytes"),
    "bytes that are no base64": _with("bytes", data="not base64!"),
    "a document of no tenant": _with("document", tenant=""),
    "a collection with a slash": _with("document", collection="a/b"),
    "an id with a line's end": _with("document", document_id="a\nb"),
    "a document of too many chunks": _with("document", chunks=1 << 40),
    "a document of more chunks": _with("document", chunks=20),
    "a document without a chunk": _without("chunk"),
    "a time without a zone": _with("document", ingested_at="2026-11-21T10:00:00"),
    "no time": _with("document", ingested_at="yesterday"),
    "an unknown field": _with("document", source_code="x"),
    "an unknown kind": _with("document", kind="program"),
    "a vector of another length": _with("chunk", dense=lines.packed(b"\0" * 12)),
    "a vector that is no number": _with("chunk", dense=lines.packed(b"\xff\xff\xff\xff" * 8)),
    "fewer weights than terms": _with("chunk", values=lines.packed(b"\0" * 4)),
    "page nought": _with("chunk", page=0),
    "other counts": _with("end", documents=9),
    "no end": _without("end"),
    "two ends": lambda parts: [*parts, parts[-1]],
    "nothing": lambda parts: [b""],
    "a line without an end": lambda parts: [*parts[:3], b"{" * (lines.LINE_BYTES_MAX + 10), *parts[3:]],
    "a bomb of white space": lambda parts: [parts[0], *[b" " * (lines.LINE_BYTES_MAX - 1) + b"\n"] * 40, *parts[1:]],
}


def test_a_hostile_archive_is_refused_and_nothing_of_it_is_imported(
    source: Place, target: Place, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = _lines(archive)
    bad = tmp_path / "bad.gz"
    target.use()
    for name, change in HOSTILE.items():
        bad.write_bytes(gzip.compress(b"") if name == "nothing" else _packed_as(name, change(list(parts))))
        assert main(["import", str(bad)]) == 1, name
        assert "Nothing of it was imported" in capsys.readouterr().err, name
    whole = archive.read_bytes()
    damaged = [whole[: len(whole) * part // 10] for part in range(10)]
    damaged += [whole[:-1], whole[:-8], whole[:-9], b"PK" + whole, whole + whole, whole + b"x"]
    damaged += [
        whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :] for at in range(100, len(whole), len(whole) // 20)
    ]
    for data in damaged:
        bad.write_bytes(data)
        assert main(["import", str(bad)]) == 1, len(data)
        assert "Nothing of it was imported" in capsys.readouterr().err
    assert not target.whole()
    assert not (tmp_path / "data-1" / "documents").exists()


def _packed_as(name: str, parts: list[bytes]) -> bytes:
    return _packed(parts) if name != "two ends" else gzip.compress(b"".join(parts))


def test_a_bomb_is_let_go_of_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Honest in every line, and nothing but zeros: a megabyte of it would be a gigabyte on disk."""
    monkeypatch.setattr(reader, "SIZE_FREE_BYTES", 1 << 20)
    head = lines.Head(made_at=datetime.now(UTC), embedding_model="", dimension=None).model_dump_json().encode()
    block = json.dumps({"kind": "bytes", "data": lines.packed(b"\0" * lines.BLOCK_BYTES)}).encode()
    file = json.dumps({"kind": "file", "tenant": "t", "sha256": "0" * 64, "size_bytes": 20 << 20}).encode()
    packed = gzip.compress(b"\n".join([head, file, *[block] * 20, b""]))
    unpacked: list[int] = []

    def unpack() -> None:
        for item in reader.items(BytesIO(packed)):
            unpacked.extend(map(len, getattr(item, "blocks", ())))

    with pytest.raises(reader.ArchiveError, match="unpacks to far more"):
        unpack()
    assert sum(unpacked) < 4 << 20
