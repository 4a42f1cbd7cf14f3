"""`python -m app backup FILE` and `python -m app restore FILE`. Exit codes: 0, or 1 with the reason on stderr."""

import argparse
import sys
import time

from app.core.places import PlaceError, reading, writing
from app.core.settings import Settings
from app.embedded.backup.manifest import BackupError


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`backup` and `restore`, with what they take."""
    backup = commands.add_parser("backup", help="all of DATA_DIR into FILE, also while the service runs")
    backup.add_argument("--force", action="store_true", help="write over FILE when it is there")
    backup.set_defaults(run=_backup)
    restore = commands.add_parser("restore", help="DATA_DIR from FILE, while the service is stopped")
    restore.add_argument("--force", action="store_true", help="move aside what is in DATA_DIR")
    restore.set_defaults(run=_restore)
    for command in (backup, restore):
        command.add_argument("file", metavar="FILE", help="a path, or an address like s3://bucket/name.tar.gz")
        command.add_argument(
            "--partial", action="store_true", help="although REDIS_URL, QDRANT_URL, ... name what is outside DATA_DIR"
        )


def _backup(settings: Settings, options: argparse.Namespace) -> int:
    from app.embedded.backup.taking import back_up

    began = time.monotonic()
    try:
        with writing(options.file, force=options.force) as stream:
            taken = back_up(settings, stream, partial=options.partial)
            packed = stream.tell()
    except (BackupError, PlaceError) as error:
        return _say(str(error), code=1)
    state = "running" if taken.was_running else "stopped"
    return _say(
        f"backed up the {state} service: {taken.files:,} files, {taken.size_bytes / 1e6:,.1f} MB, "
        f"into {options.file} ({packed / 1e6:,.1f} MB) in {time.monotonic() - began:.1f} s",
        *([f"not in it: what {', '.join(taken.outside)} name"] if taken.outside else []),
        "not in it: .env and API_KEYS, which are yours to keep; who reads the file reads all documents and answers",
        code=0,
    )


def _restore(settings: Settings, options: argparse.Namespace) -> int:
    from app.embedded.backup.restoring import restore

    began = time.monotonic()
    try:
        with reading(options.file) as (stream, _):
            done = restore(settings, stream, force=options.force, partial=options.partial)
    except (BackupError, PlaceError) as error:
        return _say(str(error), code=1)
    lines = [
        f"restored {len(done.manifest.files):,} files, {done.size_bytes / 1e6:,.1f} MB, "
        f"of {done.manifest.made_at:%Y-%m-%d %H:%M} UTC into {settings.data_dir.absolute()} in "
        f"{time.monotonic() - began:.1f} s; start the service"
    ]
    if done.moved_to is not None:
        lines.append(f"what was there is in {done.moved_to}")
    if done.other_versions:
        lines.append(f"written by {', '.join(done.other_versions)}: if the service does not start, install those")
    return _say(*lines, code=0)


def _say(*lines: str, code: int) -> int:
    for line in lines:
        print(f"app: {line}", file=sys.stderr)
    return code
