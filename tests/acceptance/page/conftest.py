"""A browser for the tests of the page, and a service to look at."""

import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, sync_playwright

from app.embedded.ports import free_port
from tests.acceptance.conftest import Running, start
from tests.support.browser import ARGUMENTS, MISSING, Visit, chromium, visiting
from tests.support.model_server import ModelServer
from tests.support.pdfs import make_pdf
from tests.support.processes import wait_until

PAGES = [
    "Opening hours. The harbour opens at six in winter and at five in summer.",
    "Care of boats. Every boat is washed with fresh water after rowing.",
    "Lost property. The harbour master keeps what was found for thirty days.",
]
QUESTION = "How is a boat washed after rowing?"
QUOTE = "Every boat is washed with fresh water after rowing."


FOLLOW_UP = "And after a storm?"
STANDALONE = "How is a boat washed after a storm?"
"""What the model makes of it, behind `QUESTION`."""


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, for the tests of this folder: its event loop would be in the way of others'."""
    if (path := chromium()) is None:
        pytest.skip(MISSING)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield launched
        launched.close()


def write_documents(folder: Path) -> Path:
    """A folder with a document that the tests know."""
    folder.mkdir(exist_ok=True)
    make_pdf(folder / "handbook.pdf", PAGES, title="Handbook")
    return folder


@pytest.fixture(scope="package")
def model() -> Iterator[ModelServer]:
    """A model that writes a word every few milliseconds."""
    with ModelServer(knobs="gap=5ms", rewrites={FOLLOW_UP: STANDALONE}) as server:
        yield server


@pytest.fixture(scope="package")
def service(browser: Browser, model: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service without keys, with a model and one document. Who kills it starts one of their own."""
    folder = tmp_path_factory.mktemp("page")
    started = start(
        folder,
        "--ingest",
        str(write_documents(folder / "pdfs")),
        OPENAI_API_KEY="x",
        OPENAI_BASE_URL=model.url,
        CHAT_MODEL="test",
    )
    yield started
    assert started.stop() == 0, started.log.read_text()


@pytest.fixture
def visit(browser: Browser, service: Running) -> Iterator[Visit]:
    """Somebody at a desk, who must see no error."""
    with visiting(browser, service.services.http_url) as somebody:
        yield somebody


@dataclass
class Site:
    """A service that may be killed, and started again at the same address with what was on disk."""

    folder: Path
    variables: dict[str, str]
    running: Running

    @property
    def url(self) -> str:
        return self.running.services.http_url

    def kill(self) -> None:
        """All its processes, as when the power fails."""
        processes = psutil.Process(self.running.process.pid).children(recursive=True)
        self.running.stop(signal.SIGKILL)
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes)

    def start(self) -> None:
        self.running = start(self.folder, **self.variables)

    @property
    def valkey(self) -> int:
        """The process of its Valkey."""

        def found() -> int | None:
            children = psutil.Process(self.running.process.pid).children()
            return next((child.pid for child in children if "valkey" in " ".join(child.cmdline())), None)

        return wait_until(found, "there is a Valkey")


LONG_ANSWER = "test-gap=10ms-tokens=400-hold=forever"
"""Some four seconds, and more lines than a small window has. A question with "forever" is never answered."""


@pytest.fixture(scope="package")
def site(browser: Browser, model: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service with long answers, one at a time."""
    folder = tmp_path_factory.mktemp("site")
    variables = {
        "PORT": str(free_port(0)),
        "OPENAI_API_KEY": "x",
        "OPENAI_BASE_URL": model.url,
        "CHAT_MODEL": LONG_ANSWER,
        "WORKER_CONCURRENCY": "1",
    }
    found = Site(folder, variables, start(folder, "--ingest", str(write_documents(folder / "pdfs")), **variables))
    yield found
    assert found.running.stop() == 0, found.running.log.read_text()
