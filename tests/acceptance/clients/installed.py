"""Where `make clients` puts what it installs, and how a client that is no Python module here is run.

Nothing is installed by a test: what is not there is skipped, with the word that says what would bring it.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.core.settings import Settings
from tests.acceptance.clients.report import Report, Target
from tests.support import ROOT

CACHE = ROOT / ".clients_cache"
HERE = Path(__file__).parent
RUN_SECONDS = 60
"""For all that one client asks; it takes one or two."""


def tool_missing(tool: str) -> str | None:
    """Why a client that needs `tool` can't be run."""
    return None if shutil.which(tool) else f"there is no {tool} here"


def not_installed(path: Path, what: str) -> str | None:
    """Why a client whose install makes `path` can't be run."""
    return None if path.exists() else f"{what} is not installed: make clients"


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's, less what would tell the client another service or key."""
    names = {field.upper() for field in Settings.model_fields}
    kept = {name: value for name, value in os.environ.items() if name not in names and not name.startswith("OPENAI_")}
    return kept | dict(more or {})


def report_of(command: Sequence[str | Path], target: Target, more: Mapping[str, str] | None = None) -> Report:
    """What the client `command` prints, given the target on stdin."""
    done = subprocess.run(
        command, input=target.model_dump_json(), env=environment(more), capture_output=True, text=True,
        timeout=RUN_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Report.model_validate_json(done.stdout)
