"""The official package for Go: a program, built once by `make clients`."""

import subprocess
from hashlib import sha256
from pathlib import Path

from tests.acceptance.clients.installed import CACHE, HERE, environment, not_installed, report_of, tool_missing
from tests.acceptance.clients.report import Failure, Report, Target

FAILURES = {
    "unknown model": Failure(type="*apierror.Error", status=404, code="model_not_found"),
    "wrong key": Failure(type="*apierror.Error", status=401, code="invalid_api_key"),
}
"""`openai.Error` is this type's name."""
SOURCE = HERE / "go"
MODULES = CACHE / "go" / "modules"


def program() -> Path:
    """Where the program of this source is, once it is built."""
    source = b"".join(file.read_bytes() for file in sorted(SOURCE.iterdir()))
    return CACHE / "go" / f"client-{sha256(source).hexdigest()[:16]}"


def missing() -> str | None:
    """Why it can't be run."""
    return tool_missing("go") or not_installed(program(), "openai for Go")


def install() -> None:
    """Two minutes at first. Raises `OSError` without go, `CalledProcessError` when it fails."""
    MODULES.mkdir(parents=True, exist_ok=True)
    options = {"GOMODCACHE": str(MODULES), "GOFLAGS": "-modcacherw -mod=readonly", "GOTOOLCHAIN": "local"}
    command = ["go", "build", "-buildvcs=false", "-o", str(program()), "."]
    subprocess.run(command, cwd=SOURCE, env=environment(options), check=True)


def run(target: Target) -> Report:
    """Everything."""
    return report_of([program()], target)
