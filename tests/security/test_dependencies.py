"""What we install: no known vulnerability in it, and a bill of materials that names all of it."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT

LOCK = ROOT / "requirements.lock"
LOCKED = dict(re.findall(r"^([a-z0-9._-]+)==([^ ;]+)", LOCK.read_text(), re.MULTILINE))
ACCEPTED: dict[str, str] = {}
"""Advisories that do not concern us, by id, each with the reason."""


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-W", "ignore", "-m", *command], cwd=ROOT, capture_output=True, text=True)


def advisories(packages: list[Any]) -> dict[str, str]:
    """Which package each known advisory is of, by its id."""
    return {advisory["id"]: package["name"] for package in packages for advisory in package.get("vulns", ())}


def test_no_advisory_is_known_of_what_is_installed() -> None:
    options = ("--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json")
    done = run("pip_audit", *options, "--requirement", str(LOCK))
    if not done.stdout.startswith("{"):
        pytest.skip("no advisories could be asked for: the package index is out of reach")
    packages = json.loads(done.stdout)["dependencies"]
    found = advisories(packages)
    assert {name: where for name, where in found.items() if name not in ACCEPTED} == {}
    assert not set(ACCEPTED) - set(found)
    if not any("vulns" in package for package in packages):
        pytest.skip("no advisories could be asked for: the package index here publishes none")


def test_an_advisory_is_read_from_the_audits_report() -> None:
    report = [{"name": "sound", "vulns": []}, {"name": "unknown", "skip_reason": "-"}]
    assert advisories([*report, {"name": "weak", "vulns": [{"id": "PYSEC-1"}]}]) == {"PYSEC-1": "weak"}


def test_the_bill_of_materials_names_every_package_with_its_version_and_hashes(tmp_path: Path) -> None:
    options = ("requirements", str(LOCK), "--pyproject", "pyproject.toml", "--output-reproducible")
    done = run("cyclonedx_py", *options, "--output-file", str(tmp_path / "bom.json"))
    assert done.returncode == 0, done.stderr
    bill = json.loads((tmp_path / "bom.json").read_text())
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "rag-queue")
    assert {part["name"]: part["version"] for part in bill["components"]} == LOCKED
    assert all(part["externalReferences"][0]["hashes"] for part in bill["components"])


def test_the_commands_are_those_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert "pip-audit --disable-pip --require-hashes -r requirements.lock" in makefile
    assert "cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --output-reproducible" in makefile
