"""What the semantic cache gives again, and what it would give wrongly: `python -m benchmarks.semantic`.

Pairs of questions of our own making (`semantic_pairs.jsonl`): most ask for something else and must not hit, whatever
their vectors say; the others are one question in other words. Each is judged by the cache's own words, by the cosine
of EMBEDDING_MODEL at several thresholds, if that is set, and by both; and with the worst model that there can be, to
which all questions are one.
"""

import json
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy

from app.core.settings import Settings
from worker.answer.same_question import canonical
from worker.model.choice import settled
from worker.model.embeddings import open_embeddings

PAIRS = Path(__file__).with_name("semantic_pairs.jsonl")
THRESHOLDS = (0.90, 0.95, 0.98)
WORST = "a model to which all are one"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two questions, and whether the answer to `one` answers `other`."""

    kind: str
    one: str
    other: str
    same: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """Of one way to judge: pairs that hit as they may, and those that hit and must not."""

    hits: int
    false_hits: tuple[Pair, ...]


def pairs() -> list[Pair]:
    """Those that are shipped."""
    return [Pair(**json.loads(line)) for line in PAIRS.read_text(encoding="utf-8").splitlines()]


def has_same_words(pair: Pair) -> bool:
    """The cache's rule, without its cosine."""
    form = canonical(pair.one)
    return form is not None and form == canonical(pair.other)


def judged(every: list[Pair], is_hit: Callable[[Pair], bool]) -> Judged:
    """Every pair by `is_hit`."""
    hits = [pair for pair in every if is_hit(pair)]
    return Judged(sum(pair.same for pair in hits), tuple(pair for pair in hits if not pair.same))


def cosines(every: list[Pair], settings: Settings) -> dict[Pair, float]:
    """How near the model has the questions of each pair; nothing without a model."""
    model = open_embeddings(settings) if settings.embedding_model else None
    if model is None:
        return {}
    texts = sorted({text for pair in every for text in (pair.one, pair.other)})
    with closing(model):
        made = numpy.asarray(model.embed_documents(texts), dtype=numpy.float64)
    made /= numpy.maximum(numpy.linalg.norm(made, axis=1, keepdims=True), 1e-12)
    vectors = dict(zip(texts, made, strict=True))
    return {pair: float(vectors[pair.one] @ vectors[pair.other]) for pair in every}


def run(settings: Settings) -> dict[str, Judged]:
    """Every way to judge, by its name."""
    every = pairs()
    near = cosines(every, settings)
    ways = {f"the words alone ({WORST})": judged(every, has_same_words)}
    for threshold in THRESHOLDS if near else ():
        close = {pair for pair in every if near[pair] >= threshold}
        ways[f"cosine {threshold:.2f} alone"] = judged(every, close.__contains__)
        alike = {pair for pair in close if has_same_words(pair)}
        ways[f"cosine {threshold:.2f} and the words"] = judged(every, alike.__contains__)
    return ways


def main() -> int:
    """Measure and print the table, then the same as one line of JSON; 1 when the cache gives a wrong answer."""
    settings, every = settled(Settings()), pairs()
    may = sum(pair.same for pair in every)
    ways = run(settings)
    must_not = f"{len(every) - may} pairs that must not hit, {may} that may"
    print(f"{must_not}; EMBEDDING_MODEL={settings.embedding_model or ''}")
    for name, found in ways.items():
        print(f"{name:48} {found.hits:4} hits {len(found.false_hits):4} false hits")
    wrong = [pair for name, found in ways.items() if "words" in name for pair in found.false_hits]
    for pair in wrong:
        print(f"  {pair.kind}: {pair.one} | {pair.other}")
    print(json.dumps({name: [found.hits, len(found.false_hits)] for name, found in ways.items()}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
