"""Documents written down as readers give them, with questions and what is right: for answers without a model.

A file of `tests/support/answers/` holds a document's pages, apart by `=== page`, a line that names a table's columns
behind `^ `, and under `=== questions` a question a line: the question, what the answer must hold (any of, apart by
`|`; `-` for nothing), and the page, apart by tabs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log
from pathlib import Path

from ingest.chunking.splitter import Splitter
from tests.support import ROOT
from tests.support.sample_documents import DOCUMENTS, Block, Document, Heading, Note, Points, Table, Text
from worker.index.chunk_text import embedded_text
from worker.table_rows import is_row, row_of
from worker.vectors import Hit, document_vector, query_vector

ANSWERS = ROOT / "tests/support/answers"
TOP_K = 5
"""TOP_K's default."""
LINE_CHARACTERS = 88
"""About as many as a line of a PDF has."""


@dataclass(frozen=True)
class PlainPage:
    """A page's text and the lines that name columns, as readers give them."""

    text: str
    table_headers: tuple[str, ...] = ()
    headings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    """A question, what the answer must hold (any of; nothing when there is none), and `filename#page`."""

    question: str
    right: tuple[str, ...]
    where: str


def plain_document(path: Path) -> tuple[list[PlainPage], list[Question]]:
    """The pages of a file of `ANSWERS`, and its questions."""
    body, _, asked = path.read_text().partition("=== questions\n")
    pages = [_page(page.strip("\n").split("\n")) for page in body.split("=== page\n")]
    return pages, [_question(line, path.stem) for line in asked.splitlines()]


def _page(lines: Sequence[str]) -> PlainPage:
    headers = tuple(line.removeprefix("^ ") for line in lines if line.startswith("^ "))
    return PlainPage("\n".join(line.removeprefix("^ ") for line in lines), headers)


def _question(line: str, name: str) -> Question:
    question, right, page = line.split("\t")
    return Question(question, () if right == "-" else tuple(right.split("|")), f"{name}#{page}")


def questions_of(path: Path) -> list[Question]:
    """The questions of a table as `first_questions.tsv` is one."""
    rows = [line.split("\t") for line in path.read_text().splitlines()[1:]]
    return [Question(asked, () if right == "-" else tuple(right.split("|")), where) for asked, right, where in rows]


def sample_pages(document: Document) -> list[PlainPage]:
    """The pages of a document of `data/`, its tables' rows as rows."""
    pages = []
    for blocks in document.pages:
        headers = tuple(row_of(block.head) for block in blocks if isinstance(block, Table))
        headings = tuple(block.text for block in blocks if isinstance(block, Heading))
        pages.append(PlainPage("\n".join(line for block in blocks for line in _lines(block)), headers, headings))
    return pages


def _lines(block: Block) -> Iterator[str]:
    match block:
        case Heading(text):
            yield text
        case Text(text) | Note(text):
            yield from _broken(text)
        case Points(items, numbered):
            for number, item in enumerate(items, 1):
                yield from _broken(f"{number}. {item}" if numbered else f"- {item}")
        case Table(head, rows):
            yield row_of(head)
            yield from map(row_of, rows)


def _broken(text: str) -> Iterator[str]:
    line = ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > LINE_CHARACTERS:
            yield line
            line = ""
        line = f"{line} {word}".strip()
    yield line


class PlainIndex:
    """Chunks as the ingest makes them, searched by BM25: what the service does, without its processes."""

    def __init__(self, documents: Mapping[str, tuple[str, Sequence[PlainPage]]]) -> None:
        """`documents`: for each file's name its title and pages."""
        self._hits = [hit for name, (title, pages) in documents.items() for hit in _chunks(name, title, pages)]
        texts = [embedded_text(h.text, title=h.title, heading=h.heading, filename=h.filename) for h in self._hits]
        self._vectors = [dict(zip(*document_vector(text), strict=True)) for text in texts]

    def search(self, question: str, top_k: int = TOP_K) -> list[Hit]:
        """The chunks that share most with `question`, the best first."""
        n = len(self._vectors)
        idf = {}
        for term in query_vector(question).indices:
            holding = sum(term in vector for vector in self._vectors)
            idf[term] = log(1 + (n - holding + 0.5) / (holding + 0.5))
        scores = [sum(idf[t] * vector.get(t, 0.0) for t in idf) for vector in self._vectors]
        best = sorted(range(n), key=lambda place: -scores[place])[:top_k]
        return [self._hits[place] for place in best if scores[place] > 0]


def _chunks(name: str, title: str, pages: Sequence[PlainPage]) -> Iterator[Hit]:
    for place, piece in enumerate(Splitter(1000, 150).split([p.text for p in pages], [p.headings for p in pages])):
        page = pages[piece.page - 1]
        yield Hit(
            document_id=name,
            filename=f"{name}.pdf",
            page=piece.page,
            chunk_index=place,
            text=piece.text,
            score=1.0,
            heading=piece.heading,
            title=title,
            table_headers=piece.table_headers or _headers(page, piece.text),
        )


def _headers(page: PlainPage, text: str) -> tuple[str, ...]:
    """Those of the page's headers that the rows in `text` stand under."""
    named, header = [], ""
    for line in page.text.split("\n"):
        header = line if line in page.table_headers else header if is_row(line) else ""
        if header and line in text.split("\n") and header not in named:
            named.append(header)
    return tuple(named)


@lru_cache
def plain_index(half: str) -> tuple[PlainIndex, tuple[Question, ...]]:
    """The documents of one folder of `ANSWERS` as a collection, and all their questions."""
    documents, questions = {}, []
    for path in sorted((ANSWERS / half).glob("*.txt")):
        pages, asked = plain_document(path)
        documents[path.stem] = (pages[0].text.split("\n")[0].removeprefix("# "), pages)
        questions += asked
    return PlainIndex(documents), tuple(questions)


@lru_cache
def sample_index() -> PlainIndex:
    """The documents of `data/` as a collection."""
    return PlainIndex({d.filename.removesuffix(".pdf"): (d.title, sample_pages(d)) for d in DOCUMENTS})
