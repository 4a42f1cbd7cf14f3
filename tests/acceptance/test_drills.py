"""The drills of `make drill`, a tenth of their size: what becomes of jobs when something dies, is away or is wrong.

Drills mostly wait, so four go on at once, each with a Valkey, a Qdrant and a model of its own.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from benchmarks.drill import DRILLS, Report
from benchmarks.support import open_site

SCALE = 0.1
AT_ONCE = 4
ELSEWHERE = {
    "ten-thousand": "a matter of size alone",
    "three-hosts": "acceptance/test_three_hosts has it",
    "batch": "of a few lines it may be over before its API dies; integration/app/test_batch_deaths has each step",
    "fairness": "it measures seconds; the order that they come of is held by integration/worker/test_fair_queue",
}
NAMES = [name for name in DRILLS if name not in ELSEWHERE]


@pytest.fixture(scope="module")
def reports(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Report]]]:
    """The reports of the drills that this session's tests ask for, on their way."""
    tests = [item for item in request.session.items if isinstance(item, pytest.Function)]
    names = [str(test.callspec.params["name"]) for test in tests if test.module is request.module]
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        yield {name: pool.submit(run, name) for name in names}
    finally:
        pool.shutdown(cancel_futures=True)


def run(name: str) -> Report:
    """One drill on a site of its own."""
    with open_site() as site:
        return DRILLS[name](site, SCALE)


@pytest.mark.parametrize("name", NAMES)
def test_a_drill_meets_its_aim(reports: dict[str, Future[Report]], name: str) -> None:
    report = reports[name].result()
    assert report.tally.lost == 0
    assert [check for check, holds in report.checks.items() if not holds] == [], f"{report.tally} {report.notes}"
