"""`python -m benchmarks.answers` as a team would run it: against the service, with and without a model."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.answers_data import LINE_CHARACTERS_MAX
from benchmarks.answers_log import lines_of
from tests.acceptance.conftest import Running, documents, start
from tests.acceptance.conftest import ask as asked
from tests.support import ROOT
from tests.support.credentials import api_key
from tests.support.model_server import ModelServer
from tests.support.processes import wait_until

GOLD = [{"filename": "handbook.pdf", "page": 1}]
OPENING: dict[str, Any] = {
    "question": "When does the harbour open in winter?",
    "expected": ["six|6:00"],
    "pages": GOLD,
}
BOATS: dict[str, Any] = {
    "question": "Who washes every boat with fresh water?",
    "expected": ["fresh WATER", "after rowing"],
    "pages": [{"filename": "handbook.pdf", "page": 2}],
}
NOWHERE: dict[str, Any] = {"question": "How many kayaks has Bolivia?", "refuse": True}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("answers")
    started = start(folder, "--ingest", str(documents(folder / "pdfs")))
    yield started
    started.stop()


def measure(service: Running, lines: Sequence[dict[str, Any]], tmp_path: Path, *options: str) -> tuple[int, str]:
    """Exit status and what was printed for questions in a file."""
    file = tmp_path / "questions.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run(service, str(file), *options)


def run(service: Running, *options: str) -> tuple[int, str]:
    ran = service.command(sys.executable, "-m", "benchmarks.answers", *options)
    return ran.returncode, ran.stdout + ran.stderr


def shares(output: str) -> dict[str, str]:
    """Of the table's first lines: `2 of 3` by measure."""
    rows = [line.split() for line in output.splitlines()]
    return {row[0]: f"{row[1]} of {row[3]}" for row in rows if len(row) == 5 and row[2] == "of"}


def test_pages_words_refusals_and_the_exit_status(service: Running, tmp_path: Path) -> None:
    """A share that is too small, and one that no question measures, is status 1."""
    wrong_page = BOATS | {"question": "With what is every boat washed after rowing?", "pages": GOLD}
    lines = [OPENING, BOATS, wrong_page, NOWHERE]
    status, output = measure(service, lines, tmp_path, "--at-least", "right=0.75", "--at-least", "words=1")
    assert status == 0, output
    measures = {"right": "3 of 4", "page": "2 of 3", "words": "3 of 3", "refused": "1 of 1", "answered": "4 of 4"}
    assert shares(output) == measures
    assert "wrong: With what is every boat washed after rowing? (page)" in output
    status, output = measure(service, lines, tmp_path, "--at-least", "page=0.9")
    assert status == 1
    assert "below --at-least page=0.9: 66.7%" in output
    assert measure(service, [OPENING], tmp_path, "--at-least", "refused=0")[0] == 1


def test_what_has_changed_since_a_former_run_is_said(service: Running, tmp_path: Path) -> None:
    kept = tmp_path / "before.json"
    moved = OPENING | {"pages": [{"filename": "handbook.pdf", "page": 2}]}
    assert measure(service, [OPENING, BOATS | {"pages": GOLD}, NOWHERE], tmp_path, "--json", str(kept))[0] == 0
    assert json.loads(kept.read_text())["summary"]["shares"]["right"] == pytest.approx(2 / 3)
    status, output = measure(service, [moved, BOATS], tmp_path, "--compare", str(kept))
    assert status == 0
    assert "2 questions; 0 new, 1 gone" in output
    assert f"right -> wrong: {moved['question']} (page)" in output
    assert f"wrong -> right: {BOATS['question']}" in output


