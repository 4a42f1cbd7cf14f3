"""The command's arguments, and what it shows."""

import io
import re
from argparse import ArgumentTypeError
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from app.core.contract import Label
from app.core.errors import ErrorCode
from ingest.__main__ import _collection, main
from ingest.reading.reasons import Reason
from ingest.sync.display import Bar, Lines, display_on, print_report
from ingest.sync.report import MESSAGES_WHEN_INDEXING, Failure, Outcome, Report, Status


def _exit(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture
def pdf(tmp_path: Path) -> str:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"%PDF-1.7")
    return str(path)


def test_no_argument_shows_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit([]) == 2
    assert "usage: python -m ingest" in capsys.readouterr().err


def test_a_collection_s_name_is_checked(pdf: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit([pdf, "--collection", "a b"]) == 2
    assert "1 to 128 letters" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["default", "a.b:c_d-9", "x" * 128, "", "a b", "é", "x" * 129, "a\n"])
def test_a_collection_s_name_is_one_that_can_be_asked_for(name: str) -> None:
    try:
        TypeAdapter(Label).validate_python(name)
        is_label = True
    except ValidationError:
        is_label = False
    try:
        _collection(name)
        is_taken = True
    except ArgumentTypeError:
        is_taken = False
    assert is_taken == is_label


@pytest.mark.parametrize("what", ["missing", "empty", "prune"])
def test_bad_usage_is_one_line_and_exit_2(
    what: str, pdf: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    arguments = {"missing": [str(tmp_path / "no")], "empty": [str(tmp_path / "empty")], "prune": [pdf, "--prune"]}
    assert main(arguments[what]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("ingest: ")
    assert err.count("\n") == 1


def test_a_wrong_setting_is_named_and_its_value_is_not_shown(
    pdf: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("QDRANT_URL", "secret-in-the-wrong-place")
    monkeypatch.setenv("CHUNK_SIZE", "7")
    assert main([pdf]) == 2
    err = capsys.readouterr().err
    assert "QDRANT_URL: " in err
    assert "CHUNK_SIZE: " in err
    assert "secret" not in err


def test_a_path_cannot_act_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no\x1b[31msuch"]) == 2
    assert "\x1b" not in capsys.readouterr().err


def _report() -> Report:
    return Report(
        collection="default",
        dry_run=False,
        documents=[
            Outcome(source="a.pdf", status=Status.ADDED, pages=10, chunks=20, missing_pages=(2, 5, 6, 7)),
            Outcome(source="[red]b\x1b[31m.pdf", status=Status.FAILED, failure=Failure.of(Reason.NO_TEXT)),
            Outcome(source="c.pdf", status=Status.UNCHANGED, pages=3, chunks=4),
        ],
    )


def test_the_table_counts_and_gives_each_reason() -> None:
    out = io.StringIO()
    print_report(_report(), out)
    shown = out.getvalue()
    assert ["added", "1", "10", "20"] in [line.split() for line in shown.splitlines()]
    assert "2, 5-7" in shown
    assert "OCR" in shown
    assert "c.pdf" not in shown


def test_the_table_shows_names_as_they_are_and_harmless() -> None:
    out = io.StringIO()
    print_report(_report(), out)
    assert "[red]b\ufffd[31m.pdf" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def _passed_over(count: int) -> Report:
    names = [f"photo{number}.jpg" for number in range(count)]
    failures = {"old.doc": Reason.OLD_OFFICE} | dict.fromkeys(names, Reason.NOT_READ_KIND)
    return Report(
        collection="default",
        dry_run=False,
        documents=[
            Outcome(source=name, status=Status.SKIPPED, failure=Failure.of(reason))
            for name, reason in failures.items()
        ],
        other_kinds={".jpg": count + 7, ".doc": 1},
    )


def test_files_of_other_kinds_are_summed_up_by_kind_with_each_reason_once() -> None:
    out = io.StringIO()
    print_report(_passed_over(5), out)
    lines = [" ".join(line.split()) for line in out.getvalue().splitlines()]
    assert ".jpg 12 photo0.jpg, photo1.jpg, photo2.jpg and 9 more" in lines
    assert ".doc 1 old.doc" in lines
    assert out.getvalue().count("not_read_kind") == out.getvalue().count("old_office") == 1
    assert "Save it as .docx" in " ".join(lines)


def test_all_files_of_other_kinds_count_as_skipped_and_none_as_failed() -> None:
    report = _passed_over(5)
    assert report.counts[Status.SKIPPED] == 13
    assert not report.has_failed


def test_a_narrow_terminal_shows_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    out = io.StringIO()
    print_report(_passed_over(2), out)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert max(map(len, shown.splitlines())) <= 40
    assert "photo1.jpg" in shown


def test_elsewhere_than_on_a_terminal_progress_is_lines() -> None:
    out = io.StringIO()
    with display_on(out) as display:
        assert isinstance(display, Lines)
        for number, outcome in enumerate(_report().documents, 1):
            display.done(outcome, number, 3)
    added, failed = out.getvalue().splitlines()
    assert added.startswith("[1/3] added a.pdf (10 pages, 20 chunks)")
    assert failed.startswith("[2/3] failed [red]b\ufffd[31m.pdf: no_text: ")


def test_on_a_terminal_progress_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # how rich is told that it writes to a terminal
    with display_on(io.StringIO()) as display:
        assert isinstance(display, Bar)
        display.checked(1, 2)
        display.starting("[/]a.pdf")
        display.done(_report().documents[0], 1, 2)


def test_every_code_has_words_for_who_indexes() -> None:
    assert all(Failure.of(code).message for code in ErrorCode)
    assert "Ask again" not in " ".join(MESSAGES_WHEN_INDEXING.values())
