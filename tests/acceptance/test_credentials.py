"""Keys as an operator meets them: one command makes one, and nothing is served to others without."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.auth.api_keys import KeyRing
from app.auth.principals import Principal, Role
from tests.acceptance.conftest import environment, start
from tests.support.credentials import api_key


def app(tmp_path: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments], cwd=tmp_path, env=environment(tmp_path / "data", **variables),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_key_is_made_and_printed_once_with_its_entry(tmp_path: Path) -> None:
    done = app(tmp_path, "key", "--name", "web", "--tenant", "acme", "--role", "ingest", "--rate", "30/second")
    assert done.returncode == 0, done.stderr
    words = done.stdout.split()
    (key,) = [word for word in words if word.startswith("rag_")]
    (line,) = [word for word in words if word.startswith("API_KEYS=")]
    found = KeyRing([line.removeprefix("API_KEYS=")]).find(key.encode())
    assert found == Principal("acme", "web", Role.INGEST, "30/second")


def test_a_key_of_a_wrong_form_is_refused_by_the_options_name(tmp_path: Path) -> None:
    done = app(tmp_path, "key", "--name", "two words")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--name" in done.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_the_service_does_not_start_for_others_without_keys(tmp_path: Path, host: str) -> None:
    done = app(tmp_path, HOST=host)
    assert done.returncode == 2
    assert "API_KEYS" in done.stderr
    assert "make key" in done.stderr
    assert not (tmp_path / "data").exists(), "nothing was started"


def test_a_wrong_entry_stops_the_start_and_is_not_repeated(tmp_path: Path) -> None:
    done = app(tmp_path, API_KEYS="rag_pasted-the-key-itself")
    assert done.returncode == 2
    assert "API_KEYS: entry 1" in done.stderr
    assert "rag_pasted" not in done.stderr


def test_a_service_with_keys_answers_those_who_show_one(tmp_path: Path) -> None:
    key, entry = api_key("me")
    service = start(tmp_path, API_KEYS=entry)
    try:
        refused = service.command(sys.executable, "-m", "app", "ask", "When?")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "API key" in refused.stderr
        answered = service.command(sys.executable, "-m", "app", "ask", "When?", "--key", key)
        assert "Q: When?" in answered.stdout, answered.stderr
    finally:
        assert service.stop() == 0
    assert key not in service.log.read_text()
