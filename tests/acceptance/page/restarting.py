"""A service that goes away and comes back at the same address, while somebody looks at its page."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.conftest import Running, start


@dataclass
class Restarting:
    """The service as it is now, in a folder of its own."""

    folder: Path
    running: Running

    @property
    def url(self) -> str:
        return self.running.services.http_url

    def stop(self) -> None:
        assert self.running.stop() == 0, self.running.log.read_text()

    def start(self, **variables: str) -> None:
        self.running = start(self.folder, PORT=self.url.rpartition(":")[2], **variables)


@contextmanager
def restarting(folder: Path, **variables: str) -> Iterator[Restarting]:
    """Started with these settings; stopped at the end, whatever has become of it."""
    service = Restarting(folder, start(folder, **variables))
    try:
        yield service
    finally:
        if service.running.process.poll() is None:
            service.stop()
