"""Which wordings ask the same: the pairs that are shipped with the benchmark, by their words alone."""

import json
from collections import Counter
from typing import Any

import pytest

from benchmarks.semantic import PAIRS, pairs
from worker.answer.same_question import canonical

KINDS_MIN = {
    "negation": 30, "year": 15, "number": 15, "unit": 15, "roles": 20, "entity": 15, "comparison": 10,
    "before or after": 10, "with or without": 8, "how much and who of it": 15, "a word and its plural": 10,
    "an article": 8, "a mark": 8,
}  # fmt: skip
DIFFERENT = [each for each in pairs() if not each.same]
SAME = [each for each in pairs() if each.same]


def test_the_pairs_are_of_every_kind_each_once_and_none_is_of_one_text() -> None:
    rows = [json.loads(line) for line in PAIRS.read_text(encoding="utf-8").splitlines()]
    counted = Counter(row["kind"] for row in rows if not row["same"])
    assert {kind for kind, least in KINDS_MIN.items() if counted[kind] < least} == set()
    assert counted.keys() == KINDS_MIN.keys()
    assert len({(row["one"], row["other"]) for row in rows}) == len(rows)
    assert all(row["one"] != row["other"] for row in rows)
    assert len(DIFFERENT) >= 150
    assert len(SAME) >= 50


@pytest.mark.parametrize("pair", DIFFERENT, ids=lambda pair: f"{pair.one} {pair.other}")
def test_what_asks_for_something_else_is_another_question_whatever_a_model_says(pair: Any) -> None:
    assert canonical(pair.one) != canonical(pair.other)


@pytest.mark.parametrize("pair", SAME, ids=lambda pair: f"{pair.one} {pair.other}")
def test_a_question_in_other_words_is_the_same(pair: Any) -> None:
    assert canonical(pair.one) == canonical(pair.other)


@pytest.mark.parametrize("text", ["", "?", "123", "5 + 5 =", "!!!", " \n"])
def test_what_has_no_word_is_no_question(text: str) -> None:
    assert canonical(text) is None


@pytest.mark.parametrize("pair", [*DIFFERENT, *SAME], ids=lambda pair: f"{pair.one} {pair.other}")
def test_a_question_is_itself_however_it_is_spaced(pair: Any) -> None:
    for text in (pair.one, pair.other):
        assert canonical(text) == canonical(f"\t {text.replace(' ', '  ')}\n")


@pytest.mark.parametrize(
    "text", ["what " * 1_600, "'" * 8_000, "What's" * 1_300, "a," * 4_000, "Can you tell me " * 500]
)
def test_the_longest_questions_take_no_time(text: str) -> None:
    canonical(text)
