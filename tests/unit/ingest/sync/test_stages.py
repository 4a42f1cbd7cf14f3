"""Two stages at the same time, and how they end."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from ingest.sync.stages import Channel, Overlap

SECONDS = 20


@dataclass(frozen=True)
class Item:
    number: int
    weight: int = 1


def _numbers(batch: Sequence[Item]) -> list[int]:
    return [item.number for item in batch]


def _overlap(
    items: Sequence[int],
    *,
    prepare: Callable[[int], Item | list[int]] = Item,
    store: Callable[[Sequence[Item]], Sequence[int]] = _numbers,
    done: list[int] | None = None,
    capacity: int = 10,
    enough: int = 3,
) -> Overlap[int, Item, int]:
    return Overlap(
        items,
        prepare=prepare,
        store=store,
        on_done=(done if done is not None else []).append,
        preparers=3,
        storers=2,
        capacity=capacity,
        enough=enough,
    )


def test_every_item_is_done_once() -> None:
    done: list[int] = []
    with _overlap(range(500), done=done) as overlap:
        overlap.wait()
    assert sorted(done) == list(range(500))


def test_nothing_to_do_ends_at_once() -> None:
    with _overlap([]) as overlap:
        overlap.wait()


def test_what_is_done_when_it_is_prepared_is_not_stored() -> None:
    done: list[int] = []
    with _overlap(range(9), prepare=lambda n: [n] if n % 2 else Item(n), store=lambda _: [], done=done) as overlap:
        overlap.wait()
    assert sorted(done) == [1, 3, 5, 7]


@pytest.mark.parametrize("stage", ["prepare", "store"])
def test_an_error_ends_the_run_and_comes_out(stage: str) -> None:
    def fail(_: object) -> list[int]:
        raise ValueError(stage)

    overlap = _overlap(range(100), prepare=fail) if stage == "prepare" else _overlap(range(100), store=fail)
    with pytest.raises(ValueError, match=stage), overlap:
        overlap.wait()


def test_a_storer_takes_what_is_ready_up_to_enough_and_never_splits_an_item() -> None:
    channel: Channel[Item] = Channel(100)
    for number, weight in enumerate([2, 2, 9, 1]):
        channel.put(Item(number, weight))
    channel.end()
    taken = []
    while batch := channel.take(4):
        taken.append([item.number for item in batch])
    assert taken == [[0, 1], [2], [3]]


def test_no_more_waits_than_fits() -> None:
    """One item above the capacity for each preparer, at most: memory does not grow with the number of items."""
    go_on = threading.Semaphore(0)
    prepared: list[int] = []
    done: list[int] = []
    most = 4 + 3 + 2 * 1

    def prepare(number: int) -> Item:
        prepared.append(number)
        return Item(number)

    def store(batch: Sequence[Item]) -> list[int]:
        assert go_on.acquire(timeout=SECONDS)
        for _ in batch[1:]:
            assert go_on.acquire(timeout=SECONDS)
        return [item.number for item in batch]

    with _overlap(range(100), prepare=prepare, store=store, done=done, capacity=4, enough=1) as overlap:
        for number in range(100):
            assert len(prepared) <= number + most
            go_on.release()
        overlap.wait()
    assert sorted(done) == list(range(100))


def test_an_interrupted_run_finishes_what_it_is_storing() -> None:
    storing, go_on = threading.Event(), threading.Event()
    done: list[int] = []

    def store(batch: Sequence[Item]) -> list[int]:
        storing.set()
        assert go_on.wait(SECONDS)
        return [item.number for item in batch]

    def interrupted() -> None:
        with _overlap([1], store=store, done=done):
            assert storing.wait(SECONDS)
            go_on.set()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == [1]
