"""Whether an answer is right, and what many answers come to."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import quantiles
from typing import Any

from benchmarks.answers_data import GoldPage, Question

MEASURES = ("right", "page", "words", "refused", "answered")
"""All that is asked of it; a gold page cited; the expected words there; refused where it should be; ended well."""


@dataclass(frozen=True)
class Reply:
    """What came back: the result of `/result`, or the code of what went wrong; and after how many seconds."""

    result: dict[str, Any] | None
    error: str | None
    seconds: float


@dataclass(frozen=True)
class Verdict:
    """A question with its answer; a measure that nothing was said about is None."""

    question: str
    collection: str | None
    right: bool | None
    page: bool | None
    words: bool | None
    refused: bool | None
    answered: bool
    error: str | None
    seconds: float
    input_tokens: int
    output_tokens: int
    model: str | None
    answer: str
    cited: list[str]


def judged(asked: Question, reply: Reply) -> Verdict:
    """The verdict on `reply`. What failed is right in nothing."""
    result = reply.result or {"answer": "", "citations": [], "grounded": False, "usage": {}, "model": None}
    citations, usage = result["citations"], result["usage"]
    is_there = reply.error is None
    page = is_there and any(_is_on(citation, gold) for citation in citations for gold in asked.pages)
    words = is_there and all(_says(result["answer"], wanted) for wanted in asked.expected)
    refused = is_there and not result["grounded"] and not citations
    said = {
        "page": page if asked.pages else None,
        "words": words if asked.expected else None,
        "refused": refused if asked.refuse else None,
    }
    known = [fact for fact in said.values() if fact is not None]
    return Verdict(
        question=asked.question,
        collection=asked.collection,
        right=all(known) if known else None,
        answered=is_there,
        error=reply.error,
        seconds=reply.seconds,
        input_tokens=usage.get("input_tokens", 0),
        output_tokens=usage.get("output_tokens", 0),
        model=result["model"],
        answer=result["answer"],
        cited=[f"{citation['filename']}#{citation['page']}" for citation in citations],
        **said,
    )


def shares(verdicts: Sequence[Verdict]) -> dict[str, tuple[int, int]]:
    """Of each measure that some question has: how many hold, of how many."""
    facts = {name: [getattr(verdict, name) for verdict in verdicts] for name in MEASURES}
    known = {name: [fact for fact in found if fact is not None] for name, found in facts.items()}
    return {name: (sum(found), len(found)) for name, found in known.items() if found}


def summary(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The figures of all: shares, tokens, seconds, failures by code."""
    seconds = [verdict.seconds for verdict in verdicts if verdict.answered]
    cuts = quantiles(seconds, n=20, method="inclusive") if len(seconds) > 1 else seconds * 19
    return {
        "questions": len(verdicts),
        "shares": {name: held / of for name, (held, of) in shares(verdicts).items()},
        "input_tokens": sum(verdict.input_tokens for verdict in verdicts),
        "output_tokens": sum(verdict.output_tokens for verdict in verdicts),
        "seconds_p50": cuts[9] if cuts else None,
        "seconds_p95": cuts[18] if cuts else None,
        "failures": dict(Counter(verdict.error for verdict in verdicts if verdict.error)),
    }


def report(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """What `--json` keeps and `--compare` reads."""
    return {"summary": summary(verdicts), "questions": [asdict(verdict) for verdict in verdicts]}


def _is_on(citation: dict[str, Any], gold: GoldPage) -> bool:
    named = {"document": citation["document_id"], "filename": citation["filename"]}
    is_it = all(getattr(gold, name) in (None, value) for name, value in named.items())
    return is_it and citation["page"] <= gold.page <= (citation.get("last_page") or citation["page"])


def _says(answer: str, wanted: str) -> bool:
    said = _folded(answer)
    return any(_folded(either) in said for either in wanted.split("|") if either.strip())


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
