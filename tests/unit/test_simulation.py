"""The simulation of docs/scaling.md agrees with what queueing theory knows in closed form."""

from math import factorial

import pytest

from benchmarks.simulate import Costs, Plan, main, simulate
from tests.support import ROOT

FREE = Costs(worker=0, valkey=0, qdrant=0)


def erlang_c(load: float, places: int) -> float:
    """The share of those who wait in M/M/c (A. K. Erlang, 1917), at `load` = arrivals * service time."""
    waiting = load**places / factorial(places) * places / (places - load)
    return waiting / (sum(load**k / factorial(k) for k in range(places)) + waiting)


@pytest.mark.parametrize(("processes", "places"), [(1, 8), (4, 2)])
def test_where_nothing_computes_each_place_gives_an_answer_a_call(processes: int, places: int) -> None:
    found = simulate(Plan(processes, places, 0.5), FREE, questions=2_000)
    assert found.answers_per_second == pytest.approx(16, rel=0.02)


@pytest.mark.parametrize(("places", "per_second"), [(4, 6.0), (10, 16.0), (10, 19.0)])
def test_the_wait_for_a_place_is_erlangs(places: int, per_second: float) -> None:
    """Poisson arrivals, exponential calls of half a second."""
    plan = Plan(1, places, 0.5, per_second=per_second, model_varies=True)
    found = simulate(plan, FREE, questions=60_000)
    wait = erlang_c(per_second * 0.5, places) * 0.5 / (places - per_second * 0.5)
    assert found.mean_seconds == pytest.approx(0.5 + wait, rel=0.08)


@pytest.mark.parametrize(("processes", "cores", "rate"), [(1, 8, 100), (2, 8, 200), (2, 1, 100), (4, 2, 200)])
def test_what_computes_is_bound_by_processes_and_cores(processes: int, cores: int, rate: float) -> None:
    found = simulate(Plan(processes, 64, 0.01, cores=cores), Costs(worker=0.01, valkey=0, qdrant=0), questions=4_000)
    assert found.answers_per_second == pytest.approx(rate, rel=0.06)
    assert found.busy["worker"] == pytest.approx(rate * 0.01 / processes, rel=0.1)


@pytest.mark.parametrize("part", ["valkey", "qdrant"])
def test_a_part_that_all_share_is_the_bound_when_it_is_the_slowest(part: str) -> None:
    costs = Costs(**{"worker": 0.001, "valkey": 0.0001, "qdrant": 0.0001} | {part: 0.02})
    found = simulate(Plan(8, 64, 0.1), costs, questions=3_000)
    assert found.answers_per_second == pytest.approx(50, rel=0.08)
    assert found.busy[part] > 0.9


def test_the_page_shows_what_the_simulation_prints(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "scaling.md").read_text()
    _, shown = page.split("$ python -m benchmarks.simulate\n")
    assert main([]) == 0
    assert shown.split("```")[0] == capsys.readouterr().out
