"""`python -m ingest export FILE` and `python -m ingest import FILE`.

Exit codes: 0; 1 when the archive is damaged or does not belong here, or the index is unavailable; 2 for bad usage;
130 after Ctrl-C.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence

from pydantic import ValidationError

from app.core.contract import is_label
from app.core.errors import ConfigurationError, ServiceError
from app.core.logging import configure_logging
from app.core.places import PlaceError, reading, writing
from app.core.settings import Settings, explain
from ingest.sync.display import Bar, Lines, display_on, shortened
from ingest.sync.interrupts import Interrupted, interruptible
from ingest.sync.own_qdrant import QdrantStartError
from ingest.sync.report import Failure

EXIT_FAILED = 1
EXIT_USAGE = 2
COMMANDS = ("export", "import")
TELL_BYTES = 1 << 20
"""Read between two moves of the bar."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    options = _parser().parse_args(arguments)
    try:
        settings = Settings()
    except ValidationError as error:
        return _say(*explain(error).splitlines(), code=EXIT_USAGE)
    configure_logging(settings)
    try:
        with interruptible(), display_on(sys.stderr) as display:
            code: int = options.run(settings, options, display)
    except Interrupted as error:
        return _say("interrupted; run it again", code=error.exit_code)
    except ServiceError as error:
        return _say(Failure.of(error.code).message, code=EXIT_FAILED)
    except (PlaceError, QdrantStartError) as error:
        return _say(str(error), code=EXIT_FAILED)
    except ConfigurationError as error:
        return _say(str(error), code=EXIT_USAGE)
    else:
        return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ingest",
        description="Move an index to another service: no document is read and nothing is embedded again. "
        "(A folder of that name is indexed as ./export or ./import.)",
    )
    commands = parser.add_subparsers(required=True, metavar="export|import")
    export = commands.add_parser("export", help="write documents, chunks, vectors and files into FILE")
    export.add_argument("--force", action="store_true", help="write over FILE when it is there")
    export.set_defaults(run=_export)
    imported = commands.add_parser("import", help="bring what is in FILE into this service's index")
    imported.add_argument(
        "--without-vectors", action="store_true", help="leave the archive's vectors out; words are found all the same"
    )
    imported.set_defaults(run=_import)
    for command in (export, imported):
        command.add_argument("file", metavar="FILE", help="a path, or an address like s3://bucket/name.jsonl.gz")
        command.add_argument("--tenant", type=_label, help="this tenant's alone; default: every tenant's")
        command.add_argument("--collection", type=_label, help="this collection alone; default: all")
    return parser


def _label(name: str) -> str:
    if not is_label(name):
        raise argparse.ArgumentTypeError("a name has 1 to 128 letters, digits or _ . : -, and not dots alone")
    return name


def _export(settings: Settings, options: argparse.Namespace, display: Bar | Lines) -> int:
    from ingest.moving.exporting import export

    began = time.monotonic()
    with writing(options.file, force=options.force) as stream:
        done = export(
            settings,
            stream,
            tenant=options.tenant,
            collection=options.collection,
            on_progress=lambda chunks, total: display.moved("exporting chunks", chunks, total),
        )
        size = stream.tell()
    counts, lines = done.counts, []
    vectors = f"vectors of {done.embedding_model}" if done.embedding_model else "no vectors"
    lines.append(
        f"exported {counts.documents:,} documents, {counts.chunks:,} chunks with {vectors} and {counts.files:,} "
        f"files into {options.file}: {size / 1e6:,.1f} MB in {time.monotonic() - began:.1f} s"
    )
    if done.not_indexed:
        lines.append(f"{done.not_indexed:,} documents that are not indexed are not in it")
    if done.gone:
        lines.append(f"{done.gone:,} documents were deleted or changed while they were read, or are broken: left out")
    if done.without_file:
        lines.append(f"of {done.without_file:,} documents the file is not kept here: they are in it without")
    if not done.has_valkey:
        lines.append("no Valkey answered: what is said of collections (titles, instructions) is not in it")
    return _say(*lines, code=0)


def _import(settings: Settings, options: argparse.Namespace, display: Bar | Lines) -> int:
    from ingest.moving.importing import MismatchError, Wanted, check, import_all
    from ingest.moving.reader import ArchiveError

    began = time.monotonic()
    wanted = Wanted(options.tenant, options.collection, vectors=not options.without_vectors)
    try:
        with reading(options.file) as (stream, size):
            checked = check(stream, wanted, on_read=_telling(display, "checking", size))
        with reading(options.file) as (stream, size):
            done = import_all(settings, stream, checked, wanted, on_read=_telling(display, "importing", size))
    except ArchiveError as error:
        return _say(f"{options.file} can't be imported, {error}. Nothing of it was imported", code=EXIT_FAILED)
    except MismatchError as error:
        return _say(str(error), code=EXIT_FAILED)
    vectors = f"vectors of {done.embedding_model}" if done.embedding_model else "no vectors"
    lines = [
        f"imported {done.written:,} documents, {done.chunks:,} chunks with {vectors} and {done.files:,} files "
        f"in {time.monotonic() - began:.1f} s; {done.unchanged:,} documents were here already"
    ]
    if done.newer:
        lines.append(f"{done.newer:,} documents are newer here, and were left")
    if done.erasing:
        lines.append(f"{done.erasing:,} documents are of a tenant that is just being erased, and were left out")
    if done.not_shown:
        lines.append(f"{done.not_shown:,} documents are not shown yet: run python -m ingest --repair")
    if not done.has_valkey:
        lines.append(
            "no Valkey answered: documents are shown when a worker starts; what is said of collections is left out"
        )
    if done.lacks_vectors:
        lines.append(
            "chunks without a vector of EMBEDDING_MODEL are found by words alone: run python -m ingest --reembed"
        )
    return _say(*lines, code=0)


def _telling(display: Bar | Lines, what: str, size: int) -> Callable[[int], None]:
    """Moves the bar as the archive is read."""
    told = -TELL_BYTES

    def tell(done: int) -> None:
        nonlocal told
        if done - told >= TELL_BYTES or done == size:
            told = done
            display.moved(f"{what}, MB", done >> 20, max(1, size >> 20))

    return tell


def _say(*lines: str, code: int) -> int:
    for line in lines:
        print(f"ingest: {shortened(line, 1_000)}", file=sys.stderr)
    return code
