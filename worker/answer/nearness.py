"""Which statements mean what a question asks, by an embedding model: beside the words, and where words fail."""

from collections.abc import Callable, Sequence
from math import sqrt
from operator import mul
from statistics import fmean, pstdev

from app.core.errors import ServiceError
from app.core.logging import get_logger
from worker.answer.columns import read_row
from worker.answer.scoring import Candidate

EmbedFew = Callable[[list[str]], Sequence[Sequence[float]]]
"""A vector for each text, in order. Raises `ServiceError`."""

EMBEDDED_MAX = 48
"""Statements in one request: those that fit best by words, and the first of the best chunks."""
OTHERS_MIN = 4
"""Statements that one must stand out from."""
SPREAD_MIN = 0.05
"""Of cosines, at least: where all are alike, a little more is nothing."""
ASKED_DEVIATIONS = 4.4
"""How many standard deviations over the other statements' mean cosine the one must be that a question means ..."""
MISSING_DEVIATIONS = 3.3
"""... and the same for those of its words that no statement has. Neither tells another word for it (a warranty's
guarantee, at 4.6 and 3.7 with all-MiniLM-L6-v2) from a brother of it (goats' hens, at 4.2 and 3.8) by much: so these
are high."""

log = get_logger(__name__)


class Nearness:
    """The cosines of some statements with a question, and with what is missing of it; `statements` in their order."""

    def __init__(self, asked: Sequence[float], missing: Sequence[float]) -> None:
        self._asked = asked
        self._missing = missing

    def share(self, place: int) -> float:
        """How near a statement is to the question, from 0 for the mean to 1 for the nearest."""
        mean, most = fmean(self._asked), max(self._asked)
        return max(0.0, (self._asked[place] - mean) / (most - mean)) if most > mean else 0.0

    def outstanding(self) -> int | None:
        """The place of the statement that stands out from the others as what is asked; None when none does."""
        if len(self._asked) <= OTHERS_MIN:
            return None
        place = max(range(len(self._asked)), key=self._asked.__getitem__)
        is_meant = _deviations(self._asked, place) >= ASKED_DEVIATIONS
        return place if is_meant and _deviations(self._missing, place) >= MISSING_DEVIATIONS else None


def nearness(question: str, missing: str, statements: Sequence[Candidate], embed: EmbedFew) -> Nearness | None:
    """Ask the model in one request; None when it fails: the words alone decide then.

    `missing`: the question's words that none of the statements has; "" when each is somewhere.
    """
    texts = [question, missing or question, *map(_text, statements)]
    try:
        (_, asked), (_, lacking), *vectors = zip(texts, embed(texts), strict=True)
        return Nearness([_cosine(asked, v) for _, v in vectors], [_cosine(lacking, v) for _, v in vectors])
    except ServiceError as error:
        log.warning("statements_not_embedded", reason=error.code.value)
    except (ValueError, TypeError, KeyError) as error:
        log.warning("statements_not_embedded", reason=type(error).__name__)
    return None


def _text(candidate: Candidate) -> str:
    statement = candidate.statement
    return read_row(statement, ()) if statement.columns else statement.text


def _cosine(first: Sequence[float], second: Sequence[float]) -> float:
    norms = sqrt(sum(map(mul, first, first)) * sum(map(mul, second, second)))
    return sum(map(mul, first, second)) / norms if norms else 0.0


def _deviations(cosines: Sequence[float], place: int) -> float:
    """How far one is over the mean of the others, in their standard deviations."""
    others = [cosine for at, cosine in enumerate(cosines) if at != place]
    return (cosines[place] - fmean(others)) / max(SPREAD_MIN, pstdev(others))
