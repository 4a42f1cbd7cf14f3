"""What a worker says at its start of the models that it is to ask, and what `/readyz` shows of it."""

import threading
from collections.abc import Iterator
from typing import Any, cast

import httpx
import pytest
from pydantic import SecretStr
from redis import Redis

from app.core import model_findings
from app.core.contract import INGEST_QUEUE, PAGE_QUEUE, QUERY_QUEUE, WEBHOOK_QUEUE
from app.core.logging import configure_logging
from app.core.model_findings import MESSAGES, ModelRole, Problem
from app.core.settings import LogFormat, Settings
from app.embedded.ports import free_port
from tests.integration.worker.test_worker import working
from tests.support.api import serving
from tests.support.model_server import ModelServer
from tests.support.models_manners import MODELS_MANNERS
from tests.support.processes import wait_until
from worker.model import check_at_start, model_check
from worker.model.check_at_start import check_models
from worker.model.model_check import check, servers_of

NAMES_WRONG, KEY_WRONG, AWAY = Problem.UNKNOWN_MODEL, Problem.KEY_REFUSED, Problem.UNREACHABLE

TABLE: dict[str, Problem | None] = {
    **dict.fromkeys(("ours", "latest", "gemini", "upper", "bare_list", "bom", "llamacpp")),
    **dict.fromkeys(("empty", "null", "not_names", "names_elsewhere", "html", "nothing", "number", "error_in_200")),
    **dict.fromkeys(("not_found", "no_method", "broken", "not_implemented", "slow_down", "moved", "scopes")),
    "others": NAMES_WRONG,
    "many_others": NAMES_WRONG,
    "hostile_names": NAMES_WRONG,
    "no_key": KEY_WRONG,
    "not_allowed": KEY_WRONG,
    "gateway": AWAY,
    "busy": AWAY,
    "hang": AWAY,
    "breaks_off": AWAY,
}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_check, "TIMEOUT_SECONDS", 0.5)


def settings_for(url: str, **more: Any) -> Settings:
    named: dict[str, Any] = {"openai_base_url": url, "chat_model": "test", "embedding_model": "embedder"}
    return Settings(_env_file=None, **(named | more))


def root_of(model: ModelServer) -> str:
    return model.url.removesuffix("/v1")


def test_every_manner_is_in_the_table() -> None:
    assert set(TABLE) == set(MODELS_MANNERS)


@pytest.mark.parametrize("name", TABLE)
def test_a_manner_is_a_fault_or_it_is_not(model: ModelServer, name: str) -> None:
    settings = settings_for(f"{root_of(model)}/as/{name}/v1")
    [server] = servers_of(settings)
    found = check(server, settings)
    wanted = dict.fromkeys(ModelRole, TABLE[name]) if TABLE[name] else {}
    assert {each.role: each.problem for each in found} == wanted
    for each in found:
        assert each.words.isprintable()
        assert len(each.words) < 700


def test_a_wrong_name_is_told_with_a_handful_of_those_there_are(model: ModelServer) -> None:
    settings = settings_for(f"{root_of(model)}/as/many_others/v1", chat_model="model-39x", embedding_model=None)
    [finding] = check(servers_of(settings)[0], settings)
    assert "model-39x (CHAT_MODEL)" in finding.words
    assert "model-39," in finding.words
    assert finding.words.count("model-") == 1 + model_check.NAMES_SHOWN


@pytest.mark.parametrize("name", ["test-ttft=1s", "gpt-4.1"])
def test_a_model_that_is_not_listed_but_found_by_its_name_is_there(model: ModelServer, name: str) -> None:
    settings = settings_for(model.url, chat_model=name, embedding_model=None)
    assert check(servers_of(settings)[0], settings) == []


def test_a_base_url_without_v1_is_told_with_the_right_one(model: ModelServer) -> None:
    settings = settings_for(root_of(model), embedding_model=None)
    [finding] = check(servers_of(settings)[0], settings)
    assert finding.problem is Problem.NO_V1
    assert finding.words.endswith(model.url)


@pytest.mark.parametrize("name", ["ours", "not_found"])
def test_another_base_url_is_no_fault_where_there_is_nothing_below_v1(model: ModelServer, name: str) -> None:
    settings = settings_for(f"{root_of(model)}/as/{name}/v2")
    assert check(servers_of(settings)[0], settings) == []


def test_a_key_that_is_refused_is_found_behind_the_right_address() -> None:
    with ModelServer(api_key="right") as server:
        for key, wanted in (("wrong", [Problem.KEY_REFUSED]), ("right", [])):
            settings = settings_for(server.url, openai_api_key=SecretStr(key), embedding_model=None)
            assert [each.problem for each in check(servers_of(settings)[0], settings)] == wanted
        settings = settings_for(root_of(server), openai_api_key=SecretStr("wrong"), embedding_model=None)
        assert [each.problem for each in check(servers_of(settings)[0], settings)] == [Problem.NO_V1]


def test_nobody_who_listens_is_found() -> None:
    settings = settings_for(f"http://127.0.0.1:{free_port(0)}/v1")
    assert {each.problem for each in check(servers_of(settings)[0], settings)} == {Problem.UNREACHABLE}


def test_models_of_one_server_are_asked_for_at_once_and_of_two_each() -> None:
    assert [server.models for server in servers_of(settings_for("http://h/v1"))] == [
        {ModelRole.CHAT: "test", ModelRole.EMBEDDING: "embedder"}
    ]
    two = servers_of(settings_for("http://h/v1", embedding_base_url="http://e/v1"))
    assert [(server.url, list(server.models)) for server in two] == [
        ("http://h/v1", [ModelRole.CHAT]),
        ("http://e/v1", [ModelRole.EMBEDDING]),
    ]


