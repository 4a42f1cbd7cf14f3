"""Feedback: the question leads, what several hits say counts, and nothing that is not a number comes of nothing."""

import pytest

from worker.retrieval.feedback import HITS, RM3, ROCCHIO, TERMS_MAX, Evidence, chosen, expanded, moved
from worker.vectors import SparseVector

QUESTION = SparseVector([1, 2], [1.0, 1.0])


def _hit(terms: dict[int, float], dense: tuple[float, ...] = (1.0, 0.0), score: float = 1.0) -> Evidence:
    return Evidence(score, dense, SparseVector(list(terms), list(terms.values())))


def _weights(vector: SparseVector) -> dict[int, float]:
    return dict(zip(vector.indices, vector.values, strict=True))


def test_the_dense_vector_moves_by_half_the_mean_of_the_hits_whatever_the_lengths() -> None:
    hits = [_hit({}, (0.0, 5.0)), _hit({}, (0.1, 0.0))]
    assert moved([2.0, 0.0], hits) == pytest.approx([1 + ROCCHIO / 2, ROCCHIO / 2])


@pytest.mark.parametrize("question", [[3.0, 4.0], [0.0, 0.0]])
def test_without_hits_the_question_stays(question: list[float]) -> None:
    length = sum(value * value for value in question) ** 0.5 or 1.0
    assert moved(question, []) == pytest.approx([value / length for value in question])
    assert expanded(QUESTION, []) == QUESTION


def test_vectors_of_another_size_are_refused_and_not_cut() -> None:
    with pytest.raises(ValueError, match="zip"):
        moved([1.0, 0.0, 0.0], [_hit({})])


def test_terms_are_added_and_the_weight_in_sum_stays() -> None:
    weights = _weights(expanded(QUESTION, [_hit({1: 1.0, 7: 2.0, 8: 1.0})]))
    assert weights.keys() == {1, 2, 7, 8}
    assert sum(weights.values()) == pytest.approx(2.0)
    assert weights[2] == pytest.approx(1 - RM3)
    assert weights[1] == pytest.approx(1 - RM3 + RM3 * 2 / 4)
    assert weights[7] == pytest.approx(2 * weights[8])


def test_a_new_term_weighs_less_than_each_of_a_few_words_asked() -> None:
    """So a code or a number in the question still decides, even where all the hits say one other word only."""
    question = SparseVector(list(range(5)), [1.0] * 5)
    weights = _weights(expanded(question, [_hit({99: 3.0}), _hit({99: 2.0})]))
    assert weights[99] < min(weights[term] for term in question.indices)


def test_a_better_hit_says_more_and_a_longer_one_does_not() -> None:
    better = _weights(expanded(QUESTION, [_hit({7: 1.0}, score=0.9), _hit({8: 1.0}, score=0.3)]))
    assert better[7] == pytest.approx(3 * better[8])
    longer = _weights(expanded(QUESTION, [_hit({7: 1.0}), _hit({8: 1.0, 9: 1.0})]))
    assert longer[7] == pytest.approx(longer[8] + longer[9])


def test_only_the_strongest_terms_are_taken() -> None:
    weights = _weights(expanded(QUESTION, [_hit({10 + n: 100.0 - n for n in range(TERMS_MAX + 5)})]))
    assert weights.keys() == {1, 2, *range(10, 10 + TERMS_MAX)}


@pytest.mark.parametrize("hit", [_hit({}), _hit({7: 0.0}), _hit({7: 1.0}, score=0.0)])
def test_a_hit_that_says_nothing_changes_nothing(hit: Evidence) -> None:
    assert expanded(QUESTION, [hit]) == QUESTION


def test_near_duplicates_have_one_voice_and_the_next_takes_the_place() -> None:
    copies = [_hit(dict.fromkeys(range(20), 1.0)), _hit(dict.fromkeys(range(19), 1.0))]
    others = [_hit({100 + n: 1.0}) for n in range(HITS)]
    assert chosen([*copies, *others]) == [copies[0], *others[: HITS - 1]]
    assert chosen([]) == []
