"""How documents are identified: by their place; their versions, by their bytes and how these become chunks."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from app.core.contract import DEFAULT_TENANT
from app.core.documents.ids import document_id
from app.core.settings import Settings
from ingest.reading.files import File, safe_name
from ingest.reading.pool import PARSER_TAG

VECTORS_TAG = "name-title-heading-3"
"""Raised by hand when the same chunk would get another vector of either kind."""


@dataclass(frozen=True, slots=True)
class Hashed:
    """A file whose bytes are known. `path` is absolute and safe to store; `version` says how chunks are made, too."""

    file: File
    path: str
    sha256: str
    version: str

    @property
    def filename(self) -> str:
        """The name without its folders."""
        return self.path.rpartition("/")[2]


class Naming:
    """How the documents of one collection, made into chunks in one way, are identified.

    `splitter_tag` is part of every version. The embedding model is none: the collection has its name, and another
    model's vectors are made of the chunks that are there.
    """

    def __init__(
        self, *, collection: str, splitter_tag: str, embedding_model: str | None, tenant: str = DEFAULT_TENANT
    ) -> None:
        self.tenant = tenant
        self.collection = collection
        self.has_model = embedding_model is not None
        self._recipe = f"{PARSER_TAG}\n{VECTORS_TAG}\n{splitter_tag}\n"

    def document_id(self, source: str) -> str:
        """The same for the same name, whatever the file's contents: that of an upload is the catalog's rule, too."""
        return document_id(self.tenant, self.collection, source)

    def version(self, sha256: str) -> str:
        """Changes with the bytes, the parser and the splitter."""
        return hashlib.sha256(f"{sha256}\n{self._recipe}".encode()).hexdigest()[:16]

    def hashed(self, file: File, sha256: str) -> Hashed:
        """The file, identified. `sha256` is the hash of its bytes."""
        return Hashed(file, stored_path(file.path), sha256, self.version(sha256))


def naming_of(settings: Settings, collection: str, *, tenant: str = DEFAULT_TENANT) -> Naming:
    """How documents are identified with these settings."""
    from ingest.chunking.splitter import Splitter

    splitter = Splitter(settings.chunk_size, settings.chunk_overlap)
    return Naming(
        tenant=tenant,
        collection=collection,
        splitter_tag=f"{splitter.tag}:ocr" if settings.ocr else splitter.tag,
        embedding_model=settings.embedding_model,
    )


def stored_path(path: Path) -> str:
    """The absolute path that a document is remembered by: its folder's real one, and its own name there."""
    return safe_name(str(real_folder(path.parent) / path.name))


@lru_cache(maxsize=4096)
def real_folder(folder: Path) -> Path:
    """The folder's one absolute path, whatever links lead to it."""
    return folder.resolve()
