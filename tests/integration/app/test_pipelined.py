"""The API's one connection to Valkey: answers in order, errors to their callers, a new start when it is lost."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.core.queue import pipelined as link
from app.core.queue.connections import connect_async
from app.core.queue.pipelined import Link, Script


class ClosingLink(Link):
    aclose = Link.close


def with_link(url: str, act: Callable[[Link], Awaitable[None]]) -> None:
    async def run() -> None:
        async with connect_async(url) as valkey, aclosing(ClosingLink(valkey)) as opened:
            await act(opened)

    asyncio.run(run())


def test_answers_come_to_who_asked_over_one_connection(valkey: Redis, valkey_url: str) -> None:
    async def act(opened: Link) -> None:
        before = valkey.info("clients")["connected_clients"]
        answers = await asyncio.gather(*(opened.call("ECHO", f"n{number}") for number in range(500)))
        assert answers == [b"n%d" % number for number in range(500)]
        assert valkey.info("clients")["connected_clients"] == before + 1

    with_link(valkey_url, act)


def test_an_error_is_told_to_its_caller_alone(valkey: Redis, valkey_url: str) -> None:
    async def act(opened: Link) -> None:
        both = await asyncio.gather(opened.call("NOSUCH"), opened.call("ECHO", "x"), return_exceptions=True)
        assert isinstance(both[0], ResponseError)
        assert both[1] == b"x"

    with_link(valkey_url, act)


def test_who_leaves_takes_no_answer_from_the_next(valkey: Redis, valkey_url: str) -> None:
    async def act(opened: Link) -> None:
        await opened.call("PING")
        leaver = asyncio.create_task(opened.call("NOSUCH"))
        await asyncio.sleep(0)
        leaver.cancel()
        assert await opened.call("ECHO", "x") == b"x"

    with_link(valkey_url, act)


def test_a_script_that_valkey_forgot_is_sent_whole(valkey: Redis, valkey_url: str) -> None:
    script = Script("return redis.call('ECHO', ARGV[1])")

    async def act(opened: Link) -> None:
        for _ in range(2):
            valkey.script_flush()
            assert await opened.run(script, [], ["x"]) == b"x"
            assert await opened.run(script, [], ["y"]) == b"y"

    with_link(valkey_url, act)


def test_a_lost_connection_is_told_and_made_anew(valkey: Redis, valkey_url: str) -> None:
    async def act(opened: Link) -> None:
        await opened.call("CLIENT", "SETNAME", "the-link")
        blocked = asyncio.create_task(opened.call("BLPOP", "nothing", 0))
        while not any(client["flags"] == "b" for client in valkey.client_list()):
            await asyncio.sleep(0.01)
        [client_id] = [client["id"] for client in valkey.client_list() if client["name"] == "the-link"]
        valkey.client_kill_filter(_id=client_id)
        with pytest.raises(RedisConnectionError):
            await blocked
        assert await opened.call("ECHO", "x") == b"x"

    with_link(valkey_url, act)


def test_a_valkey_that_does_not_answer_is_given_up(
    valkey: Redis, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(link, "WATCH_SECONDS", 0.05)

    async def act(opened: Link) -> None:
        with pytest.raises(RedisTimeoutError):
            await opened.call("BLPOP", "nothing", 0)
        assert await opened.call("ECHO", "x") == b"x"

    with_link(valkey_url, act)


def test_without_a_valkey_each_call_says_so() -> None:
    async def act(opened: Link) -> None:
        for _ in range(2):
            with pytest.raises(RedisConnectionError):
                await opened.call("PING")

    with_link("redis://127.0.0.1:9/0", act)
