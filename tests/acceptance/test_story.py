"""`make story` tells what docs/operating.md shows of it."""

import json
import re
import subprocess
import sys
from itertools import takewhile

from tests.support import ROOT

SPAN = re.compile(r"^ *\d+ +\d+\.\d( +)(\S.*?)(?:  +(\S.*))?$")
"""When it began, how long it took, its depth as spaces, its name, and what is said of it."""


def shape(story: str) -> tuple[list[tuple[str, str, str]], list[str]]:
    """The steps with their depth and what is said of them, and the events of the log, without what changes."""
    text = story.strip("\n").splitlines()
    steps = [SPAN.match(line) for line in takewhile(lambda line: not line.startswith(("{", "`")), text[1:]) if line]
    assert all(steps)
    said = [(str(step[1]), str(step[2]), re.sub(r"\d+", "N", step[3] or "")) for step in steps if step is not None]
    return said, [json.loads(line)["event"] for line in text if line.startswith("{")]


def test_the_story_is_as_it_is_told() -> None:
    page = (ROOT / "docs" / "operating.md").read_text()
    told = page.partition("### A question's story")[2].partition("\n## ")[0].partition("```text\n")[2]
    command = [sys.executable, "-m", "benchmarks.story"]
    done = subprocess.run(command, env=None, cwd=ROOT, capture_output=True, text=True, check=True)
    steps, events = shape(done.stdout)
    assert (steps, events) == shape(told)
    assert [name for _, name, _ in steps if name == "process rag_queries"] == ["process rag_queries"] * 2
    assert "job_failed" in events
