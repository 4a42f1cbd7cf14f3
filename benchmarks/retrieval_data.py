"""Questions, judgements and documents of a folder in BEIR form, or of one of PDFs whose pages are judged."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Judgements = dict[str, dict[str, int]]
"""For each query's id the relevant documents, with how relevant they are (above 0)."""


class DataError(Exception):
    """The folder is not of the form that it should be. The message says where."""


@dataclass(frozen=True)
class Text:
    """A document of `corpus.jsonl`."""

    id: str
    title: str
    text: str


@dataclass(frozen=True)
class Data:
    """A folder's questions, by id, that have a relevant document, and which those are."""

    folder: Path
    queries: dict[str, str]
    judgements: Judgements

    @property
    def pdfs(self) -> list[Path]:
        """The folder's PDFs, if it is of that form; their pages are the documents, `FILESTEM#pN` with N from 1."""
        return sorted((self.folder / "pdfs").glob("*.pdf"))

    def texts(self) -> Iterator[Text]:
        """The documents of `corpus.jsonl`, read as they are needed."""
        for line in lines(self.folder / "corpus.jsonl"):
            yield Text(identifier(line), str(line.get("title") or ""), str(line.get("text") or ""))


def load(folder: Path) -> Data:
    """The data in `folder`. Raises `DataError`."""
    judgements = read_judgements(folder / "qrels.tsv")
    queries = {identifier(line): str(line["text"]) for line in lines(folder / "queries.jsonl")}
    judged = {query: text for query, text in queries.items() if judgements.get(query)}
    if not judged:
        raise DataError(f"{folder}: no query of queries.jsonl has a relevant document in qrels.tsv")
    if not (folder / "pdfs").is_dir() and not (folder / "corpus.jsonl").is_file():
        raise DataError(f"{folder} has neither corpus.jsonl nor pdfs/")
    return Data(folder, judged, judgements)


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON Lines file. Raises `DataError`."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    try:
                        yield dict(json.loads(line))
                    except (ValueError, TypeError) as error:
                        raise DataError(f"{path}, line {number}: not a JSON object") from error
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error


def identifier(line: dict[str, Any]) -> str:
    """The `id` of a document or query; BEIR's own files say `_id`."""
    try:
        return str(line["id"] if "id" in line else line["_id"])
    except KeyError:
        raise DataError(f"a line has no id: {str(line)[:80]}") from None


def read_judgements(path: Path) -> Judgements:
    """`qrels.tsv`: a header line, then query, document and score (1 when missing); TREC's form with four columns too.

    Raises `DataError`.
    """
    found: Judgements = {}
    try:
        rows = path.read_text(encoding="utf-8").splitlines()[1:]
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    for number, row in enumerate(rows, 2):
        if not row.strip():
            continue
        cells = row.split("\t") if "\t" in row else row.split()
        if len(cells) == 4:
            del cells[1]
        try:
            query, document, *score = (cell.strip() for cell in cells)
            relevance = int(float(score[0])) if score else 1
        except (ValueError, IndexError) as error:
            raise DataError(f"{path}, line {number}: not query, document, score") from error
        if relevance > 0:
            found.setdefault(query, {})[document] = relevance
    return found
