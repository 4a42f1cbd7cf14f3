"""Where Qdrant is; when there is none, an embedded one for the time of this run."""

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pydantic import SecretStr

from app.core.child_environment import QDRANT_KEY_VARIABLE, for_store
from app.core.errors import ConfigurationError
from app.core.services import qdrant_server
from app.core.settings import Settings

START_SECONDS_MAX = 60
"""Opening a large index replays its log first."""
STOP_SECONDS_MAX = 30
"""It writes to disk what it holds; killed before that, it would replay its log at the next start."""


class QdrantStartError(Exception):
    """The embedded Qdrant did not start. The message is its own last line."""


@contextmanager
def located(settings: Settings, *, dry_run: bool = False) -> Iterator[Settings | None]:
    """`settings` with the Qdrant that is set or runs, else with one that is started, and stopped at the end.

    None when nothing was ever indexed and a dry run must not make the index. Raises `QdrantStartError`.
    """
    try:
        url, key = qdrant_server(settings)
    except ConfigurationError:
        folder = settings.data_dir / "qdrant"
        if dry_run and not folder.exists():
            yield None
            return
        key = secrets.token_hex()  # for this run alone
        with _started(folder, key) as url:
            yield _at(settings, url, key)
    else:
        yield _at(settings, url, key)


def _at(settings: Settings, url: str, key: str | None) -> Settings:
    return settings.model_copy(update={"qdrant_url": url, "qdrant_api_key": SecretStr(key) if key else None})


@contextmanager
def _started(folder: Path, key: str) -> Iterator[str]:
    with tempfile.TemporaryFile() as errors, _launch(folder, key, errors) as process:
        try:
            yield _address(process, errors)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()


def _launch(folder: Path, key: str, errors: IO[bytes]) -> subprocess.Popen[bytes]:
    # The launcher sees to it that Qdrant does not outlive us, even when we are killed.
    return subprocess.Popen(  # noqa: S603 - the folder is the operator's own
        [
            *(sys.executable, "-m", "app.core.launch"),
            *(sys.executable, "-m", "app.embedded.qdrant", "--data-dir", str(folder), "--port", "0"),
        ],
        env=for_store(os.environ) | {QDRANT_KEY_VARIABLE: key},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=True,  # Ctrl-C is for us, who stop it in order
    )


def _address(process: subprocess.Popen[bytes], errors: IO[bytes]) -> str:
    assert process.stdout is not None
    timer = threading.Timer(START_SECONDS_MAX, process.kill)
    timer.daemon = True
    timer.start()
    try:
        line = process.stdout.readline()
    finally:
        timer.cancel()
    if not line:
        process.wait(STOP_SECONDS_MAX)
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip().splitlines()
        raise QdrantStartError(said[-1] if said else f"the embedded Qdrant did not start (exit {process.returncode})")
    return str(json.loads(line)["url"])
