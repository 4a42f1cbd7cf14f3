"""How well each statement of the hits answers a question: by words, by its kind, by what must stand in it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from math import log, sqrt
from typing import NamedTuple

from worker.answer.asked import Asked, Kind
from worker.answer.columns import is_asked, is_named_for, picked
from worker.answer.quantities import has_quantity, measured
from worker.answer.statements import Column, Form, Statement, read_chunk
from worker.answer.word_forms import terms
from worker.vectors import Hit

SCOPE_SHARE = 0.85
"""What a term counts that stands in the heading or lead-in above the statement, not in it."""
TITLE_SHARE = 0.7
"""In the document's title or file name."""
CHUNK_SHARE = 0.3
"""Elsewhere in the chunk, unless a number, code or name was asked of: then what is only near is about another. The
one term that weighs most must be nearer."""
UNLIKE = 0.5
"""What a statement is worth that has not the kind of answer asked for: no time for "when", no mass for "how heavy".
"""
BARE_NUMBER = 0.8
"""What a number is worth of which it is not said what it measures."""
OTHER_FORM = 0.85
"""What a row is worth where a way to do something is asked for, and a step where a quantity, a time or who is."""
FRAGMENT_SHARE = 0.6
"""What a caption or a footer is worth beside a whole sentence."""
PART_SHARE = 0.6
"""What a row is worth none of whose cells' parts is in the question as a whole."""
NAME_BONUS = 0.3
"""More for a row or field whose name is in the question as a whole, or names the quantity asked for."""
BACKGROUND = 25
"""Further statements that rarity is counted among, with none of the terms: one sentence alone has no rare words."""
K1 = 1.2
B = 0.25
"""BM25's saturation, and how much a long sentence pays for its length: little, since it is quoted as a whole."""
RANK_DISCOUNT = 0.1
"""What each rank of a statement's chunk costs: retrieval saw the whole chunk, a sentence alone is little to go by."""
POSITION_DISCOUNT = 0.01
"""What each statement before it in its chunk costs: of two that fit alike, the first introduces the matter."""
TERSE_TERMS = 3
"""A line that has fewer terms says nothing."""
WHOLE_TERMS = 2
"""A whole sentence: Cash is not taken."""

_LOOSE = (Form.SENTENCE, Form.FRAGMENT)


class Candidate(NamedTuple):
    """A statement and its place among the hits.

    `fit`, from 0 to 1, says how well it answers the question; `score`, which of several that do is the best.
    `columns` are those that the question asks for; none: all.
    """

    rank: int
    position: int
    statement: Statement
    columns: tuple[Column, ...] = ()
    fit: float = 0.0
    score: float = 0.0


def candidates_of(hits: Sequence[Hit]) -> list[Candidate]:
    """The statements of `hits`, each once, not scored."""
    seen: set[tuple[str, str]] = set()
    candidates = []
    for rank, hit in enumerate(hits):
        for position, statement in enumerate(read_chunk(hit).statements):
            key = (hit.document_id, statement.text)
            if key not in seen:  # neighbouring chunks share words
                seen.add(key)
                candidates.append(Candidate(rank, position, statement))
    return candidates


