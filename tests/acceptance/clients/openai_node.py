"""The official package for JavaScript, in Node."""

import subprocess

from tests.acceptance.clients.installed import CACHE, HERE, not_installed, report_of, tool_missing
from tests.acceptance.clients.report import Report, Target

FOLDER = CACHE / "node"
PACKAGE = FOLDER / "node_modules" / "openai"


def missing() -> str | None:
    """Why it can't be run."""
    return tool_missing("node") or not_installed(PACKAGE, "openai for JavaScript")


def install() -> None:
    """Raises `OSError` without npm, `CalledProcessError` when it fails."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "package.json").write_bytes((HERE / "node" / "package.json").read_bytes())
    options = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--fetch-retries=1"]
    subprocess.run(["npm", "install", *options], cwd=FOLDER, check=True)


def run(target: Target) -> Report:
    """Everything."""
    return report_of(["node", HERE / "node" / "main.mjs", PACKAGE], target)