def test_rows_of_a_chat_log_are_asked_again(service: Running, tmp_path: Path) -> None:
    """What somebody expected is expected, what was rated up must be cited again, and the rest is only asked."""
    cited = [{"filename": "handbook.pdf", "page": 1, "document_id": "gone", "quote": "The harbour"}]
    row = {"job_id": "a", "collection": "default", "rating": None, "expected": None, "citations": cited}
    rows = [
        row | {"question": OPENING["question"], "rating": "up"},
        row | {"question": BOATS["question"], "rating": "down", "expected": "With champagne."},
        row | {"question": "When does the harbour open in summer?"},
        row | {"question": None},
    ]
    status, output = measure(service, rows, tmp_path)
    assert status == 0
    assert shares(output) == {"right": "1 of 2", "page": "1 of 1", "words": "0 of 1", "answered": "3 of 3"}


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service with an admin's key (API_KEY) and another's, and four questions in its log, two of them rated."""
    folder = tmp_path_factory.mktemp("logged")
    (admin, admins), (reader, readers) = api_key("anna", role="admin"), api_key("ralf", role="ask")
    keys = {"API_KEYS": f"{admins},{readers}", "API_KEY": admin, "READERS_KEY": reader}
    started = start(folder, "--ingest", str(documents(folder / "pdfs")), **keys)
    with started.client() as client:
        client.headers["Authorization"] = f"Bearer {admin}"
        ids = [asked(client, each["question"])["job_id"] for each in (OPENING, BOATS, NOWHERE, OPENING)]
        for job_id, said in (
            (ids[0], {"rating": "up"}),
            (ids[1], {"rating": "down", "expected": "With champagne.", "comment": "a\u2028b\x85c\n"}),
        ):
            assert client.post(f"/jobs/{job_id}/feedback", json=said).status_code == 200

        def is_written() -> bool:
            return len(client.get("/history").json()["entries"]) == len(ids)

        wait_until(is_written, "all rows are there")
    yield started
    started.stop()


def test_the_running_services_log_is_asked_again(logged: Running) -> None:
    """What was asked twice, once rated and once not, is asked once. What this asks is in the log in its turn."""
    status, output = run(logged, "--from-log", "--at-once", "2")
    assert status == 0, output
    assert shares(output) == {"right": "1 of 2", "page": "1 of 1", "words": "0 of 1", "answered": "3 of 3"}
    assert f"wrong: {BOATS['question']} (words)" in output
    status, output = run(logged, "--from-log", "--rating", "down")
    assert shares(output) == {"right": "0 of 1", "words": "0 of 1", "answered": "1 of 1"}
    status, output = run(logged, "--from-log", "--rating", "up", "--since", "2026-01-01T00:00+02:00")
    assert shares(output) == {"right": "1 of 1", "page": "1 of 1", "answered": "1 of 1"}


def test_a_log_without_such_rows_or_for_another_key_is_said(logged: Running) -> None:
    status, output = run(logged, "--from-log", "--since", "2100-01-01")
    assert (status, output) == (2, "/history: no question\n")
    environment = {**logged.environment, "API_KEY": logged.environment["READERS_KEY"]}
    status, output = run(replace(logged, environment=environment), "--from-log")
    assert status == 2
    assert output.startswith("/history: ")
    assert "admin" in output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["questions.jsonl", "--from-log"], "either FILE or --from-log"),
        (["--rating", "down"], "add --from-log"),
        (["--from-log", "--rating", "good"], "invalid choice"),
        (["--from-log", "--since", "yesterday"], "a day or a time"),
        (["--from-log", "--url", "http://127.0.0.1:9"], "no chat log at http://127.0.0.1:9"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: Sequence[str], said: str) -> None:
    command = [sys.executable, "-m", "benchmarks.answers", *options]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 2
    assert said in ran.stderr


def test_the_samples_are_answered_without_a_model(tmp_path: Path) -> None:
    service = start(tmp_path, "--ingest", str(ROOT / "data"))
    try:
        status, output = run(
            service, "--at-least", "right=0.9", "--at-least", "refused=1", "--at-least", "answered=1"
        )
    finally:
        service.stop()
    assert status == 0, output


def test_a_models_tokens_and_their_price_are_told_and_its_failures_by_code(tmp_path: Path) -> None:
    with ModelServer() as model:
        settings = {"OPENAI_BASE_URL": model.url, "CHAT_MODEL": "test", "MAX_ATTEMPTS": "1"}
        prices = {"MODEL_PRICES": '{"test": [1000, 1000]}'}
        folder = documents(tmp_path / "pdfs")
        service = start(tmp_path, "--ingest", str(folder), **settings, **prices)
        try:
            status, output = measure(service, [OPENING, BOATS], tmp_path, "--at-least", "page=1")
            assert status == 0, output
            assert "model      test, $" in output
            assert "tokens     0 in" not in output
            model.stop()
            status, output = measure(service, [OPENING, BOATS], tmp_path, "--at-least", "answered=0.5")
            assert status == 1
            assert "failed          2 model_unavailable" in output
        finally:
            service.stop()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"question": "a", "refuse": true, "expected": "b"}', "line 1: : Value error, a question to refuse"),
        ('{"question": "a", "pages": [{"page": 1}]}', "line 1: pages.0: Value error, a page has"),
        ('{"question": "a", "answer": "b"}', "line 1: answer: Extra inputs"),
        ("[]", "line 1: no JSON object"),
        ("{", "line 1: Expecting"),
        ("", "no question"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_its_line(line: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.jsonl"
    file.write_text(line)
    command = [sys.executable, "-m", "benchmarks.answers", str(file)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 2
    assert said in ran.stderr


def test_a_row_ends_at_a_newline_alone_and_one_without_end_is_given_up() -> None:
    assert list(lines_of(["a\u2028", "b\x85c\n", "\nd"])) == ["a\u2028b\x85c", "", "d"]
    endless = list(lines_of(iter(lambda: "x" * 65_536, "")))
    assert [LINE_CHARACTERS_MAX < len(line) < 2 * LINE_CHARACTERS_MAX for line in endless] == [True]


def test_no_service_is_said(tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text(json.dumps(OPENING))
    command = [sys.executable, "-m", "benchmarks.answers", str(file), "--url", "http://127.0.0.1:9"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 2
    assert "no service at http://127.0.0.1:9" in ran.stderr
