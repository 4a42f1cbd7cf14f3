"""The service that the clients are run against: with keys, a model, embeddings and the documents of `library`."""

from collections.abc import Iterator

import pytest

from tests.acceptance.clients import browser, library
from tests.acceptance.clients.client import Client, Seen
from tests.acceptance.clients.report import Report, Target
from tests.acceptance.conftest import start
from tests.support.credentials import api_key
from tests.support.model_server import ModelServer

EMBEDDING_MODEL = "text-embedding-3-small"


@pytest.fixture(scope="package")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The service, running."""
    folder = tmp_path_factory.mktemp("service")
    key, entry = api_key("client")
    with ModelServer(knobs="gap=1ms") as model, browser.PAGE as page:
        service = start(
            folder,
            "--ingest",
            str(library.write(folder / "pdfs")),
            API_KEYS=entry,
            CORS_ORIGINS=page.url,
            OPENAI_API_KEY="x",
            OPENAI_BASE_URL=model.url,
            CHAT_MODEL=f"test-hold={library.HELD_WORD}",
            EMBEDDING_MODEL=EMBEDDING_MODEL,
        )
        try:
            yield Target(
                base_url=f"{service.services.http_url}/v1",
                key=key,
                wrong_key=api_key("stranger")[0],
                model="rag-queue",
                unknown_model="rag-queue:nope",
                question=library.QUESTION,
                held_question=library.HELD_QUESTION,
                embedding_model=EMBEDDING_MODEL,
                texts=("The anchor.", "Wärme, 湾"),
            )
        finally:
            assert service.stop() == 0, service.log.read_text()


@pytest.fixture(scope="package")
def reports() -> dict[str, Report | Exception]:
    """What each client has reported, or why it could not, by its name: it is run once for all facts."""
    return {}


@pytest.fixture
def seen(request: pytest.FixtureRequest, reports: dict[str, Report | Exception]) -> Seen:
    """What the client of this parameter has seen."""
    client: Client = request.param
    if reason := client.missing():
        pytest.skip(reason)
    target: Target = request.getfixturevalue("target")
    if client.name not in reports:
        reports[client.name] = _run(client, target)
    report = reports[client.name]
    if isinstance(report, Exception):
        raise report
    return Seen(client, target, report)


def _run(client: Client, target: Target) -> Report | Exception:
    try:
        return client.run(target)
    except Exception as error:  # raised for every fact
        return error
