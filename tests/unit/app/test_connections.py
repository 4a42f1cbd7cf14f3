"""How many connections a server has, whose they are, and which one makes room for another."""

import resource
from typing import Any

import pytest

import app.connections
from app.connections import TOO_MANY, TOO_MANY_OF_ADDRESS, Connections, Rejection, counted_as, places
from app.problems.details import ProblemDetails
from tests.support import ROOT

REFUSALS = [value for value in vars(app.connections).values() if isinstance(value, Rejection)]


class Loop:
    """A clock, and the one timer that waits."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waiting: Any = None

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, act: Any) -> Any:
        assert self.waiting is None
        self.waiting = act
        return act

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        act, self.waiting = self.waiting, None
        act()


class Client:
    def __init__(self, address: str | None = "192.0.2.1") -> None:
        self.address = address
        self.is_yielding = False
        self.is_idle = False
        self.is_aborted = False
        self.looks: list[float] = []

    def look(self, now: float) -> None:
        self.looks.append(now)

    def abort(self) -> None:
        self.is_aborted = True


@pytest.fixture
def loop() -> Loop:
    return Loop()


def connections(loop: Any, *, per_address: float = 3, places: int = 5) -> Connections:
    return Connections(loop, 1.0, per_address=per_address, places=places)


def test_an_address_has_so_many_and_others_and_the_uncounted_are_still_served(loop: Loop) -> None:
    server = connections(loop, places=100)
    first = [Client() for _ in range(3)]
    assert [server.add(client) for client in first] == [None] * 3
    assert server.add(Client()) is TOO_MANY_OF_ADDRESS
    assert server.add(Client("192.0.2.2")) is None
    assert [server.add(Client(None)) for _ in range(10)] == [None] * 10
    server.remove(first[0])
    server.remove(first[0])
    assert server.add(Client()) is None
    assert server.add(Client()) is TOO_MANY_OF_ADDRESS


def test_a_new_one_takes_the_place_of_the_oldest_that_has_asked_nothing(loop: Loop) -> None:
    server = connections(loop)
    clients = [Client(None) for _ in range(5)]
    for client in clients:
        server.add(client)
    server.serve(clients[0])
    assert server.add(Client(None)) is None
    assert [client.is_aborted for client in clients] == [False, True, False, False, False]


def test_then_of_one_between_two_requests_and_never_of_one_that_is_served(loop: Loop) -> None:
    server = connections(loop)
    clients = [Client(None) for _ in range(5)]
    for client in clients:
        server.add(client)
        server.serve(client)
    assert server.add(Client(None)) is TOO_MANY
    loop.pass_time(1)  # who is idle is asked once in a sweep
    clients[3].is_idle = True
    new = Client(None)
    assert server.add(new) is None
    server.serve(new)
    assert [client.is_aborted for client in clients] == [False, False, False, True, False]
    assert server.add(Client(None)) is TOO_MANY


def test_one_that_asks_again_is_not_closed_for_another(loop: Loop) -> None:
    server = connections(loop)
    clients = [Client(None) for _ in range(5)]
    for client in clients:
        server.add(client)
        server.serve(client)
        client.is_idle = True
    assert server.add(Client(None)) is None
    assert clients[0].is_aborted
    server.serve(clients[1])
    assert server.add(Client(None)) is None
    assert [client.is_aborted for client in clients] == [True, False, True, False, False]


def test_one_timer_looks_at_all_and_rests_when_there_are_none(loop: Loop) -> None:
    server = connections(loop)
    assert loop.waiting is None
    clients = [Client(), Client()]
    for client in clients:
        server.add(client)
    loop.pass_time(1)
    loop.pass_time(1)
    assert [len(client.looks) for client in clients] == [2, 2]
    for client in clients:
        server.remove(client)
    loop.pass_time(1)
    assert loop.waiting is None
    server.add(Client())
    assert loop.waiting is not None


def test_time_in_which_the_process_stood_still_is_not_the_clients(loop: Loop) -> None:
    server, client = connections(loop), Client()
    server.add(client)
    loop.pass_time(1)
    loop.pass_time(600)
    loop.pass_time(1)
    assert client.looks == [1, 3, 4]


@pytest.mark.parametrize(
    ("host", "as_whose"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("127.0.0.1", None),
        ("127.8.0.1", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("10.1.2.3", None),
        ("::ffff:10.1.2.3", None),
        ("203.0.113.7", None),
        ("203.0.113.8", "203.0.113.8"),
        ("", None),
    ],
)
def test_who_counts_as_one(host: str, as_whose: str | None) -> None:
    """An IPv6 client has a /64 to itself; this machine's programs and trusted proxies are not counted."""
    assert counted_as(host, ("10.0.0.0/8", "203.0.113.7")) == as_whose


@pytest.mark.parametrize(
    ("soft", "hard", "raised", "left"),
    [
        (256, 256, 256, 192),
        (256, 1024, 1024, 768),
        (1024, 20_000, 20_000, 19_744),
        (1024, 1_048_576, 65_536, 65_280),
        (1024, resource.RLIM_INFINITY, 65_536, 65_280),
        (100_000, 1_048_576, 100_000, 99_744),
    ],
)
def test_descriptors_are_raised_as_far_as_allowed_and_some_are_kept(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, raised: int, left: int
) -> None:
    limit = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limit[0])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limit.__setitem__(0, pair))
    assert places() == left
    assert limit[0] == (raised, hard)


def test_where_the_limit_cannot_be_raised_it_is_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 20_000))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert places() == 192


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: str(refusal.status))
def test_a_refusal_has_the_form_of_every_other_problem(refusal: Rejection) -> None:
    head, _, body = refusal.response([(b"date", b"today")]).partition(b"\r\n\r\n")
    expected = ProblemDetails(refusal.status, refusal.kind, refusal.detail).response()
    assert body == expected.body
    assert f"content-length: {len(body)}".encode() in head
    assert b"content-type: application/problem+json" in head
    assert b"date: today" in head
    assert head.startswith(f"HTTP/1.1 {refusal.status} ".encode())


def test_each_refusal_is_tested() -> None:
    assert len(REFUSALS) == (ROOT / "app/connections.py").read_text().count(" = Rejection(") == 4
