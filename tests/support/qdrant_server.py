"""The embedded Qdrant as a real process, for tests and benchmarks."""

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from tests.support import ROOT

START_SECONDS = 20


class QdrantServer:
    """A child process that serves `data_dir` on a free port; leaving the context ends it."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.process = subprocess.Popen(
            command(data_dir), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert self.process.stdout is not None
        self.url = str(json.loads(self.process.stdout.readline())["url"])

    def kill(self) -> None:
        """End the process without any warning."""
        self.process.kill()
        self.process.communicate()

    def terminate(self) -> tuple[int, str, str]:
        """Ask the process to end; gives its exit code, and what it still wrote to stdout and stderr."""
        self.process.terminate()
        out, err = self.process.communicate(timeout=START_SECONDS)
        return self.process.returncode, out, err

    def __enter__(self) -> "QdrantServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.returncode is None:
            self.kill()


def command(data_dir: Path, port: int = 0) -> list[str]:
    """The command line of a server."""
    return [sys.executable, "-m", "app.embedded.qdrant", "--data-dir", str(data_dir), "--port", str(port)]


def run_to_end(data_dir: Path, port: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a server that is expected to give up."""
    return subprocess.run(
        command(data_dir, port), capture_output=True, text=True, timeout=START_SECONDS, cwd=ROOT, check=False
    )
