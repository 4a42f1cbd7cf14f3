"""`python -m ingest PATH [PATH ...]`: bring the index to match files and folders. Also `export` and `import`.

Exit codes: 0, also when `--watch` is told to end; 1 when a file failed, or the index or the model is unavailable; 2
for bad usage; 130 after Ctrl-C.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from app.core.contract import DEFAULT_COLLECTION, is_label
from app.core.errors import ConfigurationError, ErrorCode, ServiceError
from app.core.garbage import sparing
from app.core.logging import configure_logging
from app.core.places import PlaceError
from app.core.settings import Settings, explain
from app.core.tracing import process
from ingest.indexing.reembedding_lock import AlreadyRunningError
from ingest.reading.files import Found, UsageError, find
from ingest.sync.display import Bar, Lines, display_on, print_report, shortened
from ingest.sync.interrupts import EXIT_SIGNAL, Interrupted, interruptible
from ingest.sync.own_qdrant import QdrantStartError
from ingest.sync.report import Failure, Report
from ingest.sync.run import Options, reembed, repair_catalog, run

EXIT_FAILED = 1
EXIT_USAGE = 2
EVERY_SECONDS = 60.0
"""Between two looks of --watch: a look costs a listing."""
EVERY_SECONDS_MAX = 604_800.0
"""A week."""

LACKS_VECTORS = "chunks without a vector of EMBEDDING_MODEL are found by words alone: run python -m ingest --reembed"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal of another encoding must not end the run
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] in (["export"], ["import"]):
        from ingest.moving import command

        return command.main(given)
    options = _parse(given)
    try:
        settings = Settings()
        configure_logging(settings)
        if options.watch:
            return _watch(options, settings)
        found = _found(options, settings)
    except ValidationError as error:
        return _complain(*explain(error).splitlines(), code=EXIT_USAGE)
    except (UsageError, ConfigurationError) as error:
        return _complain(str(error), code=EXIT_USAGE)
    except PlaceError as error:
        return _complain(str(error), code=EXIT_FAILED)
    report = Report(collection=options.collection, dry_run=options.dry_run)
    began = time.monotonic()
    code = _run_until_signalled(found, settings, options, report)
    if options.reembed:
        return _conclude_reembedding(report, code)
    report.seconds = round(time.monotonic() - began, 3)
    return _conclude(report, code, as_json=options.json)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ingest", description="Index documents, so that questions can be asked about them."
    )
    parser.add_argument(
        "paths",
        nargs="*",
        type=_path,
        metavar="PATH",
        help="a file, or a folder with all below it; a folder may be an address like s3://bucket/folder",
    )
    parser.add_argument(
        "--collection", type=_collection, default=DEFAULT_COLLECTION, help=f"name, default {DEFAULT_COLLECTION!r}"
    )
    parser.add_argument(
        "--prune", action="store_true", help="delete the collection's documents whose file is not in the folders"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would happen; embed and write nothing")
    parser.add_argument(
        "--queue", action="store_true", help="let the workers of the ingestion queue index the files, a job for each"
    )
    parser.add_argument(
        "--repair", action="store_true", help="instead: rebuild the catalog that the API shows from the index"
    )
    parser.add_argument(
        "--reembed",
        action="store_true",
        help="instead: give every chunk in the index a vector of EMBEDDING_MODEL; questions go on meanwhile",
    )
    parser.add_argument(
        "--watch", action="store_true", help="look at the folders again and again, until Ctrl-C or SIGTERM"
    )
    parser.add_argument(
        "--every", type=_seconds, default=EVERY_SECONDS, metavar="SECONDS", help="between two looks, default 60"
    )
    parser.add_argument("--json", action="store_true", help="the report as a JSON object on stdout")
    options = parser.parse_args(arguments)
    if [bool(options.paths), options.repair, options.reembed].count(True) != 1:
        parser.error("give files or folders to index, or --repair alone, or --reembed alone")
    if options.watch and (not options.paths or options.dry_run):
        parser.error("--watch wants folders, and goes with neither --dry-run, --repair nor --reembed")
    return options


def _path(text: str) -> Path | str:
    """A path; or an address, whose slashes a path would lose."""
    return text if "://" in text else Path(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= EVERY_SECONDS_MAX:
        raise argparse.ArgumentTypeError("1 to 604800 seconds")
    return seconds


def _found(options: argparse.Namespace, settings: Settings) -> Found:
    if not options.paths:
        return Found()
    if any(isinstance(path, str) for path in options.paths):
        options.paths = _fetched(options.paths, settings)
    return find(options.paths, prune=options.prune, follow_links=settings.ingest_follow_links)


def _fetched(paths: Sequence[Path | str], settings: Settings) -> list[Path]:
    """The paths, with a copy on this machine in the place of each address."""
    from ingest.watching.remote import RemoteFolder

    folders = []
    for path in paths:
        if isinstance(path, Path):
            folders.append(path)
            continue
        remote = RemoteFolder(path, settings.data_dir)
        fetched = remote.fetch()
        for name in (*fetched.failed, *fetched.refused):
            _complain(f"{path}: {name} could not be fetched", code=EXIT_FAILED)
        folders.append(remote.folder)
    return folders


def _watch(options: argparse.Namespace, settings: Settings) -> int:
    from ingest.watching.loop import Watch, say, sources_of

    def tell(report: Report) -> None:
        if options.json:
            print(report.model_dump_json(), flush=True)
        else:
            counted = ", ".join(f"{count:,} {status}" for status, count in report.counts.items() if count)
            say(f"{counted or 'nothing done'} in {report.seconds} s")

    sources = sources_of(options.paths, settings)
    given = Options(collection=options.collection, queue=options.queue)
    try:
        with interruptible(), Lines(sys.stderr) as display:
            watch = Watch(sources, settings, given, prune=options.prune, display=display, on_report=tell, say=say)
            watch.run(options.every)
    except Interrupted:
        return EXIT_SIGNAL
    return 0


def _collection(name: str) -> str:
    if not is_label(name):
        raise argparse.ArgumentTypeError("a name has 1 to 128 letters, digits or _ . : -, and not dots alone")
    return name


def _run_until_signalled(found: Found, settings: Settings, options: argparse.Namespace, report: Report) -> int:
    try:
        with interruptible(), display_on(sys.stderr) as display:
            if options.reembed:
                return _reembed(settings, display)
            if options.repair:
                print(f"ingest: {repair_catalog(settings)} records of the catalog repaired", file=sys.stderr)
            else:
                with process.start(process.INGEST).step("index documents"):
                    run(found, settings, _options(options), report, display)
    except Interrupted as error:
        report.interrupted = True
        return error.exit_code
    except ServiceError as error:
        report.ended_by = Failure.of(error.code)
    except QdrantStartError as error:
        report.ended_by = Failure(code=ErrorCode.INDEX_UNAVAILABLE, message=str(error))
    except ConfigurationError as error:
        return _complain(str(error), code=EXIT_USAGE)
    finally:
        process.stop()
    return EXIT_FAILED if report.has_failed else 0


def _reembed(settings: Settings, display: Bar | Lines) -> int:
    began = time.monotonic()
    try:
        done = reembed(settings, display)
    except AlreadyRunningError:
        return _complain("another process is re-embedding this index", code=EXIT_FAILED)
    model = f"vectors of {done.model}" if done.model else "no vectors"
    if done.chunks is None:
        return _complain(f"nothing to do: the index has {model}", code=0)
    seconds = time.monotonic() - began
    return _complain(f"the index has {model} now: {done.chunks:,} chunks in {seconds:.1f} s", code=0)


def _conclude_reembedding(report: Report, code: int) -> int:
    """Say why it ended before its end, and how to go on."""
    if report.ended_by is not None:
        _complain(f"{report.ended_by.message} What is done is kept: run --reembed again to go on", code=code)
    if report.interrupted:
        _complain("interrupted; what is done is kept: run --reembed again to go on", code=code)
    return code


def _options(given: argparse.Namespace) -> Options:
    folders = [path for path in given.paths if path.is_dir()] if given.prune else []
    return Options(collection=given.collection, prune_below=folders, dry_run=given.dry_run, queue=given.queue)


def _conclude(report: Report, code: int, *, as_json: bool) -> int:
    report.documents.sort(key=lambda outcome: outcome.source)
    if as_json:
        print(report.model_dump_json())
    elif report.documents or report.ended_by is None:
        print_report(report, sys.stdout)
    if report.lacks_vectors:
        _complain(LACKS_VECTORS, code=code)
    left = f"; {report.not_reached} documents not reached, run again to go on" if report.not_reached else ""
    if report.ended_by is not None:
        _complain(report.ended_by.message + left, code=code)
    if report.interrupted:
        _complain(f"interrupted{left}", code=code)
    return code


def _complain(*lines: str, code: int) -> int:
    for line in lines:
        print(f"ingest: {shortened(line, 1_000)}", file=sys.stderr)
    return code


if __name__ == "__main__":
    exit_code = sparing(main)
    if exit_code >= EXIT_SIGNAL:
        sys.stdout.flush()
        sys.stderr.flush()
        # A call to the model that is still in flight must not hold up Ctrl-C. Of --watch, that is how it ends well.
        os._exit(exit_code if exit_code > EXIT_SIGNAL else 0)
    sys.exit(exit_code)
