"""docs/security.md is held to the tests: what it names is there, and as much is tried as it says."""

import re
import subprocess
import sys
from collections import Counter

from tests.support import ROOT

ROW = re.compile(r"^\| (?P<who>[^|]+) \| (?P<promise>[^|]+) \| (?P<tests>[\d,]+) \| `(?P<file>tests/\S+\.py)` \|$")
TABLE = [row.groupdict() for line in (ROOT / "docs/security.md").read_text().splitlines() if (row := ROW.match(line))]
OF_NO_CLASS = {"__init__.py", "test_table.py"}


def test_every_file_of_attacks_is_in_the_table() -> None:
    ours = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests/security").glob("test_*.py")}
    assert {row["file"] for row in TABLE} >= ours - {f"tests/security/{name}" for name in OF_NO_CLASS}


def test_as_much_is_tried_as_the_table_says() -> None:
    files = sorted({row["file"] for row in TABLE})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = Counter(line.partition("::")[0] for line in listed.splitlines() if "::" in line)
    fewer = {row["file"]: (found[row["file"]], row["tests"]) for row in TABLE if found[row["file"]] < _number(row)}
    assert fewer == {}


def _number(row: dict[str, str]) -> int:
    return int(row["tests"].replace(",", ""))
