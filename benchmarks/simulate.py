"""How many answers a deployment gives: a simulation, and a real run beside it: `python -m benchmarks.simulate`.

A question waits for one of the places of one of the worker processes. There it computes (a process computes one thing
at a time, whatever its threads), is looked for in Qdrant, waits for the model, and computes again; meanwhile Valkey
has its share. Valkey does one thing at a time, Qdrant as many as it has cores; what computes takes a core of its
machine, too. So the simulation needs seconds of CPU by part, which `--check` takes from a small run here, and seconds
of the model.

    python -m benchmarks.simulate                       # the table of docs/scaling.md
    python -m benchmarks.simulate --check               # measures with few in flight, foretells with many, compares
    python -m benchmarks.simulate --processes 40 --places 64 --per-second 1000

`--check` exits with 1 where the simulation is more than 10 % beside the real run.
"""

import argparse
import random
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import count
from math import inf
from statistics import fmean
from time import monotonic, sleep

import psutil

from benchmarks.support import Process, Site, open_site, quiet_logs

BESIDE_MOST = 0.10
"""How far the simulation may be beside a real run."""
TOKENS = 20
WARM_UP_ROUNDS = 2
BEFORE_THE_CALL = 0.5
"""Of a worker's CPU for a question, what it takes before the model is called; the rest comes after."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of CPU that one answer takes, by part."""

    worker: float
    valkey: float
    qdrant: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Worker processes, the places of each, and the cores that they share with the other parts (inf: enough)."""

    processes: int
    places: int
    model_seconds: float
    cores: float = inf
    qdrant: int = 1
    """Cores that search: of one server, or of all nodes of a cluster."""
    per_second: float | None = None
    """Questions that come each second, at random (Poisson); None: all wait from the beginning."""
    model_varies: bool = False
    """Whether the model's time is exponentially distributed around `model_seconds`; else it is always that."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a plan gives. Times are from a question to its answer; `busy` is the share of time, by part."""

    answers_per_second: float
    mean_seconds: float
    p95_seconds: float
    busy: dict[str, float]


class Resource:
    """Serves `most` at a time, the others in the order in which they came."""

    def __init__(self, most: float) -> None:
        self._free = most
        self._waiting: deque[Iterator[Step]] = deque()
        self.used_seconds = 0.0

    def take(self, who: Iterator["Step"]) -> bool:
        """Whether `who` has it now; else it is given to `who` when others have left."""
        if self._free > 0:
            self._free -= 1
            return True
        self._waiting.append(who)
        return False

    def leave(self) -> Iterator["Step"] | None:
        """Who has it next."""
        if self._waiting:
            return self._waiting.popleft()
        self._free += 1
        return None


Step = tuple[str, Resource | None, float]
"""What a question does next: ("take", a resource, 0), ("leave", a resource, 0) or ("pass", None, seconds)."""


