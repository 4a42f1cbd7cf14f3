"""Two stages at the same time: threads that prepare items, and threads that store what is prepared, many at once."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import copy_context
from queue import SimpleQueue
from time import monotonic
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

JOIN_SECONDS = 5.0
"""How long the end of a run waits for a thread that is in the middle of a write; the index bears its death."""

T = TypeVar("T")


class Weighted(Protocol):
    """Something that takes up room: `weight` is in chunks."""

    @property
    def weight(self) -> int:
        """How much room; 0 for none worth counting."""


Ready = TypeVar("Ready", bound=Weighted)
Done = TypeVar("Done")


class Channel(Generic[Ready]):
    """Hands items over, and holds the giver back while `capacity` chunks wait."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: deque[Ready] = deque()
        self._weight = 0
        self._has_ended = False
        self._changed = threading.Condition()

    def put(self, item: Ready) -> None:
        """Hand `item` over as soon as there is room; one that is larger than the room waits for an empty channel."""
        with self._changed:
            self._changed.wait_for(lambda: self._weight < self._capacity or self._has_ended)
            self._items.append(item)
            self._weight += item.weight
            self._changed.notify_all()

    def take(self, enough: int) -> list[Ready]:
        """At least one item, and more while they are there and weigh no more than `enough`; none at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._has_ended)
            taken: list[Ready] = []
            weight = 0
            while self._items and (not taken or weight + self._items[0].weight <= enough):
                taken.append(self._items.popleft())
                weight += taken[-1].weight
            self._weight -= weight
            self._changed.notify_all()
            return taken

    def end(self) -> None:
        """Close the giving end: nothing more will come; what is there may still be taken."""
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    def close(self) -> None:
        """Close both ends: nothing more is wanted."""
        with self._changed:
            self._items.clear()
            self._weight = 0
            self._has_ended = True
            self._changed.notify_all()


class Overlap(Generic[T, Ready, Done]):
    """Runs `items` through `prepare`, one at a time in each of `preparers` threads, and through `store`, several at a
    time in each of `storers` threads. Memory is bounded by `capacity` and `enough`, however many items there are.

    `prepare` gives something to store, or, in a list, what is done already. `on_done` is told what is done, by one
    thread at a time. A context manager: leaving it lets running calls of `store` come to their end.
    """

    def __init__(
        self,
        items: Iterable[T],
        *,
        prepare: Callable[[T], Ready | list[Done]],
        store: Callable[[Sequence[Ready]], Sequence[Done]],
        on_done: Callable[[Done], None],
        preparers: int,
        storers: int,
        capacity: int,
        enough: int,
    ) -> None:
        self._items = iter(items)
        self._on_done = on_done
        self._lock = threading.Lock()
        self._telling = threading.Lock()
        self._prepare = prepare
        self._store = store
        self._enough = enough
        self._channel: Channel[Ready] = Channel(capacity)
        self._ends: SimpleQueue[BaseException | None] = SimpleQueue()
        self._is_stopping = False
        self._preparing = preparers
        self._storing = storers
        # Daemons: an interrupted run must not wait for a model that does not answer. Each in a copy of our context:
        # what it does is part of the run's trace.
        self._preparers = [
            threading.Thread(target=copy_context().run, args=(self._run_preparer,), daemon=True)
            for _ in range(preparers)
        ]
        self._storers = [
            threading.Thread(target=copy_context().run, args=(self._run_storer,), daemon=True) for _ in range(storers)
        ]

    def __enter__(self) -> Self:
        for thread in (*self._preparers, *self._storers):
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_stopping = True
        self._channel.close()
        give_up = monotonic() + JOIN_SECONDS
        for thread in self._storers:
            thread.join(max(0.0, give_up - monotonic()))

    def wait(self) -> None:
        """Until all is done. Raises what a call has raised; then the others are not waited for."""
        if (error := self._ends.get()) is not None:
            raise error

    def _tell(self, done: Sequence[Done]) -> None:
        with self._telling:
            for one in done:
                self._on_done(one)

    def _run_preparer(self) -> None:
        try:
            for item in self._taken():
                ready = self._prepare(item)
                if self._is_stopping:  # what failed now may have failed because of that
                    return
                if isinstance(ready, list):
                    self._tell(ready)
                else:
                    self._channel.put(ready)
        except BaseException as error:
            self._ends.put(error)
        finally:
            with self._lock:
                self._preparing -= 1
                if not self._preparing:
                    self._channel.end()

    def _taken(self) -> Iterator[T]:
        """Items, until there is none left or the run stops."""
        nothing = object()
        while not self._is_stopping:
            with self._lock:
                item = next(self._items, nothing)
            if item is nothing:
                return
            yield item  # type: ignore[misc]  # the sentinel is gone

    def _run_storer(self) -> None:
        try:
            while not self._is_stopping and (batch := self._channel.take(self._enough)):
                self._tell(self._store(batch))
        except BaseException as error:
            self._ends.put(error)
        with self._lock:
            self._storing -= 1
            if not self._storing:
                self._ends.put(None)
