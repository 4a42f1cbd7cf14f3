"""A text in any encoding is taken by an upload and by the command line, with the same words, or by neither."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakeredis import FakeAsyncRedis, FakeServer
from fastapi.testclient import TestClient

from app.core.formats import FORMATS, MediaType
from app.core.settings import Settings
from app.main import create_app
from ingest.reading.extract import open_document
from ingest.reading.reasons import FileError
from tests.unit.ingest.reading.test_encodings import ENCODINGS, OF_ALL, TEXTS

SUFFIXES = [
    suffix
    for row in FORMATS.values()
    if row.is_utf8 and row.media_type is not MediaType.EML  # a mail's parts have each their own
    for suffix in row.suffixes
]
TAKEN = {f"{language} in {one}": TEXTS[language].encode(one) for language in TEXTS for one in ENCODINGS[language]}
TAKEN |= {f"{language} in {one}": f"{TEXTS[language]}\r\n".encode(one) for language in TEXTS for one in OF_ALL}
REFUSED = {
    "a zero byte in a text": b"The key\0 hangs behind the door.",
    "a zero byte": b"\0",
    "zero bytes": bytes(2000),
    "a PDF": b"%PDF-1.7 the key hangs",
    "a zip": b"PK\x03\x04 the key hangs",
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    settings = Settings(documents_url=str(tmp_path_factory.mktemp("documents")), qdrant_url="http://127.0.0.1:9")
    app = create_app(settings, valkey=FakeAsyncRedis(server=FakeServer()))
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def _uploaded(client: TestClient, name: str, data: bytes) -> int:
    return client.post("/documents", files=[("files", (name, data))]).status_code


@pytest.mark.parametrize("case", TAKEN)
def test_an_encoding_is_taken_in_both_ways(client: TestClient, case: str) -> None:
    for suffix in SUFFIXES:
        name = f"a{suffix}"
        assert _uploaded(client, name, TAKEN[case]) == 202
        assert TEXTS[case.partition(" in ")[0]][:20] in (open_document(name, TAKEN[case]).page(0).text or "")


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_no_text_is_refused_in_both_ways(client: TestClient, suffix: str, case: str) -> None:
    assert _uploaded(client, f"a{suffix}", REFUSED[case]) == 415
    with pytest.raises(FileError):
        open_document(f"a{suffix}", REFUSED[case])


def test_the_texts_of_two_bytes_a_character_that_people_sent_are_taken(client: TestClient, tmp_path: Path) -> None:
    data = "\ufeffThe key hangs behind the blue door.\r\n".encode("utf-16-le")
    assert _uploaded(client, "keys.txt", data) == 202
    assert open_document("keys.txt", data).page(0).text == "The key hangs behind the blue door.\n"
