"""A chunk's vector leans towards those around it, and stays its own."""

import numpy
import pytest

from ingest.indexing.neighbour_vectors import NEIGHBOURS, in_context


def cosine(one: object, other: object) -> float:
    first, second = numpy.asarray(one), numpy.asarray(other)
    return float(first @ second / numpy.linalg.norm(first) / numpy.linalg.norm(second))


def test_neighbours_come_closer_and_each_stays_closest_to_what_it_was() -> None:
    before = numpy.eye(3).tolist()
    after = in_context(before)
    for at in range(3):
        assert cosine(after[at], after[at - 1]) > 0
        assert cosine(after[at], before[at]) > 2 * cosine(after[at], before[at - 1])


def test_what_is_further_away_than_the_neighbours_changes_nothing() -> None:
    vectors = numpy.ones((NEIGHBOURS + 2, 2))
    vectors[-1] = (0, 1)
    after = in_context(vectors.tolist())
    assert cosine(after[0], (1, 1)) == pytest.approx(1)
    assert cosine(after[1], (1, 1)) < 0.9999


def test_a_chunk_alone_points_where_it_pointed() -> None:
    [after] = in_context([[3.0, 4.0]])
    assert cosine(after, (3, 4)) == pytest.approx(1)
