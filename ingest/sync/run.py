"""A run of the command from end to end: opens what it needs, when it needs it, and fills the report."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.core.contract import DEFAULT_COLLECTION
from app.core.errors import ConfigurationError, ErrorCode, ServiceError
from app.core.index_notes import lacks_vectors_of
from app.core.services import redis_url
from app.core.settings import Settings
from ingest.indexing.embedder import Embedder, open_budget
from ingest.indexing.writer import Writer
from ingest.reading.files import Found
from ingest.sync.apply import Hashing, Sync
from ingest.sync.display import Bar, Lines
from ingest.sync.mirror import Mirror, open_mirror
from ingest.sync.naming import Naming, naming_of
from ingest.sync.own_qdrant import located
from ingest.sync.plan import Action, Step
from ingest.sync.report import Outcome, Report
from worker.index.vector_index import VectorIndex, open_index

if TYPE_CHECKING:
    from redis import Redis

    from ingest.sync.enqueue import Distribution
    from worker.runtime.budget import Budget


@dataclass(frozen=True, slots=True)
class Options:
    """What the command was asked for, beside its files. `prune_below`: folders whose lost files are forgotten."""

    collection: str = DEFAULT_COLLECTION
    prune_below: Sequence[Path] = ()
    dry_run: bool = False
    queue: bool = False


def run(found: Found, settings: Settings, options: Options, report: Report, display: Bar | Lines) -> None:
    """Bring the index to match `found`. Raises `ServiceError`, `QdrantStartError` or `ConfigurationError`."""
    with ExitStack() as stack:
        hashing = stack.enter_context(Hashing(found.files))
        reached = stack.enter_context(located(settings, dry_run=options.dry_run))
        index = stack.enter_context(closing(open_index(reached))) if reached is not None else None
        naming = naming_of(settings, options.collection)
        connection = stack.enter_context(_valkey(settings))
        where = {"tenant": naming.tenant, "collection": naming.collection}
        mirror = open_mirror(connection, settings, **where) if connection is not None else None
        sync = Sync(index, naming, mirror=mirror, dry_run=options.dry_run)
        total = len(found.files)
        actions, refused = sync.prepare(
            found, hashing, prune_below=options.prune_below, on_checked=lambda number: display.checked(number, total)
        )
        report.not_reached = len(actions)
        report.documents += refused
        report.other_kinds = dict(found.other_kinds.most_common())

        def on_done(outcome: Outcome) -> None:
            report.documents.append(outcome)
            report.not_reached -= 1
            display.done(outcome, len(actions) - report.not_reached, len(actions))

        for outcome in sync.unchanged(actions):
            on_done(outcome)
        here = [action for action in actions if action.step is not Step.KEEP]
        if options.queue and not options.dry_run:
            here = [action for action in here if action.step not in (Step.ADD, Step.UPDATE)]
            jobs = _distribution(connection, mirror, settings, naming)
            _distribute(jobs, actions, display.starting, on_done)
        if here:
            writing = None if options.dry_run else index
            budget = open_budget(connection, settings) if connection is not None and mirror is not None else None
            _change(sync, here, writing, budget, settings, display.starting, on_done)
        sync.sweep()
        if index is not None:
            report.lacks_vectors = _lacks_vectors(index)


def _lacks_vectors(index: VectorIndex) -> bool:
    """Whether chunks lack vectors of the embedding model, and nobody makes them now."""
    found = index.generations()
    if found.current is None or found.following is not None:
        return False
    try:
        model = index.embedding_model
    except ServiceError:  # nobody can tell now which it is to be; a run that had to know it has failed
        return False
    return lacks_vectors_of(model, found.current.metadata)


@dataclass(frozen=True, slots=True)
class Reembedded:
    """What `reembed` has done: so many chunks were embedded, of so many in the index; None when there was no need."""

    model: str
    chunks: int | None


def reembed(settings: Settings, display: Bar | Lines) -> Reembedded:
    """Give the whole index vectors of the embedding model; goes on where a killed run has ended.

    Raises as `run` does, and `AlreadyRunningError`.
    """
    from app.core.queue.connections import VALKEY_UNAVAILABLE
    from ingest.indexing.reembedding import Reembedding
    from ingest.indexing.reembedding_lock import alone
    from worker.http.qdrant import BadRequestError, NotFoundError
    from worker.index.migration import begin, remove_leftovers

    with ExitStack() as stack:
        found = stack.enter_context(located(settings))
        assert found is not None  # only a dry run makes none
        connection = stack.enter_context(_valkey(settings))
        index = stack.enter_context(closing(open_index(found)))
        try:
            is_alone = stack.enter_context(alone(connection, index.name))
            budget = open_budget(connection, settings) if connection is not None else None
            migration = begin(index)
            if migration is None:
                remove_leftovers(index)
                return Reembedded(index.embedding_model, None)
            embedder = Embedder(index, budget)
            work = Reembedding(index, migration, embedder, on_progress=display.reembedded, may_swap=is_alone)
            return Reembedded(index.embedding_model, work.run())
        except (BadRequestError, NotFoundError) as error:
            raise ServiceError(ErrorCode.INTERNAL) from error
        except VALKEY_UNAVAILABLE as error:
            raise ConfigurationError("Valkey cannot be reached: is REDIS_URL right?") from error


@contextmanager
def _valkey(settings: Settings) -> "Iterator[Redis | None]":
    """A connection to Valkey, opened when it is used; None when none is configured or runs here."""
    try:
        address = redis_url(settings)
    except ConfigurationError:
        yield None
        return
    from app.core.queue.connections import connect  # a run that has no Valkey should not wait for its client

    with closing(connect(address)) as connection:
        yield connection


def _distribution(
    connection: "Redis | None", mirror: Mirror | None, settings: Settings, naming: Naming
) -> "Distribution":
    if connection is None or mirror is None:
        raise ConfigurationError(
            "--queue needs the service: start it with `make run`, or set REDIS_URL to its Valkey"
        )
    from ingest.sync.enqueue import Distribution

    return Distribution(connection, mirror, settings, naming)


def _distribute(
    jobs: "Distribution",
    actions: Sequence[Action],
    on_start: Callable[[str], None],
    on_done: Callable[[Outcome], None],
) -> None:
    from app.core.queue.connections import VALKEY_FULL, VALKEY_UNAVAILABLE

    try:
        jobs.run(actions, on_start=on_start, on_done=on_done)
    except VALKEY_UNAVAILABLE as error:
        away = "has no memory left" if isinstance(error, VALKEY_FULL) else "cannot be reached any more"
        raise ConfigurationError(f"Valkey {away}; what is on the queue is there still") from error


def repair_catalog(settings: Settings) -> int:
    """Bring the catalog to match the index; how many records were changed. Raises as `run` does."""
    from app.core.queue.connections import VALKEY_UNAVAILABLE, connect
    from worker.index.catalog_repair import repair

    with ExitStack() as stack:
        connection = stack.enter_context(closing(connect(redis_url(settings))))
        found = stack.enter_context(located(settings))
        assert found is not None  # only a dry run makes none
        index = stack.enter_context(closing(open_index(found)))
        try:
            return repair(index, connection)
        except VALKEY_UNAVAILABLE as error:
            raise ConfigurationError("Valkey cannot be reached: is REDIS_URL right?") from error


def _change(
    sync: Sync,
    actions: Sequence[Action],
    index: VectorIndex | None,
    budget: "Budget | None",
    settings: Settings,
    on_start: Callable[[str], None],
    on_done: Callable[[Outcome], None],
) -> None:
    # Imported here: a run that finds nothing to do should not wait for parsers.
    from ingest.chunking.splitter import Splitter
    from ingest.reading.pool import ReaderPool

    with ExitStack() as stack:
        writer = None
        if index is not None:
            embedder = Embedder(index, budget)
            writer = Writer(index, embedder.embed)
            stack.callback(writer.close)
            stack.callback(embedder.stop)
        reader = stack.enter_context(ReaderPool(use_ocr=settings.ocr))
        splitter = Splitter(settings.chunk_size, settings.chunk_overlap)
        sync.carry_out(actions, reader=reader, splitter=splitter, writer=writer, on_start=on_start, on_done=on_done)
