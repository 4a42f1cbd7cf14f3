"""A client that cannot be told to stop is left in time."""

import threading
import time
from collections.abc import Generator
from itertools import count

import pytest

from app.core.errors import ErrorCode, ServiceError
from worker.model.bounded import read_within
from worker.runtime.interrupts import own_calls

ENOUGH_SECONDS = 5.0


class Client:
    """Gives `items`, then waits for as long as nobody lets it go."""

    def __init__(self, *items: str) -> None:
        self._items = items
        self.let_go = threading.Event()
        self.is_closed = threading.Event()

    def read(self) -> Generator[str, None, None]:
        try:
            yield from self._items
            self.let_go.wait(ENOUGH_SECONDS)
            yield "too late"
        finally:
            self.is_closed.set()


def _nothing() -> Generator[str, None, None]:
    yield from ()


def _code(seconds: float, client: Client, taken: list[str]) -> ErrorCode:
    try:
        with pytest.raises(ServiceError) as raised:
            read_within(seconds, client.read, taken.append)
    finally:
        client.let_go.set()
    return raised.value.code


def test_items_come_in_order_in_the_calling_thread_until_they_end() -> None:
    taken: list[tuple[int, int]] = []
    read_within(5, lambda: (n for n in range(2_000)), lambda n: taken.append((n, threading.get_ident())))
    assert taken == [(n, threading.get_ident()) for n in range(2_000)]


def test_nothing_is_an_end_too() -> None:
    read_within(5, _nothing, pytest.fail)


def test_an_item_is_handed_over_before_the_next_has_come() -> None:
    client = Client("first")
    taken: list[str] = []

    def take(item: str) -> None:
        taken.append(item)
        client.let_go.set()

    read_within(ENOUGH_SECONDS, client.read, take)
    assert taken == ["first", "too late"]


def test_one_that_falls_silent_is_left_after_the_time() -> None:
    client, taken = Client("first"), list[str]()
    began = time.monotonic()
    assert _code(0.2, client, taken) is ErrorCode.MODEL_TIMEOUT
    assert time.monotonic() - began < 1
    assert taken == ["first"]
    assert client.is_closed.wait(ENOUGH_SECONDS)


def test_one_that_never_ends_is_left_after_the_time() -> None:
    is_closed = threading.Event()

    def read() -> Generator[int, None, None]:
        try:
            for n in count():
                time.sleep(0.01)
                yield n
        finally:
            is_closed.set()

    with pytest.raises(ServiceError) as raised:
        read_within(0.2, read, lambda _: None)
    assert raised.value.code is ErrorCode.MODEL_TIMEOUT
    assert is_closed.wait(ENOUGH_SECONDS)


def test_an_interrupt_ends_the_wait_at_once() -> None:
    client, calls = Client("first"), own_calls()
    threading.Timer(0.1, calls.interrupt).start()
    began = time.monotonic()
    try:
        assert _code(ENOUGH_SECONDS, client, []) is ErrorCode.MODEL_UNAVAILABLE
    finally:
        calls.reset()
    assert time.monotonic() - began < 1
    assert client.is_closed.wait(ENOUGH_SECONDS)


def test_after_an_interrupt_no_call_is_begun() -> None:
    own_calls().interrupt()
    try:
        with pytest.raises(ServiceError) as raised:
            read_within(5, lambda: pytest.fail("called"), lambda _: None)
    finally:
        own_calls().reset()
    assert raised.value.code is ErrorCode.MODEL_UNAVAILABLE


def test_what_is_raised_where_items_go_is_raised_as_it_is_and_ends_the_reading() -> None:
    client = Client("first", "second")

    def take(_: str) -> None:
        raise RuntimeError("Valkey")

    with pytest.raises(RuntimeError, match="Valkey"):
        read_within(5, client.read, take)
    client.let_go.set()
    assert client.is_closed.wait(ENOUGH_SECONDS)


def test_what_came_before_an_error_is_handed_over_and_the_error_has_a_code() -> None:
    def read() -> Generator[str, None, None]:
        yield "first"
        raise TimeoutError

    taken: list[str] = []
    with pytest.raises(ServiceError) as raised:
        read_within(5, read, taken.append)
    assert (taken, raised.value.code) == (["first"], ErrorCode.MODEL_TIMEOUT)
    assert isinstance(raised.value.__cause__, TimeoutError)
