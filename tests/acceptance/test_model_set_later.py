"""README's second step: a model is set after the first run, and the same command is run again."""

import random
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import Running, ask, documents, start
from tests.support.model_server import ModelServer
from tests.support.processes import wait_until

WINTER = "When does the harbour open in winter?"
KILLS = 10


def retrieval(client: httpx.Client) -> str:
    """How the question is looked for; it is answered from its page whatever the way."""
    outcome = ask(client, WINTER)
    assert outcome["status"] == "finished", outcome
    result: dict[str, Any] = outcome["result"]
    assert [(citation["filename"], citation["page"]) for citation in result["citations"]] == [("handbook.pdf", 1)]
    return str(result["retrieval"])


def late(client: httpx.Client) -> bool:
    """Whether the file that was uploaded late is found."""
    sent = client.post("/search", json={"query": "lighthouse"}).json()
    wait_until(lambda: client.get(sent["urls"]["status"]).json()["status"] == "finished", "a search ends")
    return "late.txt" in client.get(sent["urls"]["result"]).text


def test_the_next_question_is_answered_and_soon_by_meaning(tmp_path: Path) -> None:
    """What was indexed by the first run, and what is uploaded meanwhile, is found by both."""
    folder = documents(tmp_path / "pdfs")
    first = start(tmp_path, "--ingest", str(folder))
    with first.client() as client:
        assert retrieval(client) == "words"
        assert "warnings" not in client.get("/readyz").json()
    assert first.stop() == 0
    with ModelServer() as model:
        variables = {"OPENAI_BASE_URL": model.url, "CHAT_MODEL": "test", "EMBEDDING_MODEL": "test-ttft=700ms"}
        second = start(tmp_path, "--ingest", str(folder), **variables)
        with second.client() as client:
            assert retrieval(client) == "words"
            sent = client.post("/documents", files={"file": ("late.txt", b"The late page is about a lighthouse.")})
            assert sent.status_code == 202, sent.text
            wait_until(lambda: retrieval(client) == "hybrid", "questions are answered by meaning")

            wait_until(lambda: late(client), "the upload is found")
            wait_until(lambda: "warnings" not in client.get("/readyz").json(), "nothing is wrong any more")
            listed = client.get("/documents").json()
            assert {one["status"] for one in listed["documents"]} == {"indexed"}
        again = second.command(sys.executable, "-m", "ingest", "--reembed")
        assert (again.returncode, "nothing to do" in again.stderr) == (0, True), again.stderr
        assert second.stop() == 0


def test_a_base_url_alone_is_enough(tmp_path: Path) -> None:
    """README's second step as it stands there: the service asks which models there are, chooses, and says so once."""
    folder = documents(tmp_path / "pdfs")
    first = start(tmp_path, "--ingest", str(folder), EMBEDDING_MODEL="")
    assert first.stop() == 0
    with ModelServer() as model:
        variables = {"OPENAI_BASE_URL": model.url, "CHAT_MODEL": "test", "EMBEDDING_MODEL": ""}
        second = start(tmp_path, "--ingest", str(folder), **variables)
        with second.client() as client:
            wait_until(lambda: retrieval(client) == "hybrid", "questions are answered by meaning")
            wait_until(lambda: "warnings" not in client.get("/readyz").json(), "nothing is wrong any more")
            names = [one["id"] for one in client.get("/v1/models").json()["data"]]
            assert names == ["rag-queue", "text-embedding-3-small"]
            sent = client.post("/documents", files={"file": ("late.txt", b"The late page is about a lighthouse.")})
            assert sent.status_code == 202, sent.text
            wait_until(lambda: late(client), "the upload is found")
        assert second.stop() == 0
        said = [line for line in second.log.read_text().splitlines() if "embedding_model_chosen" in line]
        by_the_worker = [line for line in said if "chosen before" not in line and "the index has" not in line]
        assert len(by_the_worker) == 1, said
        assert "text-embedding-3-small" in by_the_worker[0]
        third = start(tmp_path, **variables)
        with third.client() as client:
            assert retrieval(client) == "hybrid"
        assert third.stop() == 0


def test_a_server_that_refuses_the_key_leaves_words(tmp_path: Path) -> None:
    """What is indexed is searched, and log and `/readyz` say what to set."""
    folder = documents(tmp_path / "pdfs")
    with ModelServer(knobs="error403", api_key="right") as model:
        variables = {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "wrong", "EMBEDDING_MODEL": ""}
        service = start(tmp_path, "--ingest", str(folder), **variables)
        with service.client() as client:
            sent = client.post("/search", json={"query": WINTER}, headers={"Prefer": "wait=20"}).json()
            assert sent["result"]["retrieval"] == "words"
            assert "embedding_model" in client.get("/readyz").json()["warnings"]
        assert service.stop() == 0
        assert "embedding_model_not_chosen" in service.log.read_text()


@pytest.fixture
def large(tmp_path: Path) -> Running:
    """A service without a model, with more documents than are re-embedded without being asked."""
    folder = documents(tmp_path / "pdfs")
    lines = "\n".join(f"Berth {n} is for boats of {n % 9 + 3} metres." * 8 for n in range(400))
    for n in range(12):
        (folder / f"berths-{n}.txt").write_text(f"Harbour {n}.\n{lines}")
    return start(tmp_path, "--ingest", str(folder))


def test_no_question_fails_while_a_large_index_is_re_embedded_and_that_is_killed(
    large: Running, tmp_path: Path
) -> None:
    """Ten times; `/readyz` and each answer say by what is searched meanwhile, and in the end all is."""
    assert large.stop() == 0
    with ModelServer() as model:
        variables = {"OPENAI_BASE_URL": model.url, "CHAT_MODEL": "test", "EMBEDDING_MODEL": "test-ttft=60ms"}
        service = start(tmp_path, **variables)
        ended, ways, failures = threading.Event(), [], []

        def question() -> None:
            with service.client() as client:
                while not ended.is_set():
                    try:
                        ways.append(retrieval(client))
                    except Exception as error:  # each is a failure of the fact
                        failures.append(repr(error))

        asking = [threading.Thread(target=question) for _ in range(2)]
        for thread in asking:
            thread.start()
        try:
            with service.client() as client:

                def warned() -> bool:
                    return "index_of_another_model" in client.get("/readyz").json().get("warnings", {})

                wait_until(warned, "/readyz says what is missing")
            delays = [random.uniform(0.5, 2.5) for _ in range(KILLS)]
            for delay in delays:
                service.command("timeout", "-s", "KILL", f"{delay}", sys.executable, "-m", "ingest", "--reembed")
            during = set(ways)
            done = service.command(sys.executable, "-m", "ingest", "--reembed")
            assert done.returncode == 0, done.stderr
            seen = len(ways)
            wait_until(lambda: "hybrid" in ways[seen:], "questions are answered by meaning")
        finally:
            ended.set()
            for thread in asking:
                thread.join()
        assert not failures, failures[:3]
        assert "words" in during
        assert service.stop() == 0
