"""An answer without a model: the sentences of the best chunks that answer the question, quoted."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from app.core.contract import Citation
from worker.citations import citation
from worker.index import Hit, terms
from worker.sentences import is_whole, split_sentences

SENTENCES_MAX = 3
SENTENCE_SHARE = 0.6
"""What the sentence itself counts; the rest is its chunk's, whose heading often holds what the sentence is about."""
COVERAGE_MIN = 0.34
"""Share of the question's terms, weighed by rarity, that must be covered to answer anything."""
CLOSE_TO_BEST = 0.7
"""A further sentence is quoted when it scores this share of the best one."""
RANK_DISCOUNT = 0.15
"""What each rank of a sentence's chunk costs: retrieval saw the whole chunk, a sentence alone is little to go by."""
FRAGMENT_SHARE = 0.5
"""What a heading, a footer or a table's row is worth beside a whole sentence."""
TERSE_TERMS = 3
"""What has fewer terms says nothing."""


@dataclass(frozen=True, slots=True)
class _Sentence:
    rank: int
    position: int
    text: str
    terms: frozenset[int]


def extract(question: str, hits: Sequence[Hit]) -> tuple[str, tuple[Citation, ...]]:
    """Up to `SENTENCES_MAX` sentences of `hits` with marks, in reading order, and their citations.

    ("", ()) when no sentence is about the question. A sentence's score is the share of the question's terms that it
    and its chunk hold, each weighed by its rarity among the candidates (the IDF of BM25: Robertson and Zaragoza 2009,
    3.3), discounted by the rank of its chunk.
    """
    wanted = terms(question)
    candidates = _candidates(hits)
    weights = _rarity(wanted, candidates)
    total = sum(weights.values())
    if not total:
        return "", ()

    def covered(found: frozenset[int]) -> float:
        return sum(weights[term] for term in wanted & found) / total

    around = [covered(terms(hit.text)) for hit in hits]
    scored = [
        (
            (SENTENCE_SHARE * own + (1 - SENTENCE_SHARE) * around[s.rank])
            * (1 if is_whole(s.text) else FRAGMENT_SHARE)
            / (1 + RANK_DISCOUNT * s.rank),
            s,
        )
        for s in candidates
        if len(s.terms) >= TERSE_TERMS and s.terms - wanted and (own := covered(s.terms))
    ]
    scored.sort(key=lambda pair: (-pair[0], pair[1].rank, pair[1].position))
    if not scored or scored[0][0] < COVERAGE_MIN:
        return "", ()
    best = scored[0][0]
    chosen = [s for score, s in scored[:SENTENCES_MAX] if score >= CLOSE_TO_BEST * best]
    return _compose(chosen, hits)


def _candidates(hits: Sequence[Hit]) -> list[_Sentence]:
    seen: set[str] = set()
    candidates = []
    for rank, hit in enumerate(hits):
        for position, text in enumerate(split_sentences(hit.text)):
            if text not in seen:  # neighbouring chunks share words
                seen.add(text)
                candidates.append(_Sentence(rank, position, text, terms(text)))
    return candidates


def _rarity(wanted: frozenset[int], candidates: Sequence[_Sentence]) -> dict[int, float]:
    counts = Counter(term for sentence in candidates for term in wanted & sentence.terms)
    n = len(candidates)
    return {term: log(1 + (n - counts[term] + 0.5) / (counts[term] + 0.5)) for term in wanted}


def _compose(chosen: Sequence[_Sentence], hits: Sequence[Hit]) -> tuple[str, tuple[Citation, ...]]:
    parts: list[str] = []
    citations: list[Citation] = []
    for sentence in sorted(chosen, key=lambda s: (s.rank, s.position)):
        cited = citation(len(citations) + 1, hits[sentence.rank], sentence.text)
        if cited is not None:
            citations.append(cited)
            parts.append(f"{cited.quote} [{cited.n}]")
    return " ".join(parts), tuple(citations)
