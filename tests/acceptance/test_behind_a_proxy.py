"""`make run` and `make ask` on a machine whose environment names a proxy, and no exception for loopback."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.acceptance.conftest import Running, documents, start

DEAD = {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "ALL_PROXY": "http://127.0.0.1:9"}
SOCKS = {"http_proxy": "http://127.0.0.1:9", "all_proxy": "socks5://127.0.0.1:9"}
"""As programs for proxies set them; httpx, left alone, can't even be made then."""


@pytest.fixture(params=[DEAD, SOCKS], ids=["dead", "socks"])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    variables: Mapping[str, str] = request.param
    started = start(tmp_path, "--ingest", str(documents(tmp_path / "pdfs")), **variables)
    yield started
    assert started.stop() == 0, started.log.read_text()


def test_the_service_starts_indexes_and_answers(service: Running) -> None:
    answer = service.command(sys.executable, "-m", "app", "ask", "How is a boat washed?")
    assert answer.returncode == 0, answer.stderr
    assert "handbook.pdf, page 2" in answer.stdout
    done = service.command(sys.executable, "-m", "ingest", str(documents(service.log.parent / "pdfs")))
    assert done.returncode == 0, done.stderr
