"""API, worker and stores on three hosts: what a cable that is out or long does to questions and documents.

A store that is killed says so (RST); one behind a cut cable says nothing. `make drill` has the full size.
"""

from collections.abc import Iterator

import pytest

from benchmarks.three_hosts import (
    Outcome,
    Site,
    cut_during_ingest,
    cut_during_questions,
    open_three_hosts,
    over_a_slow_link,
)
from tests.support.hosts import unable

CUT_SECONDS = 6
"""Longer than any answer of Valkey's is waited for: whoever waited on the cut link has to notice."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if reason := unable():
        pytest.skip(reason)
    with open_three_hosts(tmp_path_factory.mktemp("hosts")) as site:
        yield site


def test_no_question_is_lost_or_stuck_and_no_answer_hangs_when_the_stores_are_cut_off(site: Site) -> None:
    hold(cut_during_questions(site, seconds=CUT_SECONDS, clients=8))


def test_every_document_is_indexed_once_when_the_stores_are_cut_off(site: Site) -> None:
    hold(cut_during_ingest(site, seconds=CUT_SECONDS, documents=8))


def test_questions_are_answered_and_streams_flow_when_the_stores_are_200_ms_away(site: Site) -> None:
    hold(over_a_slow_link(site, is_far=True, questions=1, clients=4, seconds=0))


def hold(outcome: Outcome) -> None:
    assert [check for check, holds in outcome.checks.items() if not holds] == [], outcome.notes
