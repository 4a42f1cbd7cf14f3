"""Debian's Prometheus and its promtool, which check the alerts and ask the real processes.

python -m tests.support.prometheus    fetches them where apt-get can; unpacked beside the packages of Python, and not
                                      installed, since Debian's package starts a server
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support import ROOT

FOLDER = ROOT / ".venv" / "prometheus"
PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), str(FOLDER / "usr" / "bin")])
MISSING = "there is no Prometheus: apt-get install prometheus"


def tool(name: str) -> str | None:
    """The path of `prometheus` or `promtool`, where there is one."""
    return shutil.which(name, path=PATH)


def fetch() -> int:
    """Exit code: always 0, since tests that need it say that it is missing."""
    if tool("prometheus") is None and shutil.which("apt-get") and shutil.which("dpkg-deb"):
        if os.geteuid() == 0:
            _run("apt-get", "-qq", "update")
        with TemporaryDirectory() as folder:
            _run("apt-get", "-qq", "download", "prometheus", folder=folder)
            for package in Path(folder).iterdir():
                FOLDER.mkdir(parents=True, exist_ok=True)
                _run("dpkg-deb", "-x", str(package), str(FOLDER))
    sys.stdout.write(f"tests of the alerts: {tool('prometheus') or MISSING}\n")
    return 0


def _run(*command: str, folder: str | None = None) -> None:
    subprocess.run(command, check=False, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(fetch())
