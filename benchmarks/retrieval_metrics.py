"""How good rankings are, by the definitions of trec_eval, which BEIR uses."""

from collections.abc import Mapping, Sequence
from math import log2
from statistics import fmean

Gains = Mapping[str, int]


def dcg(gains: Sequence[int]) -> float:
    return sum(gain / log2(rank + 1) for rank, gain in enumerate(gains, 1))


def ndcg(ranking: Sequence[str], gains: Gains, depth: int) -> float:
    ideal = dcg(sorted(gains.values(), reverse=True)[:depth])
    return dcg([gains.get(document, 0) for document in ranking[:depth]]) / ideal


def recall(ranking: Sequence[str], gains: Gains, depth: int) -> float:
    return sum(document in gains for document in ranking[:depth]) / len(gains)


def reciprocal_rank(ranking: Sequence[str], gains: Gains) -> float:
    return next((1 / rank for rank, document in enumerate(ranking, 1) if document in gains), 0.0)


def hit(ranking: Sequence[str], gains: Gains, depth: int) -> float:
    return float(any(document in gains for document in ranking[:depth]))


def averages(rankings: Mapping[str, Sequence[str]], judgements: Mapping[str, Gains]) -> dict[str, float]:
    """The measures over all queries; a ranking names each document once, the best first."""
    pairs = [(ranking, judgements[query]) for query, ranking in rankings.items()]
    return {
        "ndcg@10": fmean(ndcg(ranking, gains, 10) for ranking, gains in pairs),
        "recall@5": fmean(recall(ranking, gains, 5) for ranking, gains in pairs),
        "recall@10": fmean(recall(ranking, gains, 10) for ranking, gains in pairs),
        "mrr": fmean(reciprocal_rank(ranking, gains) for ranking, gains in pairs),
        "hit@5": fmean(hit(ranking, gains, 5) for ranking, gains in pairs),
    }