class Scorer:
    """Scores the statements of some hits for one question."""

    def __init__(self, wanted: Asked, hits: Sequence[Hit], candidates: Sequence[Candidate]) -> None:
        self._wanted = wanted
        self._titles = [_title_terms(hit.title, hit.filename) for hit in hits]
        self._chunks = [read_chunk(hit).terms for hit in hits]
        self._has_owners = _having(wanted.owners, hits, map(frozenset.union, self._chunks, self._titles))
        self._weights = _weighed(wanted, candidates)
        self._total = sum(self._weights.values())
        most = max(self._weights.values(), default=0.0)
        self._heaviest = [term for term, weight in self._weights.items() if weight == most]
        self._average = sum(len(c.statement.terms) for c in candidates) / max(1, len(candidates)) or 1.0

    def scored(self, candidates: Sequence[Candidate]) -> Iterator[Candidate]:
        """Those that may be an answer, scored, in no order."""
        if not self._total:
            return
        wanted = self._weights.keys()
        for candidate in candidates:
            statement = candidate.statement
            if wanted.isdisjoint(statement.reach) and wanted.isdisjoint(self._titles[candidate.rank]):
                continue
            if self.is_terse(candidate):
                continue
            if statement.form is not Form.ROW or is_asked(self._wanted, statement, self._weights):
                found = self._scored(candidate)
                if found is not None:
                    yield found

    def is_terse(self, candidate: Candidate) -> bool:
        """Whether a sentence says nothing, or nothing but what the question says."""
        statement = candidate.statement
        least = WHOLE_TERMS if statement.form is Form.SENTENCE else TERSE_TERMS
        is_short = len(statement.terms) < least or statement.terms <= self._weights.keys()
        return statement.form in _LOOSE and is_short

    def is_about(self, candidate: Candidate) -> bool:
        """Whether a statement has itself a word of the question."""
        return not self._weights.keys().isdisjoint(candidate.statement.terms)

    def missing(self, question: str) -> str:
        """The words of `question` that count and that no statement has, nor what one stands under."""
        missed = self._weights.keys() - self._wanted.measures - frozenset[int]().union(*self._chunks)
        return " ".join(word for word in question.split() if not missed.isdisjoint(terms(word)))

    def may_mean(self, candidate: Candidate) -> bool:
        """Whether a statement may answer in other words: it is of the right kind, and nothing must stand in it."""
        statement = candidate.statement
        is_measured = not self._wanted.dimensions.isdisjoint(statement.measures)
        likeness = _likeness(self._wanted, statement, is_measured=is_measured)
        return not self._wanted.needed and statement.form is not Form.FRAGMENT and likeness > UNLIKE

    def _scored(self, candidate: Candidate) -> Candidate | None:
        rank, statement = candidate.rank, candidate.statement
        columns = picked(self._wanted, statement)
        own = statement.terms.union(*(column.terms for column in columns or statement.columns))
        if not self._has_owners[rank] or not self._has_needed(own | statement.scope | self._titles[rank], rank):
            return None
        if is_named_for(self._wanted, statement):
            own |= self._wanted.deed
        measures = _measures(statement, columns)
        is_measured = not self._wanted.dimensions.isdisjoint(measures)
        if not self._wanted.named.isdisjoint(measures):
            own |= self._wanted.nouns  # what has the quantity need not name it
        fit = self._coverage(own, statement.scope | statement.headed, rank, is_measured=is_measured)
        fit *= _likeness(self._wanted, statement, columns, is_measured=is_measured)
        if statement.form is Form.ROW and not (is_measured and statement.names & self._wanted.dimensions):
            fit *= self._agreement(statement)
        score = fit * self._preference(statement, is_measured=is_measured)
        score /= 1 + RANK_DISCOUNT * rank + POSITION_DISCOUNT * candidate.position
        return Candidate(rank, candidate.position, statement, columns, fit, score)

    def _has_needed(self, reach: frozenset[int], rank: int) -> bool:
        """Whether the question's numbers, codes and names are within reach of a statement; years, in its chunk."""
        chunk = self._chunks[rank]
        return all(
            any(spelling <= reach or (needed.is_year and spelling <= chunk) for spelling in needed.spellings)
            for needed in self._wanted.needed
        )

    def _coverage(self, own: frozenset[int], scope: frozenset[int], rank: int, *, is_measured: bool) -> float:
        """The share of the question's terms, weighed by rarity, that a statement has, or what it stands under."""
        title, covered = self._titles[rank], 0.0
        chunk: frozenset[int] = frozenset() if self._wanted.needed else self._chunks[rank]
        for term, weight in self._weights.items():
            if term in own or (is_measured and term in self._wanted.measures):
                covered += weight
            elif term in scope:
                covered += weight * SCOPE_SHARE
            elif term in title:
                covered += weight * TITLE_SHARE
            elif term in chunk and [term] != self._heaviest:
                covered += weight * CHUNK_SHARE
        return covered / self._total

    def _agreement(self, row: Statement) -> float:
        """What a row is worth whose cells share only some words with the question: 1 when it has one as a whole."""
        wanted = self._weights.keys()
        best = max((len(part & wanted) / len(part) for part in row.parts), default=0.0)
        return PART_SHARE + (1 - PART_SHARE) * best

    def _preference(self, statement: Statement, *, is_measured: bool) -> float:
        """What a statement is worth beside others that fit as well."""
        wanted = self._weights.keys()
        if statement.form in _LOOSE:
            if wanted.isdisjoint(statement.terms):
                return 1.0  # all of a section's sentences are alike, the first leads
            return (K1 + 1) / (K1 * (1 - B + B * len(statement.terms) / self._average) + 1)
        if is_measured and statement.names & self._wanted.dimensions:
            return 1 + NAME_BONUS
        return 1 + NAME_BONUS * len(statement.name_terms & wanted) / max(1, len(statement.name_terms))


