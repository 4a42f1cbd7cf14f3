"""`make bench-cluster` for two seconds: two worker processes and two replicas behind nginx, asked and given PDFs."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from benchmarks.cluster import ELSEWHERE, MOST_CORES, Setup, measure
from benchmarks.support import Site, open_site
from benchmarks.worker import MeasureError
from tests.support.nginx import needs_nginx

pytestmark = needs_nginx
TWO = Setup(processes=2, replicas=2, places=2, model_seconds=0.1, clients=6, pdfs_per_second=4)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with open_site() as site:
        yield site


def test_two_of_each_answer_and_index_behind_nginx_and_each_part_is_told_apart(site: Site) -> None:
    """That both replicas were asked is a matter of `measure`, which raises otherwise."""
    figures = measure(site, TWO, 2)
    assert figures.answers_per_second > 0
    assert figures.pdfs_per_second > 0
    assert list(figures.cpu_ms_per_answer) == [*MOST_CORES, *ELSEWHERE]
    assert [part for part, ms in figures.cpu_ms_per_answer.items() if not ms] == []
    assert site.model.stats()["completed"] >= 2 * figures.answers_per_second  # none was the same answer twice


def test_a_pdf_that_is_not_taken_ends_the_measurement(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.cluster._pdf", lambda _: b"no PDF")
    with pytest.raises(MeasureError, match="POST /documents: 4"):
        measure(site, replace(TWO, processes=1, replicas=1), 2)
