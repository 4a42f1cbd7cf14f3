"""Answers without a model to plain questions over documents of many kinds, as readers give them."""

from collections.abc import Sequence

import pytest

from tests.support.plain_pages import (
    ANSWERS,
    PlainIndex,
    Question,
    plain_index,
    questions_of,
    sample_index,
)
from worker.answer.extractive import extract


def wrong(index: PlainIndex, questions: Sequence[Question]) -> list[str]:
    """The questions that are not answered rightly, with what is said."""
    return [asked.question + " " + said for asked in questions if (said := _fault(index, asked)) is not None]


def _fault(index: PlainIndex, asked: Question) -> str | None:
    text, citations = extract(asked.question, index.search(asked.question))
    if not asked.right:
        return text if citations else None
    name, _, page = asked.where.partition("#")
    is_cited = any(
        c.filename.removesuffix(".pdf") == name.removesuffix(".pdf") and c.page == int(page) for c in citations
    )
    return None if is_cited and any(right in text for right in asked.right) else text


def test_eleven_of_the_first_twelve_questions_are_answered() -> None:
    """What "warranty" is, no word says: it takes an embedding model to find the guarantee."""
    faults = wrong(sample_index(), questions_of(ANSWERS / "first_questions.tsv"))
    assert [fault.partition("?")[0] for fault in faults] in ([], ["What is the warranty period"])


SETS = [("samples", 0.92), ("develop", 0.93), ("judge", 0.93)]
"""Shares that are answered rightly at least. `judge` was first measured when it had not been looked at: 65 of 72."""


@pytest.mark.parametrize(("name", "floor"), SETS)
def test_plain_questions_are_answered(name: str, floor: float) -> None:
    index, questions = _set(name)
    faults = wrong(index, questions)
    assert len(questions) - len(faults) >= floor * len(questions), "\n".join(faults)


@pytest.mark.parametrize("name", [name for name, _ in SETS])
def test_what_is_only_near_is_no_answer(name: str) -> None:
    index, questions = _set(name)
    nowhere = [asked for asked in questions if not asked.right]
    assert len(nowhere) >= len(questions) / 6
    assert len(wrong(index, nowhere)) <= 1


def _set(name: str) -> tuple[PlainIndex, Sequence[Question]]:
    if name == "samples":
        return sample_index(), questions_of(ANSWERS / "sample_questions.tsv")
    return plain_index(name)
