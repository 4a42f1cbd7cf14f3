"""What `make bench-cluster` reckons, and that a client who is refused is an error and never a figure."""

import asyncio
from dataclasses import dataclass

import pytest

from benchmarks.cluster import AIM_TIMES, MOST_CORES, NGINX_PROCESSES, TABLES, reckon, show_head
from benchmarks.load import Door, UnexpectedAnswerError, ask_on
from tests.support import ROOT
from tests.support.nginx import TEMPLATE

COSTS = {"worker": 6.0, "API": 3.0, "nginx": 0.5, "Valkey": 1.25, "Qdrant": 2.0, "model": 1.0, "clients": 0.5}


def test_two_workers_give_twice_as_much_while_nothing_else_is_narrow() -> None:
    one, two = (reckon(COSTS, processes=number, replicas=number) for number in (1, 2))
    assert (one.narrow, two.narrow) == ("worker", "worker")
    assert two.answers_per_second == pytest.approx(2 * one.answers_per_second) == pytest.approx(2 * 1000 / 6)


def test_what_is_there_once_is_the_end_of_it() -> None:
    """Neither more workers nor more replicas help beyond what Qdrant's one core takes."""
    many = reckon(COSTS, processes=8, replicas=8)
    assert (many.narrow, many.answers_per_second) == ("Qdrant", 500)
    assert many.full_at["Valkey"] == 800


def test_without_nginx_it_is_never_narrow() -> None:
    assert set(reckon(COSTS | {"nginx": 0.0}, processes=1, replicas=1).full_at) == set(MOST_CORES) - {"nginx"}


def test_nginx_has_as_many_processes_as_its_configuration_says() -> None:
    assert f"worker_processes {NGINX_PROCESSES};" in TEMPLATE.read_text()


@pytest.mark.parametrize("key", TABLES)
def test_a_table_sets_one_of_each_against_two_with_all_else_the_same(key: str) -> None:
    first, *_, last = TABLES[key].setups
    assert (first.processes, first.replicas, last.processes, last.replicas) == (1, 1, 2, 2)
    assert {(each.places, each.model_seconds, each.clients, each.pdfs_per_second) for each in TABLES[key].setups} == {
        (first.places, first.model_seconds, first.clients, first.pdfs_per_second)
    }
    assert last.clients >= last.processes * last.places, "there are places that nobody asks for"
    assert TABLES[key].aim in (AIM_TIMES, None)


@pytest.mark.parametrize("key", TABLES)
def test_the_page_has_the_tables_that_are_printed(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    show_head(TABLES[key])
    head = capsys.readouterr().out
    shown = (ROOT / "docs/scaling.md").read_text().partition(head)[2].splitlines()
    names = [line.partition("  ")[0] for line in shown[: len(TABLES[key].setups)]]
    assert names == [setup.name for setup in TABLES[key].setups]


@dataclass
class Api:
    """One that answers each request of a connection with the next of `answers`."""

    answers: list[bytes]

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in self.answers:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"POST"):
                await reader.readexactly(2)
            status, _, body = answer.partition(b" ")
            writer.write(b"HTTP/1.1 %s Said\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
        writer.close()


async def answered_by(*answers: bytes) -> list[float]:
    """What a client has noted until it was answered what it can't go on from."""
    noted: list[float] = []
    async with await asyncio.start_server(Api(list(answers)), "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(UnexpectedAnswerError):
            await ask_on(Door(f"http://127.0.0.1:{port}", None, "127.0.0.1", {}), b"{}", noted)
    return noted


TAKEN, WAITS, DONE = b'202 {"job_id":"a-1"}', b'202 {"status":"started"}', b'200 {"status":"finished"}'


@pytest.mark.parametrize(
    ("answers", "counted"),
    [
        ((b"429 too many",), 0),
        ((TAKEN, b"503 away"), 0),
        ((TAKEN, b'200 {"status":"failed"}'), 0),
        ((TAKEN, WAITS, DONE, b"429 too many"), 1),
        ((TAKEN, DONE, TAKEN, DONE, TAKEN, b'200 {"status":"stopped"}'), 2),
    ],
    ids=["refused", "away", "failed", "after a wait", "again and again"],
)
def test_only_answers_that_finished_count_and_anything_else_ends_it(answers: tuple[bytes, ...], counted: int) -> None:
    assert len(asyncio.run(answered_by(*answers))) == counted
