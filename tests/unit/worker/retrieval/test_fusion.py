"""Fusion: what both halves find leads, a weak half does not drag the better one down, ties are stable."""

import pytest

from app.core.settings import Fusion
from worker.retrieval.fusion import fused

DENSE = [("a", 0.9), ("b", 0.8), ("c", 0.3)]
SPARSE = [("b", 20.0), ("d", 19.0), ("a", 2.0)]


def _fused(
    fusion: Fusion,
    dense: list[tuple[str, float]],
    sparse: list[tuple[str, float]],
    *,
    depth: int = 10,
    weight: float | None = None,
    rrf_k: int = 60,
) -> dict[str, float]:
    return fused(fusion, dense, sparse, depth=depth, dense_weight=weight, rrf_k=rrf_k)


@pytest.mark.parametrize("fusion", list(Fusion))
def test_what_both_halves_hold_high_comes_first(fusion: Fusion) -> None:
    scores = _fused(fusion, DENSE, SPARSE)
    assert max(scores, key=scores.__getitem__) == "b"
    assert scores.keys() == {"a", "b", "c", "d"}


@pytest.mark.parametrize("fusion", list(Fusion))
def test_one_half_alone_keeps_its_order(fusion: Fusion) -> None:
    for dense, sparse in ((DENSE, []), ([], SPARSE)):
        scores = _fused(fusion, dense, sparse)
        assert sorted(scores, key=scores.__getitem__, reverse=True) == [point for point, _ in dense or sparse]


@pytest.mark.parametrize("fusion", list(Fusion))
def test_nothing_fuses_to_nothing_and_equal_scores_do_no_harm(fusion: Fusion) -> None:
    assert _fused(fusion, [], []) == {}
    assert _fused(fusion, [("a", 0.5), ("b", 0.5)], [("a", 0.0)]).keys() == {"a", "b"}


@pytest.mark.parametrize("fusion", list(Fusion))
def test_the_weight_decides_which_half_rules(fusion: Fusion) -> None:
    dense, sparse = [("a", 0.9), ("b", 0.1)], [("b", 9.0), ("a", 1.0)]
    by_meaning = _fused(fusion, dense, sparse, weight=1.0)
    by_words = _fused(fusion, dense, sparse, weight=0.0)
    assert by_meaning["a"] > by_meaning["b"]
    assert by_words["b"] > by_words["a"]


def test_convex_counts_words_from_zero_and_cosines_from_the_last_found() -> None:
    scores = _fused(Fusion.CONVEX, [("a", 0.9), ("b", 0.5)], [("a", 10.0), ("b", 5.0)], depth=2)
    assert scores == pytest.approx({"a": 1.0, "b": 0.6 * 0.5})


def test_convex_gives_what_a_full_half_lacks_the_score_of_its_last() -> None:
    full = _fused(Fusion.CONVEX, [("a", 0.9)], [("b", 10.0), ("c", 5.0)], depth=2)
    short = _fused(Fusion.CONVEX, [("a", 0.9)], [("b", 10.0), ("c", 5.0)], depth=3)
    assert full["a"] == pytest.approx(0.4 + 0.6 * 0.5)
    assert short["a"] == pytest.approx(0.4)


def test_a_lead_in_words_stays_a_lead() -> None:
    """Ranks alone would make these equal."""
    dense, sparse = [("a", 0.61), ("b", 0.60)], [("b", 30.0), ("a", 3.0)]
    convex, rrf = (_fused(fusion, dense, sparse, depth=10) for fusion in (Fusion.CONVEX, Fusion.RRF))
    assert convex["b"] > convex["a"]
    assert rrf["b"] == pytest.approx(rrf["a"])


def test_a_chance_word_does_not_outweigh_what_is_meant() -> None:
    """A question in another language shares a number with some chunk."""
    dense = [("meant", 0.7), ("near", 0.5), ("far", 0.1)]
    scores = _fused(Fusion.CONVEX, dense, [("chance", 3.0)], depth=3)
    assert max(scores, key=scores.__getitem__) == "meant"
    scores = _fused(Fusion.CONVEX, dense, [("certain", 20.0)], depth=3)
    assert max(scores, key=scores.__getitem__) == "certain"


def test_rrf_is_the_papers_sum_of_reciprocal_ranks() -> None:
    scores = _fused(Fusion.RRF, [("a", 0.9), ("b", 0.8)], [("b", 5.0)], rrf_k=60)
    assert scores == pytest.approx({"a": 0.5 / 61, "b": 0.5 / 62 + 0.5 / 61})


def test_dbsf_is_qdrants_three_standard_deviations() -> None:
    scores = _fused(Fusion.DBSF, [("a", 3.0), ("b", 2.0), ("c", 1.0)], [])
    assert scores == pytest.approx({"a": 0.5 * (0.5 + 1 / 6), "b": 0.25, "c": 0.5 * (0.5 - 1 / 6)})
