"""Questions to ask the service, and what a right answer to each has: a file's, or those of an exported chat log.

A line is a JSON object. Ours has `question` and any of `expected`, `pages`, `refuse`, `collection`, `top_k`. A row of
the chat log has `job_id` besides: what somebody expected is `expected`, and the pages that an answer rated "up" cites
are its `pages`; it is asked without a judgement where nobody has said anything.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints, ValidationError, model_validator

from app.core.contract import QUERY_MAX_CHARACTERS, TOP_K_MAX, Label
from app.core.models import QuietModel

LINE_CHARACTERS_MAX = 1_000_000
"""Of a row: the longest answer with its citations is a tenth of it."""
QUESTIONS_MAX = 100_000

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=QUERY_MAX_CHARACTERS)]


class DataError(Exception):
    """The questions can't be read; the message says where and why."""


class GoldPage(QuietModel):
    """A page that answers: of the document with this id or of this filename."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    document: str | None = None
    filename: str | None = None
    page: int = Field(ge=1)

    @model_validator(mode="after")
    def _names_a_document(self) -> "GoldPage":
        if self.document is None and self.filename is None:
            raise ValueError("a page has `document` or `filename`")
        return self


class Question(QuietModel):
    """A question, and what its answer is to have. Of `expected` all; `a|b` is either. Of `pages` any."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    question: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=QUERY_MAX_CHARACTERS)]
    expected: tuple[Words, ...] = ()
    pages: tuple[GoldPage, ...] = ()
    refuse: bool = False
    collection: Label | None = None
    top_k: int | None = Field(None, ge=1, le=TOP_K_MAX)

    @model_validator(mode="before")
    @classmethod
    def _one_is_a_list(cls, line: Any) -> Any:
        if isinstance(line, dict) and isinstance(line.get("expected"), str):
            return line | {"expected": [line["expected"]]}
        return line

    @model_validator(mode="after")
    def _agrees(self) -> "Question":
        if self.refuse and (self.expected or self.pages):
            raise ValueError("a question to refuse has neither `expected` nor `pages`")
        return self

    @property
    def is_judged(self) -> bool:
        """Whether anything is known of its answer."""
        return bool(self.expected or self.pages or self.refuse)

    def plain(self) -> dict[str, Any]:
        """The body of `POST /chat`."""
        body = {"query": self.question, "collection": self.collection, "top_k": self.top_k}
        return {name: value for name, value in body.items() if value is not None}


def read_questions(path: Path) -> list[Question]:
    """The file's questions, each once. Raises `DataError`."""
    try:
        with path.open(encoding="utf-8") as file:
            return questions_of(str(path), iter(lambda: file.readline(LINE_CHARACTERS_MAX + 1), ""))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}") from None


def questions_of(name: str, lines: Iterable[str]) -> list[Question]:
    """The questions of these lines, each once: where something is known of its answer, not as well without that.

    Raises `DataError`; `name` is where the lines are from.
    """
    found = list(dict.fromkeys(_read(lines)))
    if not found:
        raise DataError(f"{name}: no question")
    judged = {(asked.question, asked.collection) for asked in found if asked.is_judged}
    return [asked for asked in found if asked.is_judged or (asked.question, asked.collection) not in judged]


def _read(lines: Iterable[str]) -> Iterator[Question]:
    taken = 0
    for number, line in enumerate(lines, start=1):
        if len(line) > LINE_CHARACTERS_MAX:
            raise DataError(f"line {number}: longer than {LINE_CHARACTERS_MAX:,} characters")
        question = _question(number, line) if line.strip() else None
        if question is None:
            continue
        if (taken := taken + 1) > QUESTIONS_MAX:
            raise DataError(f"more than {QUESTIONS_MAX:,} questions")
        yield question


def _question(number: int, line: str) -> Question | None:
    """None for a row of a chat log that keeps no content."""
    try:
        row = json.loads(line)
        if not isinstance(row, dict):
            raise DataError(f"line {number}: no JSON object")
        if "job_id" in row:
            return _of_log(row) if row.get("question") else None
        return Question.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(f"line {number}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except json.JSONDecodeError as error:
        raise DataError(f"line {number}: {error.msg}") from None


def _of_log(row: dict[str, Any]) -> Question:
    cited = (row.get("citations") or []) if row.get("rating") == "up" else []
    pages = [{name: place.get(name) for name in ("filename", "page")} for place in cited]
    expected = (row.get("expected") or "").strip().rstrip(".")
    fields = {"question": row["question"], "collection": row.get("collection"), "pages": pages}
    return Question.model_validate(fields | {"expected": [expected] if expected else []})
