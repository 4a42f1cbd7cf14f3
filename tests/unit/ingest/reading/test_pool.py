"""Reading documents in child processes that may die."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ingest.reading import child, limits, pool
from ingest.reading.pool import LAST_RANGE_PAGES, RANGE_PAGES, ReaderPool, ranges_of
from ingest.reading.reasons import SENTENCES, FileError, Reason
from tests.support import pdfs
from tests.support.processes import hold, wait_until


@pytest.fixture(scope="module")
def reader() -> Iterator[ReaderPool]:
    with ReaderPool(1) as reader:
        yield reader


def _reason(reader: ReaderPool, path: Path) -> Reason:
    with pytest.raises(FileError) as caught:
        reader.read(path)
    return caught.value.reason


def test_pages_come_in_order_with_their_words(reader: ReaderPool, tmp_path: Path) -> None:
    path = pdfs.make_pdf(tmp_path / "a.pdf", ["The first page.", "", "The third page."])
    text = reader.read(path)
    assert text.pages == ("The first page.", "", "The third page.")
    assert text.missing_pages == ()


def test_a_long_document_is_shared_out_and_comes_back_in_order(tmp_path: Path) -> None:
    path = pdfs.make_pdf(tmp_path / "long.pdf", [f"This is page {n}." for n in range(1, 150)])
    with ReaderPool(3) as reader:
        assert reader.read(path).pages == tuple(f"This is page {n}." for n in range(1, 150))
        assert len(reader.child_pids) == 3


def test_many_threads_may_read_with_fewer_children(tmp_path: Path) -> None:
    paths = [pdfs.make_pdf(tmp_path / f"{n}.pdf", [f"Document {n}."] * 40) for n in range(12)]
    with ReaderPool(2) as reader, ThreadPoolExecutor(6) as threads:
        texts = list(threads.map(reader.read, paths))
    assert [text.pages for text in texts] == [(f"Document {n}.",) * 40 for n in range(12)]


def test_the_title_is_the_document_s_own_or_what_is_printed_largest(reader: ReaderPool, tmp_path: Path) -> None:
    named = pdfs.make_pdf(tmp_path / "a.pdf", ["Words."], title="The Otter's Year")
    assert reader.read(named).title == "The Otter's Year"
    printed = pdfs.styled_pdf(tmp_path / "b.pdf", [("All about herons", "B", 22), ("They wait. " * 5, "", 11)])
    assert reader.read(printed).title == "All about herons"
    program = pdfs.make_pdf(tmp_path / "c.pdf", ["Words."], title="Microsoft Word - draft7.docx")
    assert reader.read(program).title == ""


def test_headings_are_told_by_size_or_weight_and_paragraphs_stand_apart(reader: ReaderPool, tmp_path: Path) -> None:
    body = ("Otters sleep in groups and hold hands.", "", 11)
    lines = [("Sleep", "B", 16), body, body, ("Food", "B", 11), body, body, body]
    text = reader.read(pdfs.styled_pdf(tmp_path / "a.pdf", lines))
    assert text.headings == (("Sleep", "Food"),)
    assert f"Sleep\n\n{body[0]}\n{body[0]}\n\nFood\n\n{body[0]}" in (text.pages[0] or "")


def test_an_owner_password_does_not_matter(reader: ReaderPool, tmp_path: Path) -> None:
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
    reader: ReaderPool, tmp_path: Path, make: Callable[[Path], Path], reason: Reason
) -> None:
    assert _reason(reader, make(tmp_path / "bad.pdf")) is reason


def test_of_half_a_file_the_rest_is_read_and_the_missing_pages_are_named(reader: ReaderPool, tmp_path: Path) -> None:
    text = reader.read(pdfs.half_read_pdf(tmp_path / "half.pdf", page_count=40))
    assert "This is page 1 " in (text.pages[0] or "")
    assert text.missing_pages
    assert text.missing_pages[-1] == 40


@pytest.mark.parametrize("missing_bytes", [100, 4_096, 12_000])
def test_a_file_that_lacks_its_last_kilobytes_is_read_as_far_as_it_goes(
    reader: ReaderPool, tmp_path: Path, missing_bytes: int
) -> None:
    path = pdfs.truncated_pdf(tmp_path / "cut.pdf", missing_bytes=missing_bytes)
    text = reader.read(path)
    assert "This is page 1 " in (text.pages[0] or "")
    assert "This is page 20 " in (text.pages[19] or "")


def test_a_page_tree_that_is_packed_in_a_stream_is_found_without_the_table(
    reader: ReaderPool, tmp_path: Path
) -> None:
    path = pdfs.packed_objects_pdf(tmp_path / "cut.pdf", "Packed words.", missing_bytes=500)
    assert reader.read(path).pages == ("Packed words.",)


def test_a_picture_among_pages_of_text_is_missing_and_a_blank_page_is_not(reader: ReaderPool, tmp_path: Path) -> None:
    path = pdfs.scan_between_pdf(tmp_path / "a.pdf")
    text = reader.read(path)
    assert text.pages == ("Words before.", None, "", "Words after.")
    assert text.missing_pages == (2,)


def test_a_name_that_is_not_utf8_can_be_read(reader: ReaderPool, tmp_path: Path) -> None:
    assert reader.read(pdfs.make_pdf(tmp_path / os.fsdecode(b"caf\xe9.pdf"), ["words"])).pages[0] == "words"


def test_the_name_given_tells_the_format_of_a_file_that_has_none(reader: ReaderPool, tmp_path: Path) -> None:
    path = tmp_path / "0f3a"
    path.write_text("# Otters\n\nThey sleep.")
    assert _reason(reader, path) is Reason.NOT_A_PDF
    assert reader.read(path, name="otters.md").title == "Otters"


def test_a_pipe_is_not_waited_for(reader: ReaderPool, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pdf")
    assert _reason(reader, tmp_path / "pipe.pdf") is Reason.NOT_A_FILE


def test_a_bad_file_does_not_cost_a_child(reader: ReaderPool, tmp_path: Path) -> None:
    before = reader.child_pids
    assert _reason(reader, pdfs.not_a_pdf(tmp_path / "bad.pdf")) is Reason.NOT_A_PDF
    assert reader.child_pids == before


def test_a_child_that_is_killed_fails_its_document_only(tmp_path: Path) -> None:
    good = pdfs.make_pdf(tmp_path / "good.pdf", ["words"])
    with ReaderPool(1) as reader:
        reader.read(good)
        (pid,) = reader.child_pids
        hold(pid)  # it holds the document, and never answers
        killer = threading.Timer(0.2, os.kill, (pid, signal.SIGKILL))
        killer.start()
        assert _reason(reader, good) is Reason.CRASHED
        killer.join()
        assert reader.read(good).pages == ("words",)
        assert reader.child_pids != [pid]


def test_a_child_that_died_between_two_documents_is_replaced(tmp_path: Path) -> None:
    good = pdfs.make_pdf(tmp_path / "good.pdf", ["words"])
    with ReaderPool(1) as reader:
        reader.read(good)
        (pid,) = reader.child_pids
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert reader.read(good).pages == ("words",)


def test_a_child_that_hangs_is_killed(tmp_path: Path) -> None:
    good = pdfs.make_pdf(tmp_path / "good.pdf", ["words"])
    with ReaderPool(1) as reader:
        reader.read(good)  # so that the limit below is not spent on starting
        reader._page_seconds_max = 0.3
        (pid,) = reader.child_pids
        hold(pid)
        assert _reason(reader, good) is Reason.TIMEOUT
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_page_that_takes_too_long_is_missing_and_the_others_are_read(tmp_path: Path) -> None:
    with ReaderPool(1, page_seconds_max=4) as reader:
        text = reader.read(pdfs.slow_page_pdf(tmp_path / "slow.pdf"))
    assert text.pages == ("Words that are read.", None, "More words.")
    assert text.missing_pages == (2,)


def test_a_document_may_use_up_its_time_and_keeps_what_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ReaderPool(1) as reader:
        reader.read(pdfs.make_pdf(tmp_path / "good.pdf", ["words"]))  # so that the limit is not spent on starting
        monkeypatch.setattr(limits, "DOCUMENT_SECONDS", 3)
        text = reader.read(pdfs.slow_page_pdf(tmp_path / "slow.pdf"))
    assert text.pages == ("Words that are read.", None, None)


def test_a_document_that_brings_down_child_after_child_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    start = child._start

    def counted(memory_bytes_max: int) -> object:
        started.append(memory_bytes_max)
        return start(memory_bytes_max)

    monkeypatch.setattr(child, "_start", counted)
    bomb = pdfs.flate_bomb_pdf(tmp_path / "bomb.pdf", megabytes=400, pages=9)
    with ReaderPool(1, memory_bytes_max=500 * 2**20) as reader:
        assert _reason(reader, bomb) is Reason.CRASHED
    assert len(started) == limits.CHILDREN_LOST_MAX + 1


def test_a_child_that_sends_more_pages_than_there_are_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([child.Reply(pages=1, sha256="0" * 64), *[child.Reply(text="words")] * 9])
    monkeypatch.setattr(child.Child, "reply", lambda *_: next(answers))
    with ReaderPool(1) as reader:
        assert reader.read(pdfs.make_pdf(tmp_path / "a.pdf", ["words"])).pages == ("words",)
    assert next(answers, None) is not None


def test_a_document_of_too_much_text_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DOCUMENT_CHARACTERS_MAX", 100)
    long = pdfs.make_pdf(tmp_path / "long.pdf", ["Many words. " * 20] * 5)
    with ReaderPool(1) as reader:
        assert _reason(reader, long) is Reason.TOO_LARGE
        assert reader.read(pdfs.make_pdf(tmp_path / "short.pdf", ["words"])).pages == ("words",)


def test_a_file_that_changes_between_two_ranges_of_its_pages_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pdfs.make_pdf(tmp_path / "a.pdf", ["One."] * 40)
    take = pool._Reading.take_page

    def take_and_change(self: pool._Reading, number: int, reply: child.Reply) -> None:
        take(self, number, reply)
        if number == 0:
            pdfs.make_pdf(path, ["Two, and longer."] * 40)

    monkeypatch.setattr(pool._Reading, "take_page", take_and_change)
    with ReaderPool(1) as reader:
        assert _reason(reader, path) is Reason.CHANGED


def test_a_child_is_replaced_after_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "REQUESTS_A_CHILD", 2)
    good = pdfs.make_pdf(tmp_path / "good.pdf", ["words"])
    with ReaderPool(1) as reader:
        children = []
        for _ in range(3):
            reader.read(good)
            children += reader.child_pids
    assert children[0] == children[1] != children[2]


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads the child's environment from /proc")
def test_a_child_gets_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with ReaderPool(1) as reader:
        reader.read(pdfs.make_pdf(tmp_path / "good.pdf", ["words"]))
        assert b"sk-secret" not in Path(f"/proc/{reader.child_pids[0]}/environ").read_bytes()


def test_leaving_ends_the_children_and_whoever_reads_is_told(tmp_path: Path) -> None:
    good = pdfs.make_pdf(tmp_path / "good.pdf", ["words"])
    with ThreadPoolExecutor(1) as threads:
        with ReaderPool(1) as reader:
            reader.read(good)
            (pid,) = reader.child_pids
            hold(pid)
            reading = threads.submit(reader.read, good)
            wait_until(lambda: reader._idle.empty(), "the other thread reads")
        with pytest.raises(FileError):
            reading.result()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(FileError):
        reader.read(good)


def test_a_child_that_is_closed_while_it_starts_reads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = pdfs.make_pdf(tmp_path / "good.pdf", ["words"])
    one, start = child.Child(limits.MEMORY_BYTES_MAX), child._start

    def closed_meanwhile(memory_bytes_max: int) -> "subprocess.Popen[bytes]":
        one.close()
        return start(memory_bytes_max)

    monkeypatch.setattr(child, "_start", closed_meanwhile)
    with pytest.raises(child.ChildLostError):
        one.ask(child.Request(str(good), good.name, 0, 1))
    assert one.pid is None


def test_every_reason_has_its_sentence() -> None:
    assert set(SENTENCES) == set(Reason)


@pytest.mark.parametrize("children", [1, 2, 8, 64])
@pytest.mark.parametrize("pages", [range(32, 32), range(32, 33), range(32, 136), range(32, 5_000)])
def test_each_page_is_in_one_range_and_the_last_ranges_are_short(pages: range, children: int) -> None:
    shared = list(ranges_of(pages, children))

    assert [number for some in shared for number in some] == list(pages)
    assert all(len(some) <= RANGE_PAGES for some in shared)
    assert all(len(some) <= LAST_RANGE_PAGES for some in shared[-min(2, children) :])
    assert all(len(some) >= LAST_RANGE_PAGES for some in shared[:-1])
