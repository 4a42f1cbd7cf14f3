"""A browser for the tests of the page, and a service to look at."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.acceptance.conftest import Running, start
from tests.support.browser import ARGUMENTS, MISSING, Visit, chromium, visiting
from tests.support.model_server import ModelServer
from tests.support.pdfs import make_pdf

PAGES = [
    "Opening hours. The harbour opens at six in winter and at five in summer.",
    "Care of boats. Every boat is washed with fresh water after rowing.",
    "Lost property. The harbour master keeps what was found for thirty days.",
]
QUESTION = "How is a boat washed after rowing?"
QUOTE = "Every boat is washed with fresh water after rowing."


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
    with ModelServer(knobs="gap=5ms") as server:
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
