"""A PDF whose end is missing, as after a broken download, given an end with which pdfium can read what is there.

pdfium finds the objects of a file without a table by itself, but it needs a trailer that names the root, and it does
not look for objects inside object streams (PDF 1.5). Both are added here.
"""

import re
import zlib
from collections.abc import Iterator

HEAD = re.compile(rb"(?<![0-9])([0-9]{1,10})\s{1,8}[0-9]{1,5}\s{1,8}\Z")
HEAD_BYTES_MAX = 34
"""The beginning of an object, "12 0 obj", up to its last word."""
IS_PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
IS_CATALOG = re.compile(rb"/Type\s*/Catalog(?![A-Za-z])")
IS_OBJECT_STREAM = re.compile(rb"/Type\s*/ObjStm\b")
STREAM = re.compile(rb"stream\r?\n")
NUMBER_OF_OBJECTS = re.compile(rb"/N\s+([0-9]{1,7})")
FIRST_OBJECT_AT = re.compile(rb"/First\s+([0-9]{1,9})")
DICTIONARY_BYTES_MAX = 65_536
"""As much of an object is looked at: a page's or a catalog's dictionary is shorter."""
UNPACKED_BYTES_MAX = 64 * 1024 * 1024
"""Of all object streams together: a bomb is taken as far as that."""
OBJECTS_MAX = 2_000_000


def repaired(data: bytes) -> bytes:
    """`data` with all objects plain and a new trailer, for pdfium to build its table from. Takes linear time.

    When the catalog is lost, one is made that lists the pages in the order in which the file has them.
    """
    data = _without_half_object(data)
    extra = list(_packed(data))
    objects = [*_plain(data), *extra]
    appended = [b"\n"] + [b"%d 0 obj\n%s\nendobj\n" % (number, body) for number, body in extra]
    root = next((number for number, body in reversed(objects) if IS_CATALOG.search(body)), None)
    if root is None or not _has_page_tree(objects, root):
        root = max((number for number, _ in objects), default=0) + 1
        pages = dict.fromkeys(number for number, body in objects if IS_PAGE.search(body))
        kids = b" ".join(b"%d 0 R" % number for number in pages)
        appended += [
            b"%d 0 obj\n<</Type/Catalog/Pages %d 0 R>>\nendobj\n" % (root, root + 1),
            b"%d 0 obj\n<</Type/Pages/Count %d/Kids[%s]>>\nendobj\n" % (root + 1, len(pages), kids),
        ]
    appended.append(b"trailer\n<</Root %d 0 R>>\nstartxref\n0\n%%%%EOF\n" % root)
    return data + b"".join(appended)


def _starts(data: bytes, after: int = 0) -> Iterator[tuple[int, int, int]]:
    """Each object of the file: its number, where it begins, and where its body begins."""
    at = data.find(b"obj", after)
    for _ in range(OBJECTS_MAX):
        if at < 0:
            return
        if head := HEAD.search(data, max(0, at - HEAD_BYTES_MAX), at):
            yield int(head.group(1)), head.start(), at + 3
        at = data.find(b"obj", at + 3)


def _without_half_object(data: bytes) -> bytes:
    """`data` up to an object that the cut went through: pdfium would take all that follows for its contents."""
    half = next(_starts(data, data.rfind(b"endobj") + 6), None)
    return data if half is None else data[: half[1]]


def _plain(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The numbered objects of the file, each with the beginning of its body."""
    for number, _, start in _starts(data):
        body = data[start : start + DICTIONARY_BYTES_MAX]
        yield number, body[: _end(body)]


def _end(body: bytes) -> int:
    ends = [at for at in (body.find(b"endobj"), body.find(b"stream")) if at >= 0]
    return min(ends, default=len(body))


def _packed(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The objects that stand in object streams."""
    left = UNPACKED_BYTES_MAX
    for _, _, at in _starts(data):
        head = data[at : at + 1024]
        start = STREAM.search(head)
        if start is None or not IS_OBJECT_STREAM.search(head, 0, start.start()):
            continue
        unpacked = _inflated(memoryview(data)[at + start.end() :], left)
        left -= len(unpacked)
        yield from _members(unpacked, head[: start.start()])
        if left <= 0:
            return


def _inflated(packed: memoryview, bytes_max: int) -> bytes:
    """What can be inflated of a stream whose end may be missing."""
    try:
        return zlib.decompressobj().decompress(packed, bytes_max)
    except zlib.error:
        return b""


def _members(unpacked: bytes, dictionary: bytes) -> Iterator[tuple[int, bytes]]:
    count, first = NUMBER_OF_OBJECTS.search(dictionary), FIRST_OBJECT_AT.search(dictionary)
    if count is None or first is None:
        return
    body = unpacked[int(first.group(1)) :]
    numbers = [int(word) for word in unpacked[: int(first.group(1))].split() if word.isdigit() and len(word) < 11]
    pairs = list(zip(numbers[::2], numbers[1::2], strict=False))[: int(count.group(1))]
    ends = [at for _, at in pairs[1:]] + [len(body)]
    for (number, at), end in zip(pairs, ends, strict=True):
        if at < end:
            yield number, body[at:end]


def _has_page_tree(objects: list[tuple[int, bytes]], root: int) -> bool:
    """Whether the object that the catalog names as its page tree is there."""
    catalog = next(body for number, body in reversed(objects) if number == root)
    named = re.search(rb"/Pages\s+([0-9]{1,10})\s", catalog)
    return named is not None and any(number == int(named.group(1)) for number, _ in objects)
