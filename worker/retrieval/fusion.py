"""Two rankings of the same chunks, one by meaning and one by words, made one. Pure.

`convex` is the default: over sets of several kinds it was never below the better half. DBSF and RRF, which look at
ranks and spreads alone, are where one half is weak.
"""

from collections.abc import Sequence
from statistics import fmean, stdev

from app.core.settings import Fusion

Ranking = Sequence[tuple[str, float]]
"""Point ids and their scores, best first."""
Half = tuple[dict[str, float], float]
"""The points of one half with normalised scores, and the score of every other point."""

DENSE_WEIGHTS = {Fusion.CONVEX: 0.4, Fusion.DBSF: 0.5, Fusion.RRF: 0.5}
"""0.4 was best over six sets, and 0.35 and 0.45 hardly worse."""

BM25_SURE = 10.0
"""A best score below this is that of a common word or two, by chance: of a question in another language, say."""


def fused(
    fusion: Fusion, dense: Ranking, sparse: Ranking, *, depth: int, dense_weight: float | None, rrf_k: int
) -> dict[str, float]:
    """The points of both halves with their fused scores, from 0 to 1 but for RRF's, which are smaller.

    `depth` is how many points each half was asked for: one that gave fewer has no more.
    """
    weight = DENSE_WEIGHTS[fusion] if dense_weight is None else dense_weight
    (by_meaning, no_meaning), (by_words, no_words) = _normalised(fusion, dense, sparse, depth, rrf_k)
    return {
        point: weight * by_meaning.get(point, no_meaning) + (1 - weight) * by_words.get(point, no_words)
        for point in by_meaning | by_words
    }


def _normalised(fusion: Fusion, dense: Ranking, sparse: Ranking, depth: int, rrf_k: int) -> tuple[Half, Half]:
    if fusion is Fusion.CONVEX:
        least = dense[-1][1] if len(dense) >= depth else 0.0
        return convex(dense, least, depth), convex(sparse, 0.0, depth, sure=BM25_SURE)
    if fusion is Fusion.DBSF:
        return by_distribution(dense), by_distribution(sparse)
    return reciprocal_ranks(dense, rrf_k), reciprocal_ranks(sparse, rrf_k)


def convex(half: Ranking, least: float, depth: int, *, sure: float = 0.0) -> Half:
    """Scores from `least` to the best found, as 0 to 1: Bruch, Gai, Ingber, "An Analysis of Fusion Functions", 2023.

    BM25's least is 0, so that a lead in words stays a lead. Cosines are counted from the last one found, as each
    embedding model has its own narrow range of them. A half whose best score is below `sure` stays below 1. A point
    that a full half does not hold scores at most as its last one, and is given that.
    """
    best = max(half[0][1], sure) if half else least
    if best <= least:
        return dict.fromkeys((point for point, _ in half), 0.0), 0.0
    spread = best - least
    scores = {point: (score - least) / spread if score > least else 0.0 for point, score in half}
    return scores, scores[half[-1][0]] if len(half) >= depth else 0.0


def by_distribution(half: Ranking) -> Half:
    """Distribution-based score fusion: mean less and plus three standard deviations become 0 and 1, as in Qdrant."""
    scores = [score for _, score in half]
    spread = 6 * stdev(scores) if len(scores) > 1 else 0.0
    low = fmean(scores) - spread / 2 if scores else 0.0
    return {point: min(1.0, max(0.0, (score - low) / spread)) if spread else 0.5 for point, score in half}, 0.0


def reciprocal_ranks(half: Ranking, k: int) -> Half:
    """Reciprocal rank fusion: Cormack, Clarke, Büttcher, SIGIR 2009."""
    return {point: 1 / (k + rank) for rank, (point, _) in enumerate(half, 1)}, 0.0
