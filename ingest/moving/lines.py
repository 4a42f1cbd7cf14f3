"""The lines of an archive: each is a JSON object of one of these kinds. What is read of them is hostile.

    head  collection*  (file bytes*)*  (file bytes* | document chunk+)*  end

A file comes before the first document that uses it, a document's chunks in order behind its record. Vectors are
little-endian 32-bit numbers in base64: exact, and a third of what digits take.
"""

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BeforeValidator, Field, StringConstraints, TypeAdapter

from app.core.contract import Filename, Frozen, Label, Page, Sha256
from app.core.documents.collections import CollectionSettings
from app.core.documents.records import Count, MissingPages, Title
from app.core.models import HIDDEN
from ingest.reading.limits import FILE_BYTES_MAX, PAGE_LABEL_CHARACTERS_MAX

LINE_BYTES_MAX = 4 << 20
"""The longest: a block of a file, or a chunk of 8,000 characters, each escaped, with 65,536 numbers."""
BLOCK_BYTES = 1 << 20
"""Of a file, in one line."""
DIMENSIONS_MAX = 65_536
"""As Qdrant's."""
CHUNKS_MAX = 500_000
"""Of a document: 20 million characters in the shortest chunks, overlapping, are 400,000."""
TEXT_CHARACTERS_MAX = 100_000
"""Of a chunk, of a heading, or of a row that names columns: CHUNK_SIZE is 8,000 at most, a sentence stays whole."""
PATH_CHARACTERS_MAX = 4_096
MODEL_CHARACTERS_MAX = 300
TERMS_MAX = 50_000
TABLE_HEADERS_MAX = 100


def packed(data: bytes) -> str:
    """`data` as a line has it."""
    return base64.b64encode(data).decode()


def _unpacked(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("must be base64")  # noqa: TRY004 - what pydantic makes an error of
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError("must be base64") from error


def _moment(value: str) -> str:
    if datetime.fromisoformat(value).tzinfo is None:
        raise ValueError("must have a time zone")
    return value


Packed = Annotated[bytes, BeforeValidator(_unpacked)]
Text = Annotated[str, StringConstraints(max_length=TEXT_CHARACTERS_MAX)]
PageLabel = Annotated[str, StringConstraints(max_length=PAGE_LABEL_CHARACTERS_MAX)]
Moment = Annotated[str, StringConstraints(max_length=40), BeforeValidator(_moment)]


class Head(Frozen):
    """What the archive is. `embedding_model` is "" and `dimension` None where chunks are found by words alone."""

    kind: Literal["head"] = "head"
    format: Literal["rag-queue-export"] = "rag-queue-export"
    version: Literal[1] = 1
    made_at: AwareDatetime
    embedding_model: Annotated[str, StringConstraints(max_length=MODEL_CHARACTERS_MAX)]
    dimension: Annotated[int, Field(ge=1, le=DIMENSIONS_MAX)] | None


class CollectionLine(Frozen):
    """What is said of a collection."""

    kind: Literal["collection"] = "collection"
    tenant: Label
    name: Label
    settings: CollectionSettings


class FileLine(Frozen):
    """A document's file; its bytes follow."""

    kind: Literal["file"] = "file"
    tenant: Label
    sha256: Sha256
    size_bytes: Annotated[int, Field(ge=1, le=FILE_BYTES_MAX)]


class BytesLine(Frozen):
    """The next bytes of a file."""

    kind: Literal["bytes"] = "bytes"
    data: Annotated[Packed, Field(min_length=1, max_length=BLOCK_BYTES)]


class DocumentLine(Frozen):
    """A document's record, as the index has it; so many chunks follow. `created_at` is the catalog's."""

    kind: Literal["document"] = "document"
    tenant: Label
    collection: Label
    document_id: Label
    version: Label
    filename: Filename
    source: Annotated[str, StringConstraints(max_length=PATH_CHARACTERS_MAX)]
    sha256: Sha256
    pages: Count
    chunks: Annotated[int, Field(ge=1, le=CHUNKS_MAX)]
    missing_pages: MissingPages
    ingested_at: Moment
    title: Title = ""
    size_bytes: Count = 0
    created_at: AwareDatetime | None = None


class ChunkLine(Frozen):
    """A chunk of the document before it. `indices` and `values` are its terms; `dense` is None without a vector."""

    kind: Literal["chunk"] = "chunk"
    page: Page
    last_page: Page
    text: Text
    heading: Text = ""
    title: Text = ""
    page_label: PageLabel = ""
    last_page_label: PageLabel = ""
    table_headers: Annotated[tuple[Text, ...], Field(max_length=TABLE_HEADERS_MAX)] = ()
    indices: Annotated[Packed, Field(max_length=4 * TERMS_MAX)]
    values: Annotated[Packed, Field(max_length=4 * TERMS_MAX)]
    dense: Annotated[Packed, Field(max_length=4 * DIMENSIONS_MAX)] | None = None


class EndLine(Frozen):
    """How much there was. `sha256` is the hash of all lines before this one, their ends included."""

    kind: Literal["end"] = "end"
    collections: Count
    documents: Count
    chunks: Count
    files: Count
    file_bytes: Count
    sha256: Sha256


Line = Head | CollectionLine | FileLine | BytesLine | DocumentLine | ChunkLine | EndLine

LINE: TypeAdapter[Line] = TypeAdapter(Annotated[Line, Field(discriminator="kind")], config=HIDDEN)
