"""A process does not go through all that it has imported, neither again and again nor at its end."""

import subprocess
import sys

import pytest

from tests.support import ROOT

COMMANDS = sorted(
    path.relative_to(ROOT).as_posix()
    for part in ("app", "worker", "ingest")
    for path in (ROOT / part).rglob("__main__.py")
)


def test_what_stands_at_the_end_is_gone_through_no_more() -> None:
    code = (
        "import gc\n"
        "from app.core.garbage import THRESHOLD, sparing\n"
        "print(sparing(lambda: 7), gc.get_threshold()[0] == THRESHOLD, len(gc.get_objects()) < gc.get_freeze_count())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert said.split() == ["7", "True", "True"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_runs_so(command: str) -> None:
    assert "sparing(main)" in (ROOT / command).read_text()
