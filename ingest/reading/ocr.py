"""Words of pictures, by ocrmypdf and tesseract where they are installed: the `ocr` extra, and OCR=true.

`python -m ingest.reading.ocr IN OUT PAGES` is how it runs: a process that bounds its memory, then becomes ocrmypdf.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from app.core.errors import ConfigurationError
from ingest.reading.reasons import FileError, Reason

SECONDS_MAX = 1800
"""Some seconds a page, on all cores."""
MEMORY_BYTES_MAX = 4 * 1024 * 1024 * 1024
"""Address space of each process of it: a page is a picture of 100 million bytes at times."""
COMMANDS = ("ocrmypdf", "tesseract")


def require() -> None:
    """Raises `ConfigurationError` when OCR cannot be had."""
    missing = [command for command in COMMANDS if shutil.which(command) is None]
    if missing:
        raise ConfigurationError(
            f"OCR=true needs {' and '.join(missing)}, not found on PATH: install the extra `ocr` and the system's "
            "tesseract, or set OCR=false"
        )


@contextmanager
def searchable(scan: BinaryIO, sha256: str, pages: Sequence[int]) -> Iterator[Path | None]:
    """A copy of the PDF `scan` whose `pages`, from 1, are pictures with their words on an invisible layer.

    None when that fails. The other pages are as they were. ocrmypdf opens files by their names, so it is given one
    that nobody else can put another file behind. Raises `FileError` when the bytes are not those of `sha256`.
    """
    with tempfile.TemporaryDirectory(prefix="ingest-ocr-") as folder:
        own, copy = (Path(folder).resolve() / name for name in ("scan.pdf", "searchable.pdf"))
        with own.open("w+b") as file:
            shutil.copyfileobj(scan, file)
            file.seek(0)
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise FileError(Reason.CHANGED)
        yield copy if _run(own, copy, pages) and copy.exists() else None


def _run(path: Path, copy: Path, pages: Sequence[int]) -> bool:
    root = str(Path(__file__).resolve().parents[2])
    process = subprocess.Popen(  # noqa: S603 - our own module; the paths are arguments, not options
        [sys.executable, "-m", "ingest.reading.ocr", str(path), str(copy), ranges(pages)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": root, "TMPDIR": str(copy.parent)},
        start_new_session=True,  # it has children, which end with it
    )
    try:
        return process.wait(SECONDS_MAX) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def ranges(pages: Sequence[int]) -> str:
    """Numbers in order as ocrmypdf takes them: "1-3,7"."""
    runs: list[list[int]] = []
    for page in pages:
        if runs and page == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], page]
        else:
            runs.append([page])
    return ",".join("-".join(map(str, run)) for run in runs)


def command(scan: str, copy: str, pages: str) -> list[str]:
    """What is run. It is forced, since a page whose text is garbage has text, and would be passed over for that."""
    options = ["--pages", pages, "--force-ocr", "--output-type", "pdf", "--optimize", "0", "--quiet"]
    return ["ocrmypdf", *options, scan, copy]


def main() -> None:
    """Become ocrmypdf."""
    from ingest.reading.extract import limit_resources

    limit_resources(MEMORY_BYTES_MAX)
    line = command(*sys.argv[1:4])
    os.execvp(line[0], line)  # noqa: S606 - where PATH says, as `require` has looked


if __name__ == "__main__":
    main()