@pytest.mark.parametrize(
    "settings",
    [
        Settings(_env_file=None),
        Settings(_env_file=None, chat_model="anthropic:m", embedding_model="cohere:m"),
    ],
)
def test_what_is_not_asked_over_openais_protocol_is_not_checked(settings: Settings) -> None:
    assert servers_of(settings) == []


@pytest.fixture
def ended() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def start(settings: Settings, valkey: Redis, ended: threading.Event, *queues: str) -> threading.Thread:
    thread = threading.Thread(target=check_models, args=(settings, valkey, queues, ended), daemon=True)
    thread.start()
    return thread


def kept(valkey: Redis) -> model_findings.Findings:
    return model_findings.read(cast(bytes, valkey.get(model_findings.KEY) or b"{}"))


def test_what_is_wrong_is_said_in_one_line_with_the_address_and_without_credentials(
    model: ModelServer, valkey: Redis, ended: threading.Event, capfd: pytest.CaptureFixture[str]
) -> None:
    configure_logging(Settings(_env_file=None, log_level="debug", log_format=LogFormat.JSON))
    address = f"{root_of(model)}/as/others/v1".replace("http://", "")
    settings = settings_for(f"http://me:PASSWORD@{address}", openai_api_key=SecretStr("sk-SECRET"))
    try:
        start(settings, valkey, ended, QUERY_QUEUE)
        wait_until(lambda: valkey.exists(model_findings.KEY), "it is kept")
    finally:
        ended.set()
        configure_logging(Settings(_env_file=None))
    said = "".join(capfd.readouterr())
    [line] = [line for line in said.splitlines() if "model_check" in line]
    assert f"http://{address}" in line
    for word in ("test (CHAT_MODEL)", "embedder (EMBEDDING_MODEL)", "alpha"):
        assert word in line
    for secret in ("PASSWORD", "sk-SECRET", "me:"):
        assert secret not in said
    assert b"as/" not in cast(bytes, valkey.get(model_findings.KEY))


def test_it_expires_is_renewed_and_is_cleared_when_all_is_well(
    valkey: Redis, ended: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_at_start, "AGAIN_SECONDS", 0.01)
    port = free_port(0)
    settings = settings_for(f"http://127.0.0.1:{port}/v1", embedding_model=None)
    thread = start(settings, valkey, ended, QUERY_QUEUE)
    wait_until(lambda: kept(valkey) == {ModelRole.CHAT: Problem.UNREACHABLE}, "it is kept")
    assert 0 < valkey.ttl(model_findings.KEY) <= model_findings.EXPIRES_SECONDS
    valkey.delete(model_findings.KEY)
    wait_until(lambda: valkey.exists(model_findings.KEY), "it is renewed")
    with ModelServer(port=port):
        thread.join(10)
    assert not thread.is_alive()
    assert not valkey.exists(model_findings.KEY)


def test_a_worker_that_finds_nothing_clears_what_stood_there(
    model: ModelServer, valkey: Redis, ended: threading.Event
) -> None:
    valkey.set(model_findings.KEY, model_findings.written({ModelRole.CHAT: Problem.NO_V1}))
    check_models(settings_for(f"{root_of(model)}/as/ours/v1"), valkey, [QUERY_QUEUE], ended)
    assert not valkey.exists(model_findings.KEY)


@pytest.mark.parametrize(
    ("queue", "roles"),
    [
        (QUERY_QUEUE, set(ModelRole)),
        (INGEST_QUEUE, {ModelRole.EMBEDDING}),
        (WEBHOOK_QUEUE, set()),
        (PAGE_QUEUE, set()),
    ],
)
def test_only_what_the_queues_jobs_need_is_asked_for(
    model: ModelServer, valkey: Redis, ended: threading.Event, queue: str, roles: set[ModelRole]
) -> None:
    thread = start(settings_for(f"{root_of(model)}/as/others/v1"), valkey, ended, queue)
    if roles:
        wait_until(lambda: valkey.exists(model_findings.KEY), "it is kept")
    ended.set()
    thread.join(10)
    assert set(kept(valkey)) == roles


@pytest.mark.parametrize("manner", ["others", "hang"])
def test_a_worker_works_beside_it_and_readyz_shows_it_and_stays_ready(
    valkey: Redis, valkey_url: str, qdrant_url: str, handbook: str, model: ModelServer, manner: str
) -> None:
    settings = Settings(
        _env_file=None,
        redis_url=SecretStr(valkey_url),
        qdrant_url=qdrant_url,
        qdrant_collection=handbook,
        openai_base_url=f"{root_of(model)}/as/{manner}/v1",
        chat_model="test",
    )
    with serving(settings) as url, httpx.Client(base_url=url) as client:
        with working(settings):
            ready = wait_until(
                lambda: (r := client.get("/readyz").json()).get("warnings") and r, "the finding is shown"
            )
            assert client.get("/readyz").status_code == 200
            assert ready["status"] == "ok"
            problem = TABLE[manner]
            assert problem is not None
            assert ready["warnings"] == {"chat_model": MESSAGES[problem]}
            found = client.post("/search", json={"query": "harbour"}, headers={"Prefer": "wait=20"}).json()
            assert found["result"]["hits"]
        valkey.delete(model_findings.KEY)
        assert "warnings" not in client.get("/readyz").json()
