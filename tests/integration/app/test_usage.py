"""GET /usage, and keys that have a budget of tokens: over HTTP, with a real Valkey and a real worker."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
from openai import OpenAI, RateLimitError
from pydantic import SecretStr
from redis import Redis

from app.auth.principals import Role
from app.auth.sessions import COOKIE
from app.core.queue.usage import spent_keys, tenants_key, usage_key
from app.core.settings import Settings
from app.jobs import usage
from tests.integration.worker.test_worker import with_model, work
from tests.support.api import serving
from tests.support.credentials import SECRET, api_key, bearer, token
from tests.support.model_server import ModelServer
from worker.resources import end

KEYS = {
    "operator": api_key("operator", role="admin"),
    "plain": api_key("plain"),
    "daily": api_key("daily", tokens="100/day", role="ingest"),
    "monthly": api_key("monthly", tokens="1000/month"),
    "small": api_key("small", tokens="1/day"),
    "acme": api_key("asker", tenant="acme"),
    "acme's admin": api_key("admin", tenant="acme", role="admin"),
}
DAY = date(2026, 11, 20)
QUESTION = {"query": "When does the harbour open?"}
MESSAGES: Any = [{"role": "user", "content": "When does the harbour open?"}]


def send_chat(client: httpx.Client) -> httpx.Response:
    return client.post("/chat", json=QUESTION)


def send_chat_and_wait(client: httpx.Client) -> httpx.Response:
    return client.post("/chat", json=QUESTION, headers={"Prefer": "wait=5"})


def send_address(client: httpx.Client) -> httpx.Response:
    return client.post("/chat", params={"query": "?"})


def send_search(client: httpx.Client) -> httpx.Response:
    return client.post("/search", json=QUESTION)


def send_completion(client: httpx.Client) -> httpx.Response:
    return client.post("/v1/chat/completions", json={"model": "rag-queue", "messages": MESSAGES})


def send_stream(client: httpx.Client) -> httpx.Response:
    return client.post("/v1/chat/completions", json={"model": "rag-queue", "messages": MESSAGES, "stream": True})


def send_response(client: httpx.Client) -> httpx.Response:
    return client.post("/v1/responses", json={"model": "rag-queue", "input": "?", "background": True})


def send_texts(client: httpx.Client) -> httpx.Response:
    return client.post("/v1/embeddings", json={"model": "m", "input": "?"})


WAYS: tuple[Callable[[httpx.Client], httpx.Response], ...] = (
    send_chat, send_chat_and_wait, send_address, send_search, send_completion, send_stream, send_response, send_texts,
)  # fmt: skip
"""All ways to have tokens spent at once; `test_tenants` has the routes that make a job."""


@contextmanager
def service(valkey_url: str, **settings: Any) -> Iterator[str]:
    stated: Mapping[str, Any] = {
        "redis_url": valkey_url,
        "qdrant_url": "http://127.0.0.1:9",
        "api_keys": ",".join(entry for _, entry in KEYS.values()),
        "jwt_secret": SECRET,
        "link_secret": "l" * 32,
        "embedding_model": "m",
        "model_prices": "gpt=2/8",
    }
    with serving(Settings(**{**stated, **settings})) as url:
        yield url


@pytest.fixture
def url(valkey: Redis, valkey_url: str) -> Iterator[str]:
    with service(valkey_url) as url:
        yield url


def client_of(url: str, who: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers=bearer(KEYS[who][0]), timeout=30)


def told(url: str, who: str, **params: Any) -> Any:
    with client_of(url, who) as client:
        return client.get("/usage", params=params).raise_for_status().json()


def today() -> date:
    return datetime.now(UTC).date()


def counted(
    valkey: Redis, tenant: str, day: date, model: str = "gpt", *, tokens: tuple[int, int] = (800, 200)
) -> None:
    valkey.sadd(tenants_key(day), tenant)
    names = (f"answers {model}", f"input {model}", f"output {model}")
    valkey.hset(usage_key(tenant, day), mapping=dict(zip(names, (2, *tokens), strict=True)))


def spent(valkey: Redis, name: str, tokens: int, *, days_ago: int = 0) -> None:
    """Also on the next day, should midnight pass in the middle of a test."""
    for day in (today() - timedelta(days=days_ago), today() + timedelta(days=1)):
        valkey.hset(spent_keys("default", [day])[0], name, tokens)


# What is told


def test_rows_are_by_day_tenant_and_model_with_what_they_cost(valkey: Redis, url: str) -> None:
    counted(valkey, "default", DAY)
    counted(valkey, "default", DAY, "other-model", tokens=(5, 7))
    counted(valkey, "acme", DAY - timedelta(days=1), tokens=(1_000_000, 500_000))
    asked = {"from": "2026-11-01", "to": "2026-11-30"}
    rows = [
        {"day": "2026-11-20", "tenant": "default", "model": "gpt"}
        | {"answers": 2, "input_tokens": 800, "output_tokens": 200, "cost_usd": 0.0032},
        {"day": "2026-11-20", "tenant": "default", "model": "other-model"}
        | {"answers": 2, "input_tokens": 5, "output_tokens": 7, "cost_usd": None},
        {"day": "2026-11-19", "tenant": "acme", "model": "gpt"}
        | {"answers": 2, "input_tokens": 1_000_000, "output_tokens": 500_000, "cost_usd": 6.0},
    ]
    assert told(url, "operator", **asked) == {
        **asked,
        "usage": rows,
        "total": {"answers": 6, "input_tokens": 1_000_805, "output_tokens": 500_207, "cost_usd": 6.0032},
        "budget": None,
    }


def test_a_day_is_told_from_the_first_to_the_last(valkey: Redis, url: str) -> None:
    for number in range(-1, 3):
        counted(valkey, "acme", DAY + timedelta(days=number))
    found = told(url, "operator", **{"from": DAY, "to": DAY + timedelta(days=1)})["usage"]
    assert [row["day"] for row in found] == ["2026-11-21", "2026-11-20"]


def test_by_default_the_month_so_far_is_told(valkey: Redis, url: str) -> None:
    found = told(url, "plain")
    assert found["to"] in (str(today()), str(today() - timedelta(days=1)))
    assert found["from"] == found["to"][:8] + "01"
    assert told(url, "plain", to="2026-02-28")["from"] == "2026-02-01"
    assert told(url, "plain", **{"from": "2026-11-26"})["to"] >= "2026-11-26"
    nothing = {"answers": 0, "input_tokens": 0, "output_tokens": 0, "cost_usd": None}
    assert (found["usage"], found["total"]) == ([], nothing)


def test_who_runs_the_service_sees_all_and_everyone_else_their_own(valkey: Redis, url: str) -> None:
    for tenant in ("default", "acme", "other"):
        counted(valkey, tenant, DAY)

    def seen(who: str, **more: Any) -> list[str]:
        return [row["tenant"] for row in told(url, who, **{"from": DAY, "to": DAY, **more})["usage"]]

    assert seen("operator") == ["acme", "default", "other"]
    assert seen("operator", tenant="other") == ["other"]
    assert seen("plain") == ["default"]
    assert seen("acme") == seen("acme's admin") == ["acme"]
    assert seen("acme's admin", tenant="acme") == ["acme"]
    for who in ("acme", "acme's admin", "plain"):
        assert seen(who, tenant="other") == seen(who, tenant="nobody") == [], "another tenant does not exist"


def test_a_tokens_holder_sees_their_tenants(valkey: Redis, url: str) -> None:
    counted(valkey, "acme", DAY)
    counted(valkey, "default", DAY)
    for role in Role:
        headers = bearer(token(tenant="acme", role=role.value, iss=None, aud=None))
        answer = httpx.get(f"{url}/usage", params={"from": "2026-11-20", "to": "2026-11-20"}, headers=headers).json()
        assert [row["tenant"] for row in answer["usage"]] == ["acme"]
        assert answer["budget"] is None


def test_without_keys_this_machine_sees_all(valkey: Redis, valkey_url: str) -> None:
    counted(valkey, "default", DAY)
    counted(valkey, "acme", DAY)
    with service(valkey_url, api_keys=None, jwt_secret=None) as url:
        found = httpx.get(f"{url}/usage", params={"from": "2026-11-20", "to": "2026-11-20"}).json()
    assert [row["tenant"] for row in found["usage"]] == ["acme", "default"]


@pytest.mark.parametrize(
    ("params", "pointer"),
    [
        ({"from": "2026-11-21", "to": "2026-11-20"}, "from"),
        ({"from": "2025-11-20", "to": "2026-11-21"}, "from"),
        ({"from": "9999-12-31"}, "from"),
        ({"from": "0001-01-01"}, "from"),
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-02-30"}, "to"),
        ({"to": "20261120x"}, "to"),
        ({"tenant": "a/b"}, "tenant"),
        ({"tenant": ""}, "tenant"),
    ],
)
def test_what_can_not_be_told_is_said(url: str, params: dict[str, str], pointer: str) -> None:
    with client_of(url, "operator") as client:
        answer = client.get("/usage", params=params)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:problem:invalid-request")
    [problem] = answer.json()["errors"]
    assert problem["in"] == "query"
    assert pointer in problem.get("pointer", problem.get("name", "")), problem


def test_a_year_is_told_and_a_day_more_is_not(url: str) -> None:
    assert told(url, "operator", **{"from": "2027-12-31", "to": "2028-12-30"})["usage"] == []


def test_too_many_tenants_are_told_by_fewer_days(valkey: Redis, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "TENANT_DAYS_MAX", 1)
    counted(valkey, "acme", DAY)
    counted(valkey, "other", DAY)
    days = {"from": "2026-11-20", "to": "2026-11-20"}
    with client_of(url, "operator") as client:
        answer = client.get("/usage", params=days)
    assert answer.status_code == 422
    assert "fewer days" in answer.json()["errors"][0]["detail"]
    assert len(told(url, "operator", tenant="acme", **days)["usage"]) == 1
    assert len(told(url, "acme", **days)["usage"]) == 1


def test_the_first_and_the_last_day_that_there_are_bring_down_nothing(url: str) -> None:
    for day in ("0001-01-01", "9999-12-31"):
        assert told(url, "operator", **{"from": day, "to": day})["usage"] == []


# Budgets


def ends_at(window: str) -> datetime:
    now = datetime.now(UTC)
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return day + timedelta(days=1) if window == "day" else (day.replace(day=1) + timedelta(days=32)).replace(day=1)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_whoever_has_used_it_up_is_told_when_it_ends_whatever_they_ask(
    valkey: Redis, url: str, way: Callable[[httpx.Client], httpx.Response]
) -> None:
    spent(valkey, "daily", 100)
    with client_of(url, "daily") as client:
        answer = way(client)
        assert answer.status_code == 429
        left = (ends_at("day") - datetime.now(UTC)).total_seconds()
        assert left - 60 <= int(answer.headers["retry-after"]) <= max(left, 0) + 60
        if "/v1/" in str(answer.request.url):
            error = answer.json()["error"]
            assert (error["code"], error["type"]) == ("insufficient_quota", "insufficient_quota")
            assert answer.headers["x-should-retry"] == "false"
        else:
            problem = answer.json()
            assert problem["type"] == "urn:problem:token-budget"
            assert (problem["limit"], problem["used"], problem["window"]) == (100, 100, "day")
            assert datetime.fromisoformat(problem["ends_at"]) == ends_at("day")
    assert not valkey.keys("rq:job:*")
    assert not valkey.scard("rag:open")


@pytest.mark.parametrize("used", [None, "0", "99", "x", "-5", "1e9", "9" * 40])
def test_until_then_questions_are_taken_and_no_hostile_count_refuses_them(
    valkey: Redis, url: str, used: str | None
) -> None:
    if used is not None:
        valkey.hset(spent_keys("default", [today()])[0], "daily", used)
    with client_of(url, "daily") as client:
        assert send_chat(client).status_code == 202


def test_a_key_of_another_type_is_no_use(valkey: Redis, url: str) -> None:
    valkey.set(spent_keys("default", [today()])[0], "x")
    with client_of(url, "daily") as client:
        assert send_chat(client).status_code == 202
    assert told(url, "daily")["budget"]["used"] == 0


def test_others_of_the_tenant_and_reading_go_on(valkey: Redis, url: str) -> None:
    with client_of(url, "daily") as client:
        job = send_chat(client).json()["job_id"]
        spent(valkey, "daily", 10**6)
        assert client.get(f"/job-status/{job}").status_code == 200
        assert client.get("/documents").status_code == 200
        assert client.get("/usage").status_code == 200
        assert client.post("/documents", files={"files": ("a.txt", b"Text.", "text/plain")}).status_code == 202
        assert client.post(f"/jobs/{job}/cancel").status_code == 200
    for who in ("plain", "monthly", "acme"):
        with client_of(url, who) as client:
            assert send_chat(client).status_code == 202


def test_a_search_is_taken_where_it_spends_no_tokens(valkey: Redis, valkey_url: str) -> None:
    spent(valkey, "daily", 100)
    with service(valkey_url, embedding_model=None) as url, client_of(url, "daily") as client:
        assert send_search(client).status_code == 202
        assert send_chat(client).status_code == 429


def test_the_session_of_a_key_has_the_keys_budget(valkey: Redis, url: str) -> None:
    key = KEYS["daily"][0]
    with httpx.Client(base_url=url) as browser:
        cookie = browser.post("/session", json={"key": key}).raise_for_status().cookies[COOKIE]
    with httpx.Client(
        base_url=url, headers={"Cookie": f"{COOKIE}={cookie}", "Sec-Fetch-Site": "same-origin"}
    ) as browser:
        job = send_chat(browser).raise_for_status().json()["job_id"]
        assert valkey.hget(f"rq:job:{job}", "asker") == b"daily"
        spent(valkey, "daily", 100)
        assert send_chat(browser).json()["type"] == "urn:problem:token-budget"
        assert browser.get("/usage").json()["budget"]["used"] == 100


def test_what_was_taken_before_is_told_again_though_the_budget_is_used_up(valkey: Redis, url: str) -> None:
    once = {"Idempotency-Key": "once"}
    with client_of(url, "daily") as client:
        first = client.post("/chat", json=QUESTION, headers=once)
        spent(valkey, "daily", 100)
        again = client.post("/chat", json=QUESTION, headers=once)
        assert (again.status_code, again.json()["job_id"]) == (202, first.json()["job_id"])
        assert client.post("/chat", json=QUESTION, headers={"Idempotency-Key": "two"}).status_code == 429


@pytest.mark.parametrize(
    ("now", "day", "month"),
    [
        ("2026-11-30T23:59:59", 429, 429),
        ("2026-12-01T00:00:00", 202, 202),
        ("2026-11-29T23:59:59", 202, 202),
        ("2026-12-31T23:59:59", 202, 202),
    ],
)
def test_a_day_and_a_month_end_at_midnight_of_utc(
    valkey: Redis, url: str, monkeypatch: pytest.MonkeyPatch, now: str, day: int, month: int
) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    monkeypatch.setattr("app.core.queue.records.now", lambda: moment)
    key = spent_keys("default", [date(2026, 11, 30)])[0]
    valkey.hset(key, mapping={"daily": 100, "monthly": 1000})
    for who, status in (("daily", day), ("monthly", month)):
        with client_of(url, who) as client:
            answer = send_chat(client)
            assert answer.status_code == status, who
            if status == 429:
                assert (answer.headers["retry-after"], answer.json()["ends_at"]) == ("1", "2026-12-01T00:00:00Z")


def test_a_months_days_are_added_up(valkey: Redis, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = datetime(2026, 11, 30, 12, tzinfo=UTC)
    monkeypatch.setattr("app.core.queue.records.now", lambda: moment)
    for number, tokens in ((1, 400), (15, 400), (30, 199)):
        valkey.hset(spent_keys("default", [date(2026, 11, number)])[0], "monthly", tokens)
    for outside in (date(2026, 10, 31), date(2026, 12, 1)):
        valkey.hset(spent_keys("default", [outside])[0], "monthly", 10**6)
    with client_of(url, "monthly") as client:
        assert send_chat(client).status_code == 202
        valkey.hset(spent_keys("default", [date(2026, 11, 30)])[0], "monthly", 200)
        refused = send_chat(client)
    assert (refused.status_code, refused.json()["used"]) == (429, 1000)


def test_the_callers_budget_is_told(valkey: Redis, url: str) -> None:
    spent(valkey, "daily", 120)
    found = told(url, "daily")["budget"]
    assert (found["limit"], found["used"], found["window"]) == (100, 120, "day")
    assert datetime.fromisoformat(found["ends_at"]) == ends_at("day")
    month = told(url, "monthly")["budget"]
    assert (month["limit"], month["used"], month["window"]) == (1000, 0, "month")
    assert datetime.fromisoformat(month["ends_at"]) == ends_at("month")
    assert told(url, "plain")["budget"] is None


def test_openais_client_raises_its_own_error_and_asks_once(valkey: Redis, url: str) -> None:
    spent(valkey, "daily", 100)
    client = OpenAI(base_url=f"{url}/v1", api_key=KEYS["daily"][0], max_retries=3)
    with client, pytest.raises(RateLimitError) as caught:
        client.chat.completions.create(model="rag-queue", messages=MESSAGES)
    assert caught.value.code == "insufficient_quota"
    assert caught.value.response.request.headers["x-stainless-retry-count"] == "0"


def test_a_real_answer_uses_the_budget_up_on_all_replicas(
    valkey: Redis, valkey_url: str, qdrant_url: str, handbook: str, model: ModelServer
) -> None:
    stated = {"qdrant_url": qdrant_url, "qdrant_collection": handbook, "embedding_model": None}
    with service(valkey_url, **stated) as one, service(valkey_url, **stated) as other:
        with client_of(one, "small") as client:
            job = send_chat(client).raise_for_status().json()["job_id"]
            assert send_chat(client).status_code == 202, "nothing was counted yet: it may overshoot"
        settings = Settings(redis_url=SecretStr(valkey_url), qdrant_url=qdrant_url, qdrant_collection=handbook)
        work(with_model(settings, model, "test"))
        end()
        with client_of(other, "small") as client:
            assert send_chat(client).status_code == 429
            used = client.get(f"/result/{job}").json()["result"]["usage"]
        found = [told(url, "operator", tenant="default") for url in (one, other)]
        assert found[0] == found[1]
        [row] = found[0]["usage"]
        assert (row["model"], row["answers"]) == ("test", 2)
        assert row["input_tokens"] + row["output_tokens"] == 2 * sum(used.values())
        assert told(other, "small")["budget"]["used"] == 2 * sum(used.values())


def test_a_job_says_whose_budget_only_where_there_is_one(valkey: Redis, url: str) -> None:
    for who in ("plain", "operator", "acme"):
        with client_of(url, who) as client:
            job = send_chat(client).json()["job_id"]
            assert valkey.hget(f"rq:job:{job}", "asker") is None
