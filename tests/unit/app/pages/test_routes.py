"""An answer's HTML over HTTP: of the tenant's own job, once there is an answer."""

from collections.abc import Iterator

import pytest
from fakeredis import FakeAsyncRedis, FakeRedis, FakeServer
from fastapi.testclient import TestClient
from rq.job import Job

from app.core.contract import AnswerResult, SearchResult, Timings, Usage
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from app.main import create_app
from tests.support.credentials import LOCAL_URL, api_key, bearer
from tests.support.problems import assert_problem

KEYS = {name: api_key(name, tenant=tenant) for name, tenant in (("anna", "acme"), ("otto", "other"))}
RESULT = AnswerResult(
    answer="**Six** <script>alert(1)</script> [1].",
    mode="extractive",
    grounded=False,
    citations=(),
    model=None,
    usage=Usage(),
    timings_ms=Timings(queued=1, retrieval=2, generation=3, total=6),
)


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def client(server: FakeServer) -> Iterator[TestClient]:
    entries = ",".join(entry for _, entry in KEYS.values())
    app = create_app(
        Settings(qdrant_url="http://127.0.0.1:9", api_keys=entries), valkey=FakeAsyncRedis(server=server)
    )
    with TestClient(app, base_url=LOCAL_URL, raise_server_exceptions=False) as client:
        yield client


def asked(client: TestClient) -> str:
    accepted = client.post("/chat", json={"query": "When?"}, headers=bearer(KEYS["anna"][0]))
    return str(accepted.json()["job_id"])


def end(server: FakeServer, job_id: str, outcome: AnswerResult | SearchResult) -> None:
    """Write what a worker writes at a job's end."""
    valkey = FakeRedis(server=server)
    job = Job.fetch(job_id, connection=valkey, serializer=PlainSerializer)
    with valkey.pipeline() as pipeline:
        job._result = outcome.model_dump(mode="json")
        job._handle_success(60, pipeline)
        pipeline.execute()


def html(client: TestClient, job_id: str, name: str = "anna") -> tuple[int, str]:
    answer = client.get(f"/page/answers/{job_id}", headers=bearer(KEYS[name][0]))
    return answer.status_code, answer.text


def test_an_answer_is_harmless_html_which_would_run_nothing_even_if_it_were_not(
    client: TestClient, server: FakeServer
) -> None:
    job_id = asked(client)
    assert html(client, job_id) == (204, "")
    end(server, job_id, RESULT)
    status, text = html(client, job_id)
    assert (status, text) == (200, "<p><strong>Six</strong> &lt;script&gt;alert(1)&lt;/script&gt; [1].</p>\n")
    headers = client.get(f"/page/answers/{job_id}", headers=bearer(KEYS["anna"][0])).headers
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["cache-control"] == "no-store"


def test_another_tenants_answer_does_not_exist(client: TestClient, server: FakeServer) -> None:
    job_id = asked(client)
    end(server, job_id, RESULT)
    answer = client.get(f"/page/answers/{job_id}", headers=bearer(KEYS["otto"][0]))
    assert_problem(answer, 404, "job-not-found")
    assert client.get(f"/page/answers/{job_id}").status_code == 401
