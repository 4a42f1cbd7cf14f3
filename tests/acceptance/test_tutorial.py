"""docs/tutorial.md, word for word: its commands in their order, in a copy of this folder, on ports that are free."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.acceptance.conftest import start
from tests.support import ROOT

COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", (ROOT / "docs" / "tutorial.md").read_text(), re.DOTALL)
    for line in block.splitlines()
    if line.startswith("$ ")
]
TOLD = [
    ("make ask", "Aurora was seen on 117 nights"),
    ("/result/", "premium economy may be booked"),
    ("/stream/", "event: answer.completed"),
    ("ingest papers/", "Collection manuals: what was done"),
    ("-F files=", '"status":"queued"'),
    ("documents?collection", '"collection":"uploads"'),
    ('"collection": "manuals"', '"filename":"meridian-400-user-manual.pdf"'),
    ("/v1/models", '"id":"rag-queue:manuals"'),
    ("/v1/chat/completions", '"url_citation"'),
    ("make key", ":acme:ask:"),
]
"""A part of a command, and what it must tell."""


@pytest.mark.skipif(shutil.which("make") is None or shutil.which("curl") is None, reason="make or curl is missing")
def test_every_command_works_and_tells_what_the_page_says(tmp_path: Path) -> None:
    assert COMMANDS[0] == "make run"  # which is what `start` does
    for name in ("Makefile", "requirements.lock", "app", "worker", "ingest", "data"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "service").mkdir()
    service = start(tmp_path / "service", "--ingest", str(ROOT / "data"))
    try:
        port = str(urlsplit(service.services.http_url).port)
        lines = [f"echo '@@@{number}'; {command}" for number, command in enumerate(COMMANDS[1:], 1)]
        script = "\n".join(lines).replace("localhost:8000", f"localhost:{port}")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            env=dict(service.environment),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        service.stop()
    told = dict(zip(COMMANDS[1:], re.split(r"@@@\d+\n", done.stdout)[1:], strict=True))
    for part, words in TOLD:
        [output] = [output for command, output in told.items() if part in command]
        assert words in output, part
