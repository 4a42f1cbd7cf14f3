"""A book: a page for each chapter in the order of reading, named as the table of contents does or by its heading."""

import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from ingest.reading.office.lazy import LazyPages
from ingest.reading.office.package import Package
from ingest.reading.office.page_writer import label_of, one_line
from ingest.reading.page import Page
from ingest.reading.reasons import FileError, Reason

HtmlReader = Callable[[bytes], tuple[Page, str]]
"""From a page of HTML to its words, and its title."""

CONTAINER = "META-INF/container.xml"
ENCRYPTION = "META-INF/encryption.xml"
CHAPTER_TYPES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")
CHAPTERS_MAX = 5_000


def read(data: bytes, read_html: HtmlReader) -> tuple[Sequence[Page], str]:
    """The pages, read when they are asked for, and the title. Raises `FileError`, or nearly anything."""
    package = Package(data)
    opf = _opf(package)
    root = package.tree(opf)
    chapters = [name for name in _spine(root, opf) if name in package.names][:CHAPTERS_MAX]
    if _locked(package) & set(chapters):
        raise FileError(Reason.ENCRYPTED)
    if not chapters:
        raise FileError(Reason.DAMAGED)
    names = _contents(package, root, opf)
    pages = [partial(_page, package.read(name), names.get(name, ""), read_html) for name in chapters]
    title = next((one_line("".join(found.itertext())) for found in _all(root, "title")), "")
    return LazyPages(pages), title


def _page(data: bytes, name: str, read_html: HtmlReader) -> Page:
    page, title = read_html(data)
    heading = next(iter(page.headings), "")
    return replace(page, label=label_of(name or heading or title))


def _opf(package: Package) -> str:
    """Where the book describes itself."""
    for found in _all(package.tree(CONTAINER), "rootfile"):
        name = _inside("", found.get("full-path", ""))
        if name in package.names:
            return name
    raise FileError(Reason.DAMAGED)


def _spine(root: Element, opf: str) -> Iterator[str]:
    """The chapters' names in the zip, in the order of reading."""
    items = {item.get("id", ""): item for item in _all(root, "item")}
    for reference in _all(root, "itemref"):
        item = items.get(reference.get("idref", ""))
        if item is not None and item.get("media-type") in CHAPTER_TYPES:
            yield _inside(opf, item.get("href", ""))


def _contents(package: Package, root: Element, opf: str) -> dict[str, str]:
    """What the table of contents calls each chapter: of EPUB 3, else of EPUB 2; {} when it cannot be read."""
    items = list(_all(root, "item"))
    tables = [item for item in items if "nav" in item.get("properties", "").split()]
    tables += [item for item in items if item.get("media-type") == "application/x-dtbncx+xml"]
    for table in tables:
        name = _inside(opf, table.get("href", ""))
        try:
            found = dict(reversed(list(_entries(package.tree(name), name))))
        except (SyntaxError, KeyError):  # a table that is no XML, or not there
            continue
        if found:
            return found
    return {}


def _entries(root: Element, table: str) -> Iterator[tuple[str, str]]:
    """The files that a table of contents leads to, and their names in it."""
    for link in _all(root, "a"):
        yield _inside(table, link.get("href", "")), one_line("".join(link.itertext()))
    for point in _all(root, "navPoint"):
        words = next((one_line("".join(label.itertext())) for label in _all(point, "navLabel")), "")
        for content in _all(point, "content"):
            yield _inside(table, content.get("src", "")), words
            break


def _locked(package: Package) -> set[str]:
    """The parts that are encrypted: all but fonts are so against copying."""
    if ENCRYPTION not in package.names:
        return set()
    return {_inside("", found.get("URI", "")) for found in _all(package.tree(ENCRYPTION), "CipherReference")}


def _inside(base: str, address: str) -> str:
    """The name in the zip that an address stands for, seen from the part `base`. It is looked up there only."""
    path = unquote(re.sub("[#?].*", "", address, flags=re.DOTALL))
    return posixpath.normpath(posixpath.join(posixpath.dirname(base), path)).lstrip("/")


def _all(root: Element, name: str) -> Iterator[Element]:
    """All elements of a name, whatever their namespace."""
    return (element for element in root.iter() if str(element.tag).rpartition("}")[2] == name)
