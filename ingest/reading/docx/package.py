"""The parts of a .docx: a zip of XML, in which relations tell what each part is."""

import posixpath
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from ingest.reading.office import package as zipped

MAIN = "word/document.xml"
CORE = "docProps/core.xml"
RELATION = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
STRICT = b"http://purl.oclc.org/ooxml/"
AS_USUAL = (
    (
        b"http://purl.oclc.org/ooxml/wordprocessingml/main",
        b"http://schemas.openxmlformats.org/wordprocessingml/2006/main",
    ),
    (b"http://purl.oclc.org/ooxml/officeDocument/", b"http://schemas.openxmlformats.org/officeDocument/2006/"),
)
"""The names of ISO's strict form, as the usual one has them."""


class Package:
    """The parts that are asked for. Raises `FileError`, or nearly anything for what is damaged."""

    def __init__(self, data: bytes) -> None:
        self._zip = zipped.Package(data)
        main = self._related("", "officeDocument")
        self._main = main[0] if main else MAIN

    def main(self) -> Element | None:
        """The document itself."""
        return self._part(self._main)

    def core(self) -> Element | None:
        """What the document says of itself."""
        return self._part(CORE)

    def one(self, kind: str) -> Element | None:
        """The part of a kind: styles, numbering, footnotes, endnotes, settings."""
        names = self._related(self._main, kind) or [posixpath.join(posixpath.dirname(self._main), f"{kind}.xml")]
        return self._part(names[0])

    def by_id(self, kind: str) -> dict[str, Element]:
        """The parts of a kind, header or footer, by what the document calls them."""
        found = {name: self._part(part) for name, part in self._relations(self._main, kind)}
        return {name: part for name, part in found.items() if part is not None}

    def _related(self, name: str, kind: str) -> list[str]:
        return [part for _, part in self._relations(name, kind)]

    def _relations(self, name: str, kind: str) -> list[tuple[str, str]]:
        folder, base = posixpath.split(name)
        relations = self._part(posixpath.join(folder, "_rels", f"{base}.rels"))
        return [
            (relation.get("Id", ""), posixpath.normpath(posixpath.join("/", folder, relation.get("Target", "")))[1:])
            for relation in (relations.iter(RELATION) if relations is not None else ())
            if relation.get("Type", "").endswith(f"/{kind}") and relation.get("TargetMode") != "External"
        ]

    def _part(self, name: str) -> Element | None:
        if name not in self._zip.names:
            return None
        data = self._zip.read(name)
        if STRICT in data:
            for strict, usual in AS_USUAL:
                data = data.replace(strict, usual)
        return ElementTree.fromstring(data)  # noqa: S314  (expat bounds entities, and fetches none)
