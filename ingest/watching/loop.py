"""`python -m ingest --watch FOLDER`: one round after the other, until a signal comes.

A round does what `python -m ingest FOLDER` does, about the files that are new or changed since they were worked on.
What fails is told once and tried again: a folder or a store that is away, an index or a model that is.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic, sleep

from app.core.errors import ConfigurationError, ServiceError
from app.core.places import PlaceError
from app.core.settings import Settings
from ingest.reading.files import Found, UsageError, find, safe_name
from ingest.sync.display import Lines
from ingest.sync.own_qdrant import QdrantStartError
from ingest.sync.report import Failure, Report, Status
from ingest.sync.run import Options, run
from ingest.watching.remote import RemoteFolder
from ingest.watching.settled import QUIET_SECONDS, Settled

Say = Callable[[str], None]


@dataclass(slots=True)
class Source:
    """A folder that is watched: where its files are on this machine, and what is known of them."""

    name: str
    folder: Path
    remote: RemoteFolder | None
    settled: Settled
    told: dict[str, str] = field(default_factory=dict)
    """What was said of it last, by what it is about: it is not said again in each round."""
    has_run: bool = False


def sources_of(paths: Sequence[Path | str], settings: Settings) -> list[Source]:
    """What is to be watched; a text is an address. Raises `ConfigurationError` when a package is missing."""
    sources = []
    for path in paths:
        remote = RemoteFolder(path, settings.data_dir) if isinstance(path, str) else None
        folder = remote.folder if remote is not None else Path(path)
        settled = Settled() if remote is None else Settled(quiet_seconds=0)
        sources.append(Source(safe_name(str(path)), folder, remote, settled))
    return sources


class Watch:
    """Rounds over `sources`. `on_report` is told what a round did, if it did anything; `say` of what is away."""

    def __init__(
        self,
        sources: Sequence[Source],
        settings: Settings,
        options: Options,
        *,
        prune: bool,
        display: Lines,
        on_report: Callable[[Report], None],
        say: Say,
    ) -> None:
        self._sources = sources
        self._settings = settings
        self._options = options
        self._prune = prune
        self._display = display
        self._on_report = on_report
        self._say = say

    def run(self, every_seconds: float) -> None:
        """For ever: a signal's exception ends it."""
        while True:
            began = monotonic()
            waits = [self.round(source) for source in self._sources]
            pause = min(every_seconds, QUIET_SECONDS) if any(waits) else every_seconds
            sleep(max(0.0, began + pause - monotonic()))

    def round(self, source: Source) -> bool:
        """One look at `source`, and what follows from it; whether it should be looked at again soon."""
        with self._telling(source):
            if source.remote is not None:
                self._fetch(source, source.remote)
            found = find([source.folder], follow_links=self._settings.ingest_follow_links)
            changed = source.settled.changed(found.files)
            news = [one for one in found.refused if self._is_news(source, f"file {one.source}", one.reason.value)]
            is_pruned = self._prune and (not source.has_run or source.settled.gone(found.files))
            if changed or is_pruned or any(one.is_failure for one in news):
                self._work(source, replace(found, files=changed, refused=news), is_pruned=is_pruned)
            if not found.unlisted:
                source.settled.forget_gone(found.files)
            source.has_run = True
        return source.settled.waits

    def _work(self, source: Source, found: Found, *, is_pruned: bool) -> None:
        report = Report(collection=self._options.collection, dry_run=False)
        folders = [source.folder] if is_pruned else []
        began = monotonic()
        try:
            run(found, self._settings, replace(self._options, prune_below=folders), report, self._display)
        finally:
            source.settled.worked_on(found.files, report.documents)
            report.seconds = round(monotonic() - began, 3)
            if report.has_failed or any(one.status is not Status.UNCHANGED for one in report.documents):
                self._on_report(report)

    def _fetch(self, source: Source, remote: RemoteFolder) -> None:
        fetched = remote.fetch()
        for name in fetched.refused:
            if self._is_news(source, f"refused {name}", "refused"):
                self._say(f"{source.name}: {safe_name(name)} is too large, or has a name that no file here can have")
        if fetched.failed and self._is_news(source, "failed", str(sorted(fetched.failed))):
            self._say(f"{source.name}: {len(fetched.failed)} files could not be fetched whole; they are tried again")

    @contextmanager
    def _telling(self, source: Source) -> Iterator[None]:
        """What ends a round is told once, and that it is over."""
        try:
            yield
        except (UsageError, PlaceError, ConfigurationError, QdrantStartError) as error:
            reason = str(error)
        except ServiceError as error:
            reason = Failure.of(error.code).message
        else:
            if source.told.pop("away", None) is not None:
                self._say(f"{source.name}: it is there again")
            return
        if self._is_news(source, "away", reason):
            self._say(f"{reason} (tried again until it works; nothing is deleted)")

    @staticmethod
    def _is_news(source: Source, about: str, what: str) -> bool:
        if source.told.get(about) == what:
            return False
        source.told[about] = what
        return True


def say(line: str) -> None:
    """On the standard error, at once: it may be a pipe."""
    print(f"ingest: {line}", file=sys.stderr, flush=True)