@dataclass
class Run:
    """One simulation: resources, and what became of the questions."""

    plan: Plan
    costs: Costs
    dice: random.Random
    now: float = 0.0
    ended: list[tuple[float, float]] = field(default_factory=list)
    """When each question came and when it was answered."""

    def __post_init__(self) -> None:
        self._cores = Resource(self.plan.cores)
        self._places = Resource(self.plan.processes * self.plan.places)
        self._workers = [Resource(1) for _ in range(self.plan.processes)]
        self._load = [0] * self.plan.processes
        self._valkey, self._qdrant = Resource(1), Resource(self.plan.qdrant)
        self._events: list[tuple[float, int, Iterator[Step]]] = []
        self._number = count()

    def go(self, questions: int) -> Outcome:
        """Ask so many, and wait for all. The first and the last fifth, when it fills and empties, are not counted."""
        came = 0.0
        for _ in range(questions):
            if self.plan.per_second is not None:
                came += self.dice.expovariate(self.plan.per_second)
            self._at(came, self._question(came))
        while self._events:
            self.now, _, who = heappop(self._events)
            self._move(who)
        return self._outcome()

    def _outcome(self) -> Outcome:
        fifth = len(self.ended) // 5
        counted = self.ended[fifth : len(self.ended) - fifth]
        window = counted[-1][1] - counted[0][1]
        seconds = sorted(end - came for came, end in counted)
        used = {
            "worker": sum(each.used_seconds for each in self._workers) / len(self._workers),
            "valkey": self._valkey.used_seconds,
            "qdrant": self._qdrant.used_seconds / self.plan.qdrant,
        }
        return Outcome(
            answers_per_second=(len(counted) - 1) / window if window else 0.0,
            mean_seconds=fmean(seconds),
            p95_seconds=seconds[int(0.95 * (len(seconds) - 1))],
            busy={part: seconds / self.now for part, seconds in used.items()},
        )

    def _question(self, came: float) -> Iterator[Step]:
        yield ("take", self._places, 0)
        mine = min(range(len(self._load)), key=self._load.__getitem__)  # an idle process takes before a busy one
        self._load[mine] += 1
        worker = self._workers[mine]
        yield from self._compute(self._valkey, self.costs.valkey / 2)
        yield from self._compute(worker, self.costs.worker * BEFORE_THE_CALL)
        yield from self._compute(self._qdrant, self.costs.qdrant)
        mean = self.plan.model_seconds
        yield ("pass", None, self.dice.expovariate(1 / mean) if self.plan.model_varies and mean else mean)
        yield from self._compute(worker, self.costs.worker * (1 - BEFORE_THE_CALL))
        yield from self._compute(self._valkey, self.costs.valkey / 2)
        self._load[mine] -= 1
        self.ended.append((came, self.now))
        yield ("leave", self._places, 0)

    def _compute(self, part: Resource, seconds: float) -> Iterator[Step]:
        """Have the part, and a core for it. What one answer takes differs from another's: exponentially."""
        if not seconds:
            return
        spent = self.dice.expovariate(1 / seconds)
        yield ("take", part, 0)
        yield ("take", self._cores, 0)
        yield ("pass", None, spent)
        part.used_seconds += spent
        yield ("leave", self._cores, 0)
        yield ("leave", part, 0)

    def _at(self, moment: float, who: Iterator[Step]) -> None:
        heappush(self._events, (moment, next(self._number), who))

    def _move(self, who: Iterator[Step]) -> None:
        """Let `who` go on until it has to wait."""
        for act, resource, seconds in who:
            if act == "pass":
                self._at(self.now + seconds, who)
                return
            assert resource is not None
            if act == "take":
                if not resource.take(who):
                    return
            elif (following := resource.leave()) is not None:
                self._at(self.now, following)


def simulate(plan: Plan, costs: Costs, *, questions: int = 20_000, seed: int = 1) -> Outcome:
    """What `plan` gives when each answer takes `costs`; the same for the same `seed`."""
    return Run(plan, costs, random.Random(seed)).go(questions)


# ---------------------------------------------------------------------------------------- a real run beside it


@dataclass(frozen=True, slots=True)
class Measured:
    """What a real run gave: answers, and the CPU that each took by part."""

    answers_per_second: float
    costs: Costs


def measure(site: Site, plan: Plan, seconds: float) -> Measured:
    """Run real workers as `plan` says on a full queue, and look at them for `seconds` once they are warm."""
    site.reset()
    in_flight = plan.processes * plan.places
    site.submit(round(in_flight / plan.model_seconds * (seconds + 15)))
    variables = {
        "WORKER_CONCURRENCY": plan.places,
        "CHAT_MODEL": f"test-ttft={plan.model_seconds:g}s-tokens={TOKENS}",
    }
    with ExitStack() as stack:
        workers = [stack.enter_context(site.worker(**variables)) for _ in range(plan.processes)]
        site.model.wait_until(lambda stats: stats["completion_tokens"] >= WARM_UP_ROUNDS * in_flight * TOKENS, 90)
        before, answered, began = _cpu(site, workers), _answers(site), monotonic()
        sleep(seconds)
        after, now_answered, took = _cpu(site, workers), _answers(site), monotonic() - began
    number = now_answered - answered
    return Measured(number / took, Costs(*((b - a) / number for a, b in zip(before, after, strict=True))))


def _answers(site: Site) -> int:
    return site.model.stats()["completion_tokens"] // TOKENS


