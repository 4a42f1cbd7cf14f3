"""An answer without a model: the sentences of the best chunks that answer the question, quoted."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log

from app.core.contract import Citation
from worker.answer.citations import citation, sentences
from worker.answer.sanitize import sanitized
from worker.answer.sentences import is_whole
from worker.vectors import Hit, terms

SENTENCES_MAX = 3
CHARACTERS_MAX = 700
"""A short paragraph."""
SENTENCE_SHARE = 0.6
"""What the sentence itself counts; the rest is its chunk's, whose heading often holds what the sentence is about."""
COVERAGE_MIN = 0.34
"""Share of the question's terms, weighed by rarity, that must be covered to answer anything."""
CLOSE_TO_BEST = 0.7
"""A further sentence is quoted when it scores this share of the best one."""
K1 = 1.2
B = 0.25
"""BM25's saturation, and how much a long sentence pays for its length: little, since it is quoted as a whole."""
RANK_DISCOUNT = 0.15
"""What each rank of a sentence's chunk costs: retrieval saw the whole chunk, a sentence alone is little to go by."""
POSITION_DISCOUNT = 0.01
"""What each sentence before it in its chunk costs: of two that fit alike, the first introduces the matter."""
FRAGMENT_SHARE = 0.5
"""What a heading, a footer or a table's row is worth beside a whole sentence."""
ASKING = "how what which who whom whose when where why many much tell please can could should would does did do"
"""Words that ask, and are no sign of an answer; BM25's stop words hold few of them."""
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

    ("", ()) when no sentence is about the question. A sentence is scored by BM25 (Robertson and Zaragoza 2009,
    3.3) as a share of what a sentence of average length with all of the question's terms would score; rarity is
    counted among the candidates. What its chunk holds counts, too; its chunk's rank and its place there discount it.
    """
    wanted = (terms(question) - terms(ASKING)) or terms(question)
    candidates = _candidates(hits)
    weights = _rarity(wanted, candidates)
    total = sum(weights.values())
    if not total:
        return "", ()
    average = sum(len(s.terms) for s in candidates) / max(1, len(candidates)) or 1.0
    around = [_share(found, weights, total) for found in _chunk_terms(candidates, len(hits))]
    scored = []
    for sentence in candidates:
        own = _share(sentence.terms, weights, total)
        if not own or len(sentence.terms) < TERSE_TERMS or sentence.terms <= wanted:
            continue
        own *= (K1 + 1) / (K1 * (1 - B + B * len(sentence.terms) / average) + 1)
        score = SENTENCE_SHARE * own + (1 - SENTENCE_SHARE) * around[sentence.rank]
        score *= 1 if is_whole(sentence.text) else FRAGMENT_SHARE
        score /= 1 + RANK_DISCOUNT * sentence.rank + POSITION_DISCOUNT * sentence.position
        scored.append((score, sentence))
    scored.sort(key=lambda pair: (-pair[0], pair[1].rank, pair[1].position))
    if not scored or scored[0][0] < COVERAGE_MIN:
        return "", ()
    return _compose(_best(scored), hits)


def _candidates(hits: Sequence[Hit]) -> list[_Sentence]:
    seen: set[str] = set()
    candidates = []
    for rank, hit in enumerate(hits):
        for position, (text, found) in enumerate(sentences(hit.text)):
            if text not in seen:  # neighbouring chunks share words
                seen.add(text)
                candidates.append(_Sentence(rank, position, text, found))
    return candidates


def _chunk_terms(candidates: Iterable[_Sentence], chunks: int) -> list[set[int]]:
    found: list[set[int]] = [set() for _ in range(chunks)]
    for sentence in candidates:
        found[sentence.rank] |= sentence.terms
    return found


def _rarity(wanted: frozenset[int], candidates: Sequence[_Sentence]) -> dict[int, float]:
    counts = Counter(term for sentence in candidates for term in wanted & sentence.terms)
    n = len(candidates)
    return {term: log(1 + (n - counts[term] + 0.5) / (counts[term] + 0.5)) for term in wanted}


def _share(found: Iterable[int], weights: dict[int, float], total: float) -> float:
    """The share of the question's terms, weighed by rarity, that are among `found`."""
    return sum(weights[term] for term in weights.keys() & found) / total


def _best(scored: Sequence[tuple[float, _Sentence]]) -> list[_Sentence]:
    """The best sentences that make a short paragraph; the first always."""
    chosen: list[_Sentence] = []
    length = 0
    for score, sentence in scored[:SENTENCES_MAX]:
        length += len(sentence.text)
        if chosen and (score < CLOSE_TO_BEST * scored[0][0] or length > CHARACTERS_MAX):
            break
        chosen.append(sentence)
    return sorted(chosen, key=lambda s: (s.rank, s.position))


def _compose(chosen: Iterable[_Sentence], hits: Sequence[Hit]) -> tuple[str, tuple[Citation, ...]]:
    parts: list[str] = []
    citations: list[Citation] = []
    for sentence in chosen:
        cited = citation(len(citations) + 1, hits[sentence.rank], sentence.text)
        if cited is not None:
            citations.append(cited)
            parts.append(f"{sanitized(cited.quote, sources=0)} [{cited.n}]")  # its own [7] is none of our marks
    return " ".join(parts), tuple(citations)
