"""A table's row read by its columns' headings: which cells a question asks for, and the row as a statement."""

import re
from collections.abc import Mapping, Sequence

from worker.answer.asked import Asked, Kind
from worker.answer.statements import Column, Statement

ROW_SHARE_MIN = 0.3
"""Share of the question's terms, those in headings aside, that a row's own cells must hold when the question has not
its name."""
CODE_WEIGHT = 3.0
"""What a number or code of the question counts that stands in a heading."""
UNASKED = 0.3
"""What each term of a heading costs that the question has not: of "Day" and "Half day" the first is plain day."""
ASKING_WEIGHT = 0.5
"""What a heading counts that asks as the question does: When, Who."""
FITTING = 0.6
"""What a cell counts that is the kind of answer asked for."""
OTHERS_CHARACTERS_MAX = 120
"""Of the cells beside the one asked for, in brackets."""

_APART = re.compile(r"[,;(]|\.(?=\s|$)")
"""What stands between several names."""


def picked(wanted: Asked, row: Statement) -> tuple[Column, ...]:
    """The columns that the question asks for; none when it does not tell them apart."""
    if len(row.columns) < 2:
        return row.columns
    among = _measuring(wanted, row)
    scores = [_score(wanted, column) for column in among]
    best = max(scores)
    if best <= 0 or scores.count(best) == len(row.columns):
        return ()
    return tuple(column for column, score in zip(among, scores, strict=True) if score == best)


def _measuring(wanted: Asked, row: Statement) -> Sequence[Column]:
    """The columns with the quantity asked for; all when none has it."""
    asked = wanted.dimensions or wanted.likely
    return [column for column in row.columns if not asked.isdisjoint(column.measures)] or row.columns


def is_asked(wanted: Asked, row: Statement, weights: Mapping[int, float]) -> bool:
    """Whether the question has a row's name, or a cell with its heading, or much of what its cells say: headings are
    those of all rows."""
    if (row.name_terms and row.name_terms <= weights.keys()) or row.names & wanted.dimensions & row.measures:
        return True
    if any(_is_told(wanted, column) for column in row.columns):
        return True
    rest = weights.keys() - row.headed
    own = sum(weights[term] for term in rest & row.terms)
    return own > ROW_SHARE_MIN * sum(weights[term] for term in rest)


def _is_told(wanted: Asked, column: Column) -> bool:
    """Whether the question says what stands in a column, and what it is called: the row's name is asked for."""
    return not column.terms.isdisjoint(wanted.weights) and any(
        spelling <= column.cell_terms for needed in wanted.needed for spelling in needed.spellings
    )


def _score(wanted: Asked, column: Column) -> float:
    asked = wanted.weights.keys() & column.terms
    score = len(asked) - UNASKED * len(column.terms - asked) if asked else 0.0
    score += CODE_WEIGHT * sum(
        any(spelling <= column.terms for spelling in needed.spellings) for needed in wanted.needed
    )
    score += ASKING_WEIGHT * bool(column.words & wanted.asking or column.terms & wanted.asking_terms)
    score += FITTING * _is_fitting(wanted, column)
    if wanted.weights.keys() & column.cell_terms:
        score -= FITTING  # what the question says already is not what it asks for
    return score


def _is_fitting(wanted: Asked, column: Column) -> bool:
    """Whether a cell is the kind of answer asked for."""
    if asked := wanted.dimensions or wanted.named:
        return not asked.isdisjoint(column.measures)
    if wanted.kind is Kind.PERSON:
        return _is_name(column.cell)
    return wanted.kind is Kind.NUMBER and any(character.isdigit() for character in column.cell)


def is_named_for(wanted: Asked, statement: Statement) -> bool:
    """Whether a row or field says who it is that the question asks for by its name: of apologies, who sent them."""
    name = statement.name_terms
    if wanted.kind is not Kind.PERSON or not name or not name <= wanted.weights.keys():
        return False
    values = [column.cell for column in statement.columns] or [statement.text[len(statement.name) :].strip(" :")]
    return any(_is_name(_APART.split(value)[0]) for value in values)


def _is_name(cell: str) -> bool:
    """Whether a cell may be somebody's name: each of its words begins with a capital letter."""
    words = cell.split()
    return len(words) > 1 and all(word[0].isupper() for word in words)


def read_row(row: Statement, columns: Sequence[Column]) -> str:
    """A row as a statement: its name, the cells asked for by their headings, and in brackets what else it says."""
    if row.columns and not row.name:
        return row.text
    if not columns:
        return f"{row.name}: {', '.join(map(_told, row.columns))}"
    told = ", ".join(map(_told, columns))
    if len(row.columns) == 1 and not _is_bare(columns[0].cell):
        told = columns[0].cell
    others = [column.cell for column in row.columns if column not in columns and not _is_figure(column.cell)]
    beside = f" ({', '.join(others)})" if others and len(", ".join(others)) <= OTHERS_CHARACTERS_MAX else ""
    return f"{row.name}: {told}{beside}"


def _told(column: Column) -> str:
    if not column.heading:
        return column.cell
    return f"{column.heading}{':' if column.heading[-1].isdigit() else ''} {column.cell}"


def _is_bare(cell: str) -> bool:
    """Whether a cell is a figure alone, without a unit: it says nothing without its heading."""
    return not any(character.isalpha() or character in "€£$¥°%" for character in cell)


def _is_figure(cell: str) -> bool:
    """Whether a cell is a quantity, which would be mistaken for the one asked for."""
    return any(character.isdigit() for character in cell[:4])
