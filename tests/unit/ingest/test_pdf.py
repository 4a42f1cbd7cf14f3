"""Reading PDFs in a child process that may die."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingest import pdf
from ingest.pdf import PdfReader
from ingest.reasons import SENTENCES, FileError, Reason
from tests.support import pdfs


@pytest.fixture(scope="module")
def reader() -> Iterator[PdfReader]:
    with PdfReader() as reader:
        yield reader


def _reason(reader: PdfReader, path: Path) -> Reason:
    with pytest.raises(FileError) as caught:
        reader.read(path)
    return caught.value.reason


def test_pages_come_in_order_with_their_words(reader: PdfReader, tmp_path: Path) -> None:
    path = pdfs.make_pdf(tmp_path / "a.pdf", ["The first page.", "", "The third page."])
    text = reader.read(path)
    assert [page and page.strip() for page in text.pages] == ["The first page.", "", "The third page."]
    assert text.missing_pages == ()


def test_an_owner_password_does_not_matter(reader: PdfReader, tmp_path: Path) -> None:
    text = reader.read(pdfs.owner_password_pdf(tmp_path / "a.pdf"))
    assert "boat house" in (text.pages[0] or "")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (pdfs.encrypted_pdf, Reason.ENCRYPTED),
        (pdfs.empty_file, Reason.EMPTY_FILE),
        (pdfs.not_a_pdf, Reason.NOT_A_PDF),
        (pdfs.scanned_pdf, Reason.NO_TEXT),
        (pdfs.zero_page_pdf, Reason.DAMAGED),
        (pdfs.broken_page_tree_pdf, Reason.DAMAGED),
    ],
)
def test_a_bad_file_says_what_is_wrong(
    reader: PdfReader, tmp_path: Path, make: Callable[[Path], Path], reason: Reason
) -> None:
    assert _reason(reader, make(tmp_path / "bad.pdf")) is reason


def test_of_half_a_file_the_rest_is_read_and_the_missing_pages_are_named(reader: PdfReader, tmp_path: Path) -> None:
    text = reader.read(pdfs.half_read_pdf(tmp_path / "half.pdf", page_count=40))
    assert "This is page 1 " in (text.pages[0] or "")
    assert text.missing_pages
    assert text.missing_pages[-1] == 40


def test_a_name_that_is_not_utf8_can_be_read(reader: PdfReader, tmp_path: Path) -> None:
    assert reader.read(pdfs.make_pdf(tmp_path / os.fsdecode(b"caf\xe9.pdf"), ["words"])).pages[0] == "words"


def test_a_pipe_is_not_waited_for(reader: PdfReader, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pdf")
    assert _reason(reader, tmp_path / "pipe.pdf") is Reason.NOT_A_FILE


def test_a_child_that_is_killed_fails_its_document_only(tmp_path: Path) -> None:
    good = pdfs.make_pdf(tmp_path / "good.pdf", ["words"])
    with PdfReader() as reader:
        reader.read(good)
        pid = reader.child_pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)  # it holds the document, and never answers
        killer = threading.Timer(0.2, os.kill, (pid, signal.SIGKILL))
        killer.start()
        assert _reason(reader, good) is Reason.CRASHED
        killer.join()
        assert reader.read(good).pages == ("words",)
        assert reader.child_pid != pid


def test_a_child_that_died_between_two_documents_is_replaced(tmp_path: Path) -> None:
    good = pdfs.make_pdf(tmp_path / "good.pdf", ["words"])
    with PdfReader() as reader:
        reader.read(good)
        assert reader.child_pid is not None
        os.kill(reader.child_pid, signal.SIGKILL)
        os.waitid(os.P_PID, reader.child_pid, os.WEXITED | os.WNOWAIT)
        assert reader.read(good).pages == ("words",)


def test_a_child_that_hangs_is_killed(tmp_path: Path) -> None:
    good = pdfs.make_pdf(tmp_path / "good.pdf", ["words"])
    with PdfReader() as patient:
        patient.read(good)  # so that the limit below is not spent on starting
    with PdfReader(seconds_max=5) as reader:
        reader.read(good)
        reader._seconds_max = 0.3
        pid = reader.child_pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        assert _reason(reader, good) is Reason.TIMEOUT
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_document_of_too_much_text_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "DOCUMENT_CHARACTERS_MAX", 100)
    long = pdfs.make_pdf(tmp_path / "long.pdf", ["Many words. " * 20] * 5)
    with PdfReader() as reader:
        assert _reason(reader, long) is Reason.TOO_LARGE
        assert reader.read(pdfs.make_pdf(tmp_path / "short.pdf", ["words"])).pages == ("words",)


def test_a_child_is_replaced_after_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "DOCUMENTS_A_CHILD", 2)
    good = pdfs.make_pdf(tmp_path / "good.pdf", ["words"])
    with PdfReader() as reader:
        children = []
        for _ in range(3):
            reader.read(good)
            children.append(reader.child_pid)
    assert children[0] == children[1] != children[2]


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads the child's environment from /proc")
def test_a_child_gets_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with PdfReader() as reader:
        reader.read(pdfs.make_pdf(tmp_path / "good.pdf", ["words"]))
        assert b"sk-secret" not in Path(f"/proc/{reader.child_pid}/environ").read_bytes()


def test_leaving_ends_the_child(tmp_path: Path) -> None:
    with PdfReader() as reader:
        reader.read(pdfs.make_pdf(tmp_path / "good.pdf", ["words"]))
        pid = reader.child_pid
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_every_reason_has_its_sentence() -> None:
    assert set(SENTENCES) == set(Reason)
