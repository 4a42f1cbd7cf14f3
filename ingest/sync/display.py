"""What a person sees: progress on stderr (a bar on a terminal, else lines), and the report as a table on stdout."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from time import monotonic
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from ingest.reading.files import safe_name
from ingest.reading.kinds import kind_of
from ingest.sync.report import Outcome, Report, Status

LINE_SECONDS = 5.0
"""Between two lines of a long work that does not go to a terminal."""
PLAIN_WIDTH = 160
"""Of a table that does not go to a terminal."""
NAME_CHARACTERS_SHOWN = 120
RANGES_LISTED = 8
NAMES_LISTED = 3
"""Of the files of a kind that is not read; the others are counted."""
STYLES = {Status.FAILED: "red", Status.SKIPPED: "yellow", Status.ADDED: "green", Status.UPDATED: "green"}


class Display(AbstractContextManager["Display"], Protocol):
    """Is told of a run's progress."""

    def checked(self, number: int, total: int) -> None:
        """File `number` of `total` has been compared with the index."""

    def starting(self, source: str) -> None:
        """A document is having its turn. Called from any thread."""

    def done(self, outcome: Outcome, number: int, total: int) -> None:
        """A document has had its turn, the `number`th of `total`."""

    def reembedded(self, chunks: int, total: int) -> None:
        """So many chunks of `total` have their new vector."""

    def moved(self, what: str, done: int, total: int) -> None:
        """So much of `total` is exported or imported."""


class Lines:
    """A line for each document that changed or failed, for logs and pipes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._said_at = -LINE_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.flush()

    def checked(self, number: int, total: int) -> None:
        """One line, when all have been compared."""
        if number == total:
            print(f"checked {total} {_files(total)}", file=self._stream)

    def starting(self, source: str) -> None:
        """No-op: a line when it is done is enough."""

    def done(self, outcome: Outcome, number: int, total: int) -> None:
        """A line, unless nothing happened."""
        if outcome.status is not Status.UNCHANGED:
            print(f"[{number}/{total}] {outcome.status} {name_of(outcome)}{_detail(outcome)}", file=self._stream)

    def reembedded(self, chunks: int, total: int) -> None:
        """A line now and then, and the last."""
        self._now_and_then(f"re-embedded {chunks:,} of {total:,} chunks", is_last=chunks == total)

    def moved(self, what: str, done: int, total: int) -> None:
        """A line now and then, and the last."""
        self._now_and_then(f"{what}: {done:,} of {total:,}", is_last=done == total)

    def _now_and_then(self, line: str, *, is_last: bool) -> None:
        if is_last or monotonic() - self._said_at >= LINE_SECONDS:
            self._said_at = monotonic()
            print(line, file=self._stream, flush=True)


class Bar:
    """A progress bar, which leaves nothing behind."""

    def __init__(self, stream: TextIO) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(file=stream),
            transient=True,
        )
        self._task = self._progress.add_task("reading the index", total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def checked(self, number: int, total: int) -> None:
        """Move the bar."""
        self._progress.update(self._task, description="checking", completed=number, total=total)

    def starting(self, source: str) -> None:
        """Show the name."""
        self._progress.update(self._task, description=f"indexing {shortened(source, 40)}")

    def done(self, outcome: Outcome, number: int, total: int) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=number, total=total)

    def reembedded(self, chunks: int, total: int) -> None:
        """Move the bar."""
        self.moved("re-embedding chunks", chunks, total)

    def moved(self, what: str, done: int, total: int) -> None:
        """Move the bar."""
        self._progress.update(self._task, description=what, completed=done, total=total)


def display_on(stream: TextIO) -> Bar | Lines:
    """The bar on a terminal, lines elsewhere."""
    return Bar(stream) if Console(file=stream).is_terminal else Lines(stream)


def print_report(report: Report, stream: TextIO) -> None:
    """The counts, and a row for each document that is not, or not wholly, what the folder holds."""
    console = Console(file=stream, highlight=False)
    if not console.is_terminal:
        console = Console(file=stream, highlight=False, width=PLAIN_WIDTH)
    console.print(_counts(report))
    told = [outcome for outcome in report.documents if outcome.failure is not None or outcome.is_partial]
    remarkable = [outcome for outcome in told if not outcome.is_of_other_kind]
    if remarkable:
        console.print(_reasons(remarkable))
    if report.other_kinds:
        console.print(_other_kinds(report))
        console.print(_reasons_of_kinds(report))


def shortened(name: str, characters: int = NAME_CHARACTERS_SHOWN) -> str:
    """`name` made safe for a terminal; of a long one the end, which tells more."""
    name = safe_name(name)
    return name if len(name) <= characters else "…" + name[1 - characters :]


def name_of(outcome: Outcome) -> str:
    """The document's name, fit for a terminal."""
    return shortened(outcome.source)


