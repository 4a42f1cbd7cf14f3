"""A hostile document of any format: it ends with a reason or is read, within bounds of time and memory.

Every row of the table of formats is tried in the same ways, so that the next one is.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.formats import FORMATS, OLE, MediaType
from ingest.chunking.splitter import Splitter
from ingest.reading.misfits import LOCKED
from ingest.reading.pool import ReaderPool
from ingest.reading.reasons import FileError, Reason
from tests.support.formats import SAMPLES, hostile_documents

MEMORY_BYTES_MAX = 512 * 2**20
"""Half of what the product allows: what holds here holds there."""
SECONDS_MAX = 60
WORDS = "The next one goes on."
CASES = [(media_type, name) for media_type in FORMATS for name in hostile_documents(media_type)]

every_format = pytest.mark.parametrize("media_type", FORMATS, ids=lambda kind: FORMATS[kind].label)


@pytest.fixture(scope="module")
def reader() -> Iterator[ReaderPool]:
    with ReaderPool(1, memory_bytes_max=MEMORY_BYTES_MAX, page_seconds_max=10) as reader:
        yield reader


def _write(folder: Path, media_type: MediaType, data: bytes) -> Path:
    path = folder / f"a{FORMATS[media_type].suffixes[0]}"
    path.write_bytes(data)
    return path


def _end_of(reader: ReaderPool, path: Path) -> Reason | None:
    try:
        text = reader.read(path)
    except FileError as error:
        return error.reason
    assert "root:" not in "".join(filter(None, text.pages))
    assert Splitter(1_000, 150).split(text.pages, text.headings)
    return None


@pytest.mark.parametrize(("media_type", "name"), CASES, ids=lambda one: FORMATS[one].label if one in FORMATS else one)
def test_a_hostile_document_ends_with_a_reason_or_is_read_and_the_next_one_goes_on(
    reader: ReaderPool, tmp_path: Path, media_type: MediaType, name: str
) -> None:
    path = _write(tmp_path, media_type, hostile_documents(media_type)[name]())
    began = time.monotonic()
    reason = _end_of(reader, path)
    assert time.monotonic() - began < SECONDS_MAX
    assert reason is not None or "bomb" not in name
    assert reason not in (Reason.UNREADABLE, Reason.CHANGED, Reason.NOT_READ_KIND)
    assert all(_peak_bytes(pid) < MEMORY_BYTES_MAX for pid in reader.child_pids)
    good = _write(tmp_path, media_type, SAMPLES[media_type].says(WORDS))
    assert WORDS in (reader.read(good).pages[0] or "")


@every_format
def test_an_empty_file_says_so(reader: ReaderPool, tmp_path: Path, media_type: MediaType) -> None:
    assert _end_of(reader, _write(tmp_path, media_type, b"")) is Reason.EMPTY_FILE


@every_format
def test_a_document_without_words_says_so(reader: ReaderPool, tmp_path: Path, media_type: MediaType) -> None:
    assert _end_of(reader, _write(tmp_path, media_type, SAMPLES[media_type].blank)) is Reason.NO_TEXT


@every_format
def test_bytes_of_nothing_are_told_from_a_document(reader: ReaderPool, tmp_path: Path, media_type: MediaType) -> None:
    expected = Reason.NOT_A_PDF if FORMATS[media_type].magic else Reason.DAMAGED
    assert _end_of(reader, _write(tmp_path, media_type, bytes(range(256)) * 100)) is expected


@pytest.mark.parametrize("suffix", [".docx", ".pptx", ".xlsx", ".pdf", ".rtf", ".epub"])
def test_an_office_s_file_with_a_password_and_one_of_old_are_told(
    reader: ReaderPool, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(OLE + bytes(504) + LOCKED)
    assert _end_of(reader, path) is Reason.ENCRYPTED
    path.write_bytes(OLE + bytes(504) + "WordDocument".encode("utf-16-le"))
    assert _end_of(reader, path) is Reason.OLD_OFFICE


def test_every_format_is_tried() -> None:
    assert set(SAMPLES) == set(FORMATS)
    assert all(SAMPLES[kind].main for kind, row in FORMATS.items() if row.part)


def _peak_bytes(pid: int) -> int:
    """The most memory that a process ever had; 0 where that cannot be known."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
