"""Rates: how many are let through, what clients are told, and that `limits` itself reads the same windows."""

import asyncio
from collections.abc import Iterator
from time import time

import pytest
from fakeredis import FakeAsyncRedis, FakeServer
from fastapi.testclient import TestClient
from limits import parse
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter

from app.auth import rate_limits as limits
from app.auth.rate_limits import KEY_PREFIX, RateLimits, Standing
from app.core.queue.pipelined import Link
from tests.support.credentials import api_key, bearer
from tests.unit.app.auth.test_dependencies import client_of

SLOW_KEY, SLOW_ENTRY = api_key("slow", tenant="acme", rate="2/minute")
TWIN_KEY, TWIN_ENTRY = api_key("slow", tenant="other", rate="2/minute")
PLAIN_KEY, PLAIN_ENTRY = api_key("plain", tenant="acme")
KEYS = f"{SLOW_ENTRY},{TWIN_ENTRY},{PLAIN_ENTRY}"


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def client(server: FakeServer) -> Iterator[TestClient]:
    with client_of(api_keys=KEYS, address_rate_limit="3/minute", server=server) as client:
        yield client


def test_the_windows_are_those_of_limits() -> None:
    """Guards what our script leans on: limits' scripts, their arguments and what they store."""

    async def main() -> None:
        valkey = FakeAsyncRedis()
        link = Link(valkey)
        ours = RateLimits(link)
        storage = RedisStorage(
            "async+redis://", implementation="redispy", key_prefix=KEY_PREFIX,
            connection_pool=valkey.connection_pool,  # type: ignore[arg-type]
        )  # fmt: skip
        theirs, item = MovingWindowRateLimiter(storage), parse("3/minute")
        for count in (1, 2):
            standing = await ours.hit("default", "3/minute", "acme/web")
            stats = await theirs.get_window_stats(item, "default", "acme/web")
            assert (standing.is_within, standing.remaining) == (True, 3 - count)
            assert stats.remaining == standing.remaining
            assert stats.reset_time == pytest.approx(time() + standing.reset_seconds, abs=2)
        assert await theirs.hit(item, "default", "acme/web")
        last = await ours.hit("default", "3/minute", "acme/web")
        assert (last.is_within, last.remaining) == (False, 0)
        assert not await theirs.test(item, "default", "acme/web")
        await link.close()
        await valkey.aclose()

    asyncio.run(main())


def test_the_window_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time()
    monkeypatch.setattr(limits, "time", lambda: now)

    async def main() -> None:
        nonlocal now
        valkey = FakeAsyncRedis()
        link = Link(valkey)
        ours = RateLimits(link)

        async def hit() -> tuple[bool, int, int]:
            standing = await ours.hit("default", "2/minute", "acme/web")
            return standing.is_within, standing.remaining, standing.reset_seconds

        assert await hit() == (True, 1, 60)
        now += 20
        assert await hit() == (True, 0, 40)
        assert await hit() == (False, 0, 40)
        now += 41
        assert await hit() == (True, 0, 19), "the first is out of the window, the refused one never was in it"
        await link.close()
        await valkey.aclose()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("rate", "policy"),
    [
        ("100/minute", b'"default";q=100;w=60'),
        ("5/second", b'"default";q=5;w=1'),
        ("9/day", b'"default";q=9;w=86400'),
    ],
)
def test_the_fields_are_structured_as_the_draft_has_them(rate: str, policy: bytes) -> None:
    async def main() -> Standing:
        valkey = FakeAsyncRedis()
        link = Link(valkey)
        standing = await RateLimits(link).hit("default", rate, "x")
        await link.close()
        await valkey.aclose()
        return standing

    standing = asyncio.run(main())
    remaining, window = standing.limit - 1, standing.window_seconds
    assert standing.headers == [
        (b"ratelimit-policy", policy),
        (b"ratelimit", f'"default";r={remaining};t={window}'.encode()),
    ]


def test_a_key_over_its_rate_is_a_429_that_says_when_to_come_back(client: TestClient) -> None:
    statuses = [client.get("/ask", headers=bearer(SLOW_KEY)).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    answer = client.get("/ask", headers=bearer(SLOW_KEY))
    assert answer.json() | {"detail": ""} == {
        "type": "urn:problem:quota-exceeded", "title": "Too Many Requests", "status": 429, "detail": "",
        "violated-policies": ["default"],
    }  # fmt: skip
    assert 1 <= int(answer.headers["retry-after"]) <= 60


def test_keys_do_not_count_for_each_other(client: TestClient) -> None:
    for _ in range(3):
        client.get("/ask", headers=bearer(SLOW_KEY))
    assert client.get("/ask", headers=bearer(TWIN_KEY)).status_code == 200, "another tenant's key of the same name"


def test_a_key_that_states_no_rate_has_the_services(server: FakeServer) -> None:
    with client_of(api_keys=KEYS, rate_limit="1/hour", server=server) as client:
        assert [client.get("/ask", headers=bearer(PLAIN_KEY)).status_code for _ in range(2)] == [200, 429]
        assert [client.get("/ask", headers=bearer(SLOW_KEY)).status_code for _ in range(2)] == [200, 200]


def test_where_no_rate_applies_valkey_is_not_asked(client: TestClient, server: FakeServer) -> None:
    server.connected = False
    assert client.get("/ask", headers=bearer(PLAIN_KEY)).status_code == 200
    assert client.get("/ask").status_code == 401


def test_valkey_unavailable_is_a_503_where_a_rate_applies(client: TestClient, server: FakeServer) -> None:
    server.connected = False
    for key in (SLOW_KEY, "wrong"):
        answer = client.get("/ask", headers=bearer(key))
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:problem:queue-unavailable")


def test_an_address_that_tries_many_wrong_keys_is_told_to_wait(client: TestClient) -> None:
    answers = [client.get("/ask", headers=bearer(f"guess-{number}")) for number in range(5)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
    assert answers[-1].json()["violated-policies"] == ["address"]
    assert answers[-1].headers["retry-after"]


def test_a_right_key_is_let_in_from_an_address_that_has_tried_too_many(client: TestClient) -> None:
    """Else anyone could shut out those who share an address with them."""
    for number in range(5):
        client.get("/ask", headers=bearer(f"guess-{number}"))
    assert client.get("/ask", headers=bearer(PLAIN_KEY)).status_code == 200


def test_showing_nothing_is_no_guess(client: TestClient) -> None:
    assert {client.get("/ask").status_code for _ in range(5)} == {401}