def _counts(report: Report) -> Table:
    title = f"Collection {report.collection}: {'what a run would do' if report.dry_run else 'what was done'}"
    table = Table(title=title, title_justify="left", box=SIMPLE)
    table.add_column("")
    for heading in ("documents", "pages", "chunks"):
        table.add_column(heading, justify="right")
    for status, count in report.counts.items():
        if status in (Status.SKIPPED, Status.RENAMED) and not count:
            continue
        same = [outcome for outcome in report.documents if outcome.status is status]
        pages, chunks = sum(outcome.pages for outcome in same), sum(outcome.chunks for outcome in same)
        style = STYLES.get(status, "") if count else "dim"
        table.add_row(
            status, f"{count:,}", f"{pages:,}" if pages else "", f"{chunks:,}" if chunks else "", style=style
        )
    return table


def _reasons(outcomes: list[Outcome]) -> Table:
    table = Table(box=SIMPLE)
    table.add_column("document", overflow="fold")
    table.add_column("", no_wrap=True)
    table.add_column("why", overflow="fold")
    for outcome in outcomes:
        style = STYLES.get(Status.SKIPPED if outcome.is_partial else outcome.status, "")
        label = outcome.failure.code.value if outcome.failure else "partly read"
        table.add_row(Text(name_of(outcome)), Text(label, style=style), Text(_why(outcome)))
    return table


def _other_kinds(report: Report) -> Table:
    """A row for each kind of files that were passed over."""
    known: dict[str, list[Outcome]] = {}
    for outcome in report.documents:
        if outcome.is_of_other_kind:
            known.setdefault(kind_of(outcome.source), []).append(outcome)
    table = Table(title="Passed over, by kind", title_justify="left", box=SIMPLE)
    table.add_column("kind", no_wrap=True)
    table.add_column("files", justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for kind, count in report.other_kinds.items():
        outcomes = known.get(kind, [])
        table.add_row(Text(kind or "none"), f"{count:,}", Text(_names(outcomes, count)), style="yellow")
    return table


def _names(outcomes: list[Outcome], count: int) -> str:
    """The first names, and how many others there are."""
    shown = [name_of(outcome) for outcome in outcomes[:NAMES_LISTED]]
    left = count - len(shown)
    return ", ".join(shown) + (f" and {left:,} more" if left else "")


def _reasons_of_kinds(report: Report) -> Text:
    """Each reason once, behind its code."""
    failures = {outcome.failure for outcome in report.documents if outcome.failure and outcome.is_of_other_kind}
    return Text("\n".join(sorted(f"{failure.code}: {failure.message}" for failure in failures)))


def _why(outcome: Outcome) -> str:
    return " ".join(_sentences(outcome))


def _sentences(outcome: Outcome) -> Iterator[str]:
    if outcome.failure:
        yield outcome.failure.message
    if outcome.missing_pages:
        yield f"Of {outcome.pages} pages these could not be read: {_listed(outcome.missing_pages)}."
    if outcome.cut_pages:
        yield f"These pages were too long, and their end is left out: {_listed(outcome.cut_pages)}."


def _detail(outcome: Outcome) -> str:
    why = _why(outcome)
    if outcome.failure:
        return f": {outcome.failure.code.value}: {why}"
    return f" ({outcome.pages} pages, {outcome.chunks} chunks){': ' + why if why else ''}"


def _listed(pages: tuple[int, ...]) -> str:
    """The pages in words: "2, 5-7"; of many ranges the first."""
    ranges: list[list[int]] = []
    for page in pages:
        if ranges and page == ranges[-1][1] + 1:
            ranges[-1][1] = page
        else:
            ranges.append([page, page])
    shown = [str(first) if first == last else f"{first}-{last}" for first, last in ranges[:RANGES_LISTED]]
    return ", ".join(shown) + (" and others" if len(ranges) > RANGES_LISTED else "")


def _files(count: int) -> str:
    return "file" if count == 1 else "files"
