"""What writing and searching the index share: names, point ids, BM25's vectors, and what a search finds.

Light on purpose: every worker process imports it, so it needs none of the clients' libraries.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha1
from typing import Any, NamedTuple
from uuid import UUID

from qdrant_edge import Bm25, Bm25Config

from worker.broken_words import may_be_broken, with_parts
from worker.number_terms import numbers_whole
from worker.writing_systems import words_apart

DENSE = "dense"
SPARSE = "sparse"
TEXT = "text"
METADATA = "metadata"

AVERAGE_TERMS = 100.0
"""Terms of a chunk of a thousand characters, CHUNK_SIZE's default: the length that BM25 holds to be usual."""

POINT_NAMESPACE = UUID("7f1e2b1c-30a5-4c0e-9a27-5f3d2f0f9a10")


RAISED = "\u00b2\u00b3\u00b9\u2070\u2074-\u207e"
LOWERED = "\u2080-\u2089\u00bc-\u00be\u2150-\u215e"
SET_APART = re.compile(f"[{RAISED}]+|(?<=[0-9])[{LOWERED}]+")
"""Raised figures, and lowered ones and fractions behind a figure, that NFKC would make part of another number."""
MAY_BE_SET_APART = re.compile(f"[{RAISED}{LOWERED}]")
"""A single set of characters is looked for ten times as fast, and few texts have any of them."""
UNIT = re.compile(r"(?:^|[^\w])([^\W\d_]{1,3})$")
"""Before a raised figure that may be part of it, as in m\u00b2."""
UNIT_CHARACTERS_MAX = 4


def dense_size(info: Mapping[str, Any]) -> int | None:
    """The size of the vectors of a collection, as Qdrant describes it (GET /collections/NAME); None: BM25 alone."""
    size: int | None = info["config"]["params"].get("vectors", {}).get(DENSE, {}).get("size")
    return size


class SparseVector(NamedTuple):
    """The terms of a text, hashed, and their weights."""

    indices: list[int]
    values: list[float]


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that a search found; `score` is comparable within one search only.

    `text` is the pages' own words, from `page` to `last_page` (both count from 1, and are equal unless the chunk goes
    over a page's end, where it has a form feed); 0 stands for `page`. `page_label` and `last_page_label` are what the
    document calls these, "" when that is their number; `table_headers` are the lines that name the columns of its
    rows. `context` is `text` with the neighbouring chunks' words around it, for the model to read, or empty.
    """

    document_id: str
    filename: str
    page: int
    chunk_index: int
    text: str
    score: float
    last_page: int = 0
    heading: str = ""
    title: str = ""
    version: str = ""
    page_label: str = ""
    last_page_label: str = ""
    table_headers: tuple[str, ...] = ()
    context: str = ""

    def __post_init__(self) -> None:
        if not self.last_page:
            object.__setattr__(self, "last_page", self.page)


def point_id(*, tenant: str, collection: str, document_id: str, version: str, chunk_index: int) -> str:
    """A chunk's point: the same for the same chunk, so that writing twice changes nothing."""
    name = f"{tenant}\n{collection}\n{document_id}\n{version}\n{chunk_index}"
    # RFC 9562's version 5, as `uuid.uuid5` makes it in five times the time: a question wants three for each hit.
    digest = sha1(POINT_NAMESPACE.bytes + name.encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digest[16], 16) & 3]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


def document_vector(text: str) -> SparseVector:
    """BM25's term-frequency weights of a chunk; the IDF that Qdrant adds completes the formula."""
    vector = _encoder().embed_document(_spaced(text))
    return SparseVector(vector.indices, vector.values)


def query_vector(text: str) -> SparseVector:
    """The distinct terms of a question, each of weight 1."""
    vector = _encoder().embed_query(_spaced(text))
    return SparseVector(vector.indices, vector.values)


def terms(text: str) -> frozenset[int]:
    """The distinct terms of `text` as BM25 sees them: stemmed, lower-cased, without stop words, hashed."""
    return frozenset(_encoder().embed_query(_spaced(text)).indices)


def _spaced(text: str) -> str:
    """`text` as BM25's tokenizer can split it: numbers and broken words whole, wide forms resolved, words apart."""
    if may_be_broken(text):
        text = with_parts(text)
    text = numbers_whole(text)
    if text.isascii():
        return text
    if MAY_BE_SET_APART.search(text):
        text = SET_APART.sub(_apart, text)
    return words_apart(unicodedata.normalize("NFKC", text))


def _apart(figures: re.Match[str]) -> str:
    """Figures apart from what they are behind; m\u00b2 and its like are a term of their own beside that."""
    start = figures.start()
    unit = UNIT.search(figures.string[max(0, start - UNIT_CHARACTERS_MAX) : start])
    return f"{figures[0]} {unit[1]} {figures[0]} " if unit else f" {figures[0]} "


@lru_cache(maxsize=1)
def _encoder() -> Bm25:
    return Bm25(Bm25Config(avg_len=AVERAGE_TERMS, ascii_folding=True))
