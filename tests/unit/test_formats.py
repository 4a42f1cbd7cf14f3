"""Every format of the table goes the whole way: taken, told, served, found in a folder, read, named in sentences."""

import re
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest
from fakeredis import FakeAsyncRedis, FakeServer
from fastapi.testclient import TestClient
from httpx2 import Response

from app.core.formats import FORMATS, SUFFIXES, Format, MediaType
from app.core.settings import Settings
from app.main import create_app
from ingest.reading.extract import open_document
from ingest.reading.files import UsageError, find
from ingest.reading.loaders import LOADERS
from ingest.reading.office.loaders import PAGED
from ingest.reading.reasons import SENTENCES, FileError, Reason
from tests.support.formats import SAMPLES

WORDS = "Otters sleep in groups."
LOADED_ELSEWHERE = {MediaType.PDF}
"""`ingest.reading.pdf` reads it, page by page."""

every_format = pytest.mark.parametrize("row", FORMATS.values(), ids=lambda row: row.label)
every_suffix = pytest.mark.parametrize("suffix", SUFFIXES)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    settings = Settings(documents_url=str(tmp_path_factory.mktemp("documents")), qdrant_url="http://127.0.0.1:9")
    app = create_app(settings, valkey=FakeAsyncRedis(server=FakeServer()))
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def _upload(client: TestClient, name: str, data: bytes) -> Response:
    return client.post("/documents", files=[("files", (name, data))])


def _text_of(name: str, data: bytes) -> str:
    document = open_document(name, data)
    try:
        return document.page(0).text or ""
    finally:
        document.close()


def test_every_row_of_the_table_has_a_loader_and_a_sample() -> None:
    assert set(LOADERS) | set(PAGED) | LOADED_ELSEWHERE == set(FORMATS)
    assert not set(LOADERS) & set(PAGED)
    assert set(SAMPLES) == set(FORMATS)


@every_suffix
def test_every_suffix_is_uploaded_and_downloaded_as_the_table_says(client: TestClient, suffix: str) -> None:
    row = SUFFIXES[suffix]
    data = SAMPLES[row.media_type].says(WORDS)
    uploaded = _upload(client, f"a{suffix}", data)
    assert uploaded.status_code == 202, uploaded.text
    document = uploaded.json()["documents"][0]
    assert document["media_type"] == row.media_type
    served = client.get(document["urls"]["file"])
    assert served.content == data
    assert served.headers["content-type"] == row.media_type + ("; charset=utf-8" if row.is_utf8 else "")
    disposition = "inline" if row.is_shown_inline else "attachment"
    assert served.headers["content-disposition"] == f'{disposition}; filename="a{suffix}"'
    is_sandboxed = "sandbox" in served.headers["content-security-policy"]
    assert is_sandboxed is (row.media_type is not MediaType.PDF)


@every_suffix
def test_every_suffix_is_found_in_a_folder_and_read(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / f"a{suffix.upper()}"
    path.write_bytes(SAMPLES[SUFFIXES[suffix].media_type].says(WORDS))
    assert [file.path for file in find([path.parent]).files] == [path]
    assert WORDS in _text_of(path.name, path.read_bytes())


@pytest.mark.parametrize(
    ("row", "other"), list(permutations(FORMATS.values(), 2)), ids=lambda row: row.label.removeprefix(".")
)
def test_a_format_under_the_name_of_another_is_taken_by_upload_and_reader_or_by_neither(
    client: TestClient, row: Format, other: Format
) -> None:
    """Texts are all alike; what is told by its bytes is only ever itself."""
    name, data = f"a{other.suffixes[0]}", SAMPLES[row.media_type].says(WORDS)
    is_taken = not row.magic and not other.magic
    assert _upload(client, name, data).status_code == (202 if is_taken else 415)
    if is_taken:
        assert WORDS in _text_of(name, data)
    else:
        with pytest.raises(FileError):
            open_document(name, data)


@every_format
def test_every_format_is_named_where_formats_are_listed(client: TestClient, tmp_path: Path, row: Format) -> None:
    with pytest.raises(UsageError) as found_nothing:
        find([tmp_path])
    refused = _upload(client, "a.unknown", b"x").json()["detail"]
    schema = client.get("/openapi.json").json()
    described = schema["paths"]["/documents"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert _names(str(found_nothing.value), row.label)
    for suffix in row.suffixes:
        assert _names(refused, suffix)
        assert _names(described["properties"]["files"]["description"], suffix)
    assert row.media_type in schema["components"]["schemas"]["MediaType"]["enum"]


@every_format
def test_a_format_that_is_told_by_its_bytes_says_so_when_it_is_refused(client: TestClient, row: Format) -> None:
    refused = _upload(client, f"a{row.suffixes[0]}", b"\0").json()["detail"]
    assert (row.sign in refused) if row.magic else ("not a text" in refused)
    assert row.sign in SENTENCES[Reason.NOT_A_PDF]


def _names(sentence: str, word: str) -> bool:
    """Whether `word` stands in it as a whole: .htm is not named by .html."""
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", sentence) is not None