def _cpu(site: Site, workers: Sequence[Process]) -> tuple[float, float, float]:
    """Seconds of CPU so far: of the workers, Valkey and Qdrant."""
    parts = ([each.pid for each in workers], [site.valkey.pid], [site.qdrant.pid])
    worker, valkey, qdrant = (sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids) for pids in parts)
    return worker, valkey, qdrant


CHECKED = (Plan(1, 64, 1.0), Plan(2, 32, 0.5), Plan(1, 256, 1.0), Plan(2, 128, 1.0))


def check(seconds: float) -> bool:
    """Measure with 16 in flight, foretell `CHECKED`, run those, and say how far the simulation was beside them."""
    cores = psutil.cpu_count() or 1
    with open_site() as site:
        costs = measure(site, Plan(1, 16, 0.25), seconds).costs
        print(
            f"CPU an answer, measured with 16 in flight: worker {1000 * costs.worker:.2f} ms, "
            f"Valkey {1000 * costs.valkey:.2f}, Qdrant {1000 * costs.qdrant:.2f}\n"
        )
        print(f"{'processes':>9}{'places':>8}{'model':>8}{'foretold':>10}{'measured':>10}{'beside':>8}")
        worst = 0.0
        for plan in CHECKED:
            foretold = simulate(replace(plan, cores=cores), costs, questions=200 * plan.places).answers_per_second
            real = measure(site, plan, seconds).answers_per_second
            beside = foretold / real - 1
            worst = max(worst, abs(beside))
            print(
                f"{plan.processes:9}{plan.places:8}{plan.model_seconds:6.2f} s"
                f"{foretold:10.1f}{real:10.1f}{beside:+8.1%}",
                flush=True,
            )
    print(f"\nat most {worst:.1%} beside the real run (aim: {BESIDE_MOST:.0%})")
    return worst <= BESIDE_MOST


REFERENCE = Costs(worker=0.0062, valkey=0.0012, qdrant=0.0023)
"""Measured on two cores in November 2026: see docs/scaling.md."""
TABLE = (
    (Plan(1, 64, 1.0), 45), (Plan(1, 256, 1.0), 150), (Plan(4, 64, 3.0), 70), (Plan(18, 64, 3.0), 300),
    (Plan(56, 64, 3.0, qdrant=4), 1_000),
)  # fmt: skip
"""Plans, and the questions that come to each in a second: some four fifths of what its places would take."""


def show(plans: Sequence[Plan], costs: Costs) -> None:
    """A line for each plan: what it gives, how long a question takes, and how busy each part is."""
    print(f"{'processes':>9}{'places':>8}{'model':>8}{'come/s':>8}{'answers/s':>11}{'mean':>8}{'p95':>8}   busy")
    for plan in plans:
        questions = max(5_000, round(30 * (plan.per_second or plan.processes * plan.places)))
        found = simulate(plan, costs, questions=questions)
        busy = ", ".join(f"{part} {share:.0%}" for part, share in found.busy.items())
        print(
            f"{plan.processes:9}{plan.places:8}{plan.model_seconds:6.1f} s{plan.per_second or 0:8.0f}"
            f"{found.answers_per_second:11.1f}{found.mean_seconds:6.2f} s{found.p95_seconds:6.2f} s   {busy}"
        )


def main(argv: list[str] | None = None) -> int:
    """Exit code: 1 when `--check` finds the simulation too far beside the real run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulate", description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="run it for real, too, and compare")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each real run (%(default)s)")
    parser.add_argument("--processes", type=int, help="worker processes")
    parser.add_argument("--places", type=int, default=64, help="questions at once in each (%(default)s)")
    parser.add_argument("--model-seconds", type=float, default=3.0, help="of a call (%(default)s)")
    parser.add_argument("--qdrant", type=int, default=1, help="cores that search (%(default)s)")
    parser.add_argument("--per-second", type=float, help="questions that come; unset: all wait from the beginning")
    options = parser.parse_args(argv)
    if options.check:
        quiet_logs()
        return 0 if check(options.seconds) else 1
    if options.processes is not None:
        asked = (options.processes, options.places, options.model_seconds)
        plans = [Plan(*asked, qdrant=options.qdrant, per_second=options.per_second)]
    else:
        plans = [replace(plan, per_second=rate, model_varies=True) for plan, rate in TABLE]
    show(plans, REFERENCE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
