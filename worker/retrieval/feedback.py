"""A question's vectors, moved towards what its best hits say: pseudo-relevance feedback. Pure.

The best chunks of a first search are taken to be about the question. Its dense vector moves towards theirs (Rocchio,
"Relevance Feedback in Information Retrieval", 1971), with q and d of length 1 and no hits that are taken to be wrong:

    q' = q + ROCCHIO * mean(d)

To its terms are added those that the hits say most. How likely a term is among relevant texts, p(t|R), is the
relevance model of Lavrenko and Croft ("Relevance-Based Language Models", SIGIR 2001); mixing it with the question is
RM3 (Abdul-Jaleel and others, "UMass at TREC 2004"), here with BM25's weights of a chunk's terms instead of counts:

    p(t|R) = sum over hits of p(hit) * p(t|hit)        weight(t) = (1 - RM3) * p(t|q) + RM3 * p(t|R)

The weights are those of the question in sum, so that the scores of both searches are of one size.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from heapq import nlargest
from itertools import islice
from math import hypot
from typing import NamedTuple

from worker.vectors import SparseVector

HITS = 3
"""That are taken to be about the question; 5 were no better."""
HITS_READ = 5
"""So many that `HITS` are left without their near-duplicates, nearly always."""
ROCCHIO = 0.5
"""The weight of their mean beside the question's vector, which has 1."""
RM3 = 0.1
"""The new terms' share of the weight. More of it finds more where many chunks answer, and loses the one that does."""
TERMS_MAX = 40
"""Terms taken from the hits."""
SAME_SHARE = 0.9
"""Of the terms of two chunks: what holds as many in common would count twice for one opinion."""


class Evidence(NamedTuple):
    """A hit of the first search: its score there, above 0, and its vectors as the index has them."""

    score: float
    dense: Sequence[float]
    sparse: SparseVector


def chosen(hits: Iterable[Evidence]) -> list[Evidence]:
    """The first `HITS` of `hits`, without those that have nearly the same terms as an earlier one."""
    return list(islice(_distinct(hits), HITS))


def moved(question: Sequence[float], hits: Sequence[Evidence]) -> list[float]:
    """The question's dense vector, moved towards the best of `hits`. Raises `ValueError` when sizes differ."""
    own, best = _of_length_1(question), [_of_length_1(hit.dense) for hit in hits]
    share = ROCCHIO / max(1, len(best))
    return [q + share * sum(theirs) for q, *theirs in zip(own, *best, strict=True)]


def expanded(question: SparseVector, hits: Sequence[Evidence]) -> SparseVector:
    """The question's terms and the strongest of the hits', of the same weight in sum as the question's alone."""
    strongest = nlargest(TERMS_MAX, _likely(hits).items(), key=lambda item: (item[1], -item[0]))
    most = sum(likelihood for _, likelihood in strongest)
    if most <= 0.0:
        return question
    weights = {term: (1 - RM3) * value for term, value in zip(*question, strict=True)}
    share = RM3 * sum(question.values) / most
    for term, likelihood in strongest:
        weights[term] = weights.get(term, 0.0) + share * likelihood
    return SparseVector(list(weights.keys()), list(weights.values()))


def _likely(hits: Iterable[Evidence]) -> dict[int, float]:
    """p(t|R), but for a factor."""
    likely: defaultdict[int, float] = defaultdict(float)
    for hit in hits:
        if total := sum(hit.sparse.values):
            for term, value in zip(*hit.sparse, strict=True):
                likely[term] += hit.score * value / total
    return likely


def _distinct(hits: Iterable[Evidence]) -> Iterator[Evidence]:
    kept: list[frozenset[int]] = []
    for hit in hits:
        terms = frozenset(hit.sparse.indices)
        if not any(len(terms & others) >= SAME_SHARE * len(terms | others) for others in kept):
            kept.append(terms)
            yield hit


def _of_length_1(vector: Sequence[float]) -> list[float]:
    length = hypot(*vector) or 1.0
    return [value / length for value in vector]