@lru_cache(maxsize=1_024)
def _title_terms(title: str, filename: str) -> frozenset[int]:
    return terms(f"{title} {filename}")


def _weighed(wanted: Asked, candidates: Sequence[Candidate]) -> dict[int, float]:
    """The question's terms by their rarity among the candidates; one that is nowhere is as rare as can be."""
    counts = Counter(term for c in candidates for term in wanted.weights.keys() & c.statement.terms)
    n = len(candidates) + BACKGROUND
    return {term: weight * _rarity(max(1, counts[term]), n) for term, weight in wanted.weights.items()}


def _rarity(count: int, n: int) -> float:
    """BM25's, flattened: it is for choosing among thousands."""
    return sqrt(log(1 + (n - count + 0.5) / (count + 0.5)))


def _having(owners: frozenset[int], hits: Sequence[Hit], said: Iterable[frozenset[int]]) -> list[bool]:
    """For each hit, whether what is `said` in its document has all `owners`."""
    of_document: dict[str, frozenset[int]] = {}
    if owners:
        for hit, found in zip(hits, said, strict=True):
            of_document[hit.document_id] = of_document.get(hit.document_id, frozenset()) | found
    return [owners <= of_document.get(hit.document_id, owners) for hit in hits]


def _measures(statement: Statement, columns: Sequence[Column]) -> frozenset[str]:
    """What the quantities measure that an answer by these columns would hold."""
    if not columns:
        return statement.measures
    return measured(statement.name).union(*(column.measures for column in columns))


def _has_bare(columns: Sequence[Column]) -> bool:
    """Whether there is a figure of which it is not said what it measures."""
    return any(not column.measures and has_quantity(column.cell) for column in columns)


def _likeness(wanted: Asked, statement: Statement, columns: Sequence[Column] = (), *, is_measured: bool) -> float:
    """What a statement is worth by the kind of answer that it has, and the form that it has."""
    is_row = statement.form is Form.ROW
    if wanted.kind is Kind.WAY and is_row:
        return OTHER_FORM
    if wanted.dimensions and not is_measured:
        return BARE_NUMBER if is_row and _has_bare(columns or statement.columns) else UNLIKE
    if wanted.kind is Kind.NUMBER and not statement.has_quantity:
        return UNLIKE
    if wanted.kind is Kind.TIME and not statement.has_time:
        return BARE_NUMBER if statement.has_number else UNLIKE
    if statement.form is Form.FRAGMENT:
        return FRAGMENT_SHARE
    return OTHER_FORM if statement.form is Form.STEP and wanted.kind not in (Kind.WAY, Kind.ANY) else 1.0
