"""The child process that parses PDFs: `python -m ingest.extract`. It may crash, hang or be killed at any moment.

It reads requests from stdin and writes replies to stdout, a JSON object a line:

    {"path": "/data/a.pdf"}  ->  {"text": "...", "is_cut": false}    for each page, in order; text null: unreadable
                                 {"sha256": "..."}                   the end: what was parsed
                             or  {"failed": "encrypted"}             the end: a `Reason`

It is an import of the standard library and two parsers only, so that a fresh one starts in a quarter of a second.
"""

import contextlib
import hashlib
import json
import os
import re
import resource
import signal
import sys
import unicodedata
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pypdfium2
from pypdf import PdfReader

from ingest.files import FILE_BYTES_MAX, open_regular
from ingest.reasons import FileError, Reason

MEMORY_BYTES_MAX = 1024 * 1024 * 1024
"""Address space of the child: four times the largest file; 10-K filings of 200 to 420 pages take 0.3 GiB of it."""
DOCUMENT_SECONDS_MAX = 120
"""At the 100 pages/s of a slow core, this is 12,000 ordinary pages, or fifteen of those that take eight seconds."""
ORPHAN_GRACE_SECONDS = 10
"""The child ends itself this long after the limit that its parent enforces, should the parent be gone."""
PAGES_MAX = 20_000
"""The largest manuals have some thousands; a page tree that claims more is made to keep us busy."""
PAGE_CHARACTERS_MAX = 1_000_000
"""The densest page of our 10-K filings holds 10,104; the rest of a longer page is cut."""
MAGIC = b"%PDF-"
MAGIC_WITHIN_BYTES = 1024
"""Readers accept the magic that late (PDF Reference 1.7, appendix H, note 13)."""

PASSWORD_NEEDED = 4
"""FPDF_ERR_PASSWORD of pdfium, which repeats its last error for a document that has no pages."""
ENCRYPT = b"/Encrypt"
"""Stands in the trailer, in plain, of a document that is encrypted."""

LINE_END = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
HYPHEN = "[\x02\ufffe\u00ad\u2010-]"
"""pdfium writes U+0002 (or U+FFFE) for a hyphen at a line's end, and joins the lines; others leave both."""
BROKEN_WORD = re.compile(rf"(?<!\w)(\w{{1,60}})(?:{HYPHEN}\n|[\x02\ufffe\u00ad])(?=(\w{{1,60}})(?!\w))")
NOT_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\ud800-\udfff\uffff]")
WORD = re.compile(r"\w{1,120}")
BLANKS = re.compile("[ \t\u00a0]+")
EMPTY_LINES = re.compile("\n{3,}")


def main() -> None:
    """Serve requests until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a parser prints must not look like a reply
    _limit_resources()
    for line in sys.stdin.buffer:
        signal.alarm(DOCUMENT_SECONDS_MAX + ORPHAN_GRACE_SECONDS)
        for reply in extract(Path(json.loads(line)["path"])):
            replies.write(json.dumps(reply).encode() + b"\n")
            replies.flush()
        signal.alarm(0)


def extract(path: Path) -> Iterator[dict[str, Any]]:
    """The replies for one file, as the module's docstring lists them. Holds one page's text at a time."""
    try:
        data = _read(path)
        pdf = _Pdf(data)
    except FileError as error:
        yield {"failed": error.reason}
        return
    for number in range(pdf.page_count):
        text = pdf.text(number)
        is_cut = text is not None and len(text) > PAGE_CHARACTERS_MAX
        plain = None if text is None else clean(text[:PAGE_CHARACTERS_MAX])[:PAGE_CHARACTERS_MAX]  # NFC can lengthen
        yield {"text": plain, "is_cut": is_cut}
    yield {"sha256": hashlib.sha256(data).hexdigest()}


def clean(text: str) -> str:
    """The page's own words as plain text: NFC, lines ended by a newline, no control characters, no runs of blanks.

    A word broken at a line's end is made whole when the page has the whole word elsewhere, too; else it keeps its
    hyphen ("long-term" is broken just like "informa-tion"). Takes time linear in the length of `text`.
    """
    text = unicodedata.normalize("NFC", LINE_END.sub("\n", text))
    if BROKEN_WORD.search(text):
        words = set(WORD.findall(text.casefold()))
        text = BROKEN_WORD.sub(lambda broken: _mended(broken, words), text)
    text = NOT_TEXT.sub("", text.replace("\x02", "-").replace("\ufffe", "-"))
    return EMPTY_LINES.sub("\n\n", BLANKS.sub(" ", text).replace(" \n", "\n"))


def _mended(broken: re.Match[str], words: set[str]) -> str:
    start, end = broken.group(1), broken.group(2)
    is_soft = "\u00ad" in broken.group(0)
    return start if is_soft or (start + end).casefold() in words else f"{start}-"


def _read(path: Path) -> bytes:
    with open_regular(path) as opened:
        try:
            data = opened.read(FILE_BYTES_MAX + 1)
        except OSError as error:
            raise FileError(Reason.UNREADABLE) from error
    if len(data) > FILE_BYTES_MAX:
        raise FileError(Reason.TOO_LARGE)
    if MAGIC not in data[:MAGIC_WITHIN_BYTES]:
        raise FileError(Reason.NOT_A_PDF if data else Reason.EMPTY_FILE)
    return data


class _Pdf:
    """A document's pages, by pdfium, and by pypdf where pdfium refuses. Raises `FileError` when both do."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._second: PdfReader | None = None
        try:
            self._first = pypdfium2.PdfDocument(data)
            self.page_count: int = len(self._first)
        except pypdfium2.PdfiumError as error:
            if error.err_code == PASSWORD_NEEDED and ENCRYPT in data:
                raise FileError(Reason.ENCRYPTED) from error
            self._first = None
            self.page_count = self._pages_by_pypdf()
        if self.page_count > PAGES_MAX:
            raise FileError(Reason.TOO_LARGE)

    def text(self, number: int) -> str | None:
        """The text of page `number` (from 0) as the parser gives it, or None when no parser can read it."""
        text = _attempt(self._by_pdfium, number) if self._first is not None else None
        return _attempt(self._by_pypdf, number) if text is None else text

    def _by_pdfium(self, number: int) -> str:
        page = self._first[number]
        try:
            words = page.get_textpage()
            try:
                return str(words.get_text_bounded())
            finally:
                words.close()
        finally:
            page.close()

    def _by_pypdf(self, number: int) -> str:
        return self._pypdf().pages[number].extract_text()

    def _pypdf(self) -> PdfReader:
        if self._second is None:
            self._second = PdfReader(BytesIO(self._data))
            if self._second.is_encrypted and not self._second.decrypt(""):
                raise FileError(Reason.ENCRYPTED)
        return self._second

    def _pages_by_pypdf(self) -> int:
        try:
            return len(self._pypdf().pages)
        except (FileError, MemoryError):
            raise
        except Exception as error:  # parsers raise nearly anything
            raise FileError(Reason.DAMAGED) from error


def _attempt(read: Callable[[int], str], number: int) -> str | None:
    try:
        return read(number)
    except MemoryError:
        raise  # ends this child, and its document with it
    except Exception:  # parsers raise nearly anything; the page is reported as missing
        return None


def _limit_resources() -> None:
    for kind, wanted in ((resource.RLIMIT_AS, MEMORY_BYTES_MAX), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(kind)[1]
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS has no limit on address space
            resource.setrlimit(kind, (limit, hard))


if __name__ == "__main__":
    main()
