"""LiteLLM, in a virtual environment of its own."""

import subprocess
import venv

from tests.acceptance.clients.installed import CACHE, HERE, environment, not_installed, report_of
from tests.acceptance.clients.report import Failure, Report, Target

VERSION = "1.110.2"
FOLDER = CACHE / f"litellm-{VERSION}"
PYTHON = FOLDER / "bin" / "python"
FAILURES = {
    "unknown model": Failure(type="NotFoundError", status=404, code=None),
    "wrong key": Failure(type="AuthenticationError", status=401, code=None),
}
ALONE = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
"""Else it fetches prices when it is imported."""


def missing() -> str | None:
    """Why it can't be run."""
    return not_installed(FOLDER / "installed", f"LiteLLM {VERSION}")


def install() -> None:
    """A minute at first. Raises `CalledProcessError` when it fails."""
    if missing() is None:
        return
    venv.create(FOLDER, with_pip=True)
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"litellm=={VERSION}"]
    subprocess.run(command, env=environment(), check=True)
    (FOLDER / "installed").touch()


def run(target: Target) -> Report:
    """Everything."""
    return report_of([PYTHON, "-I", HERE / "litellm_program.py"], target, ALONE)
