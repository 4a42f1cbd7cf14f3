"""Words that a page breaks at a line's end are whole in the index and in answers."""

import time

import pytest

from worker.broken_words import whole, with_parts
from worker.vectors import terms


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("the transporta-\ntion of goods", "the transportation of goods"),
        ("the transporta-\ftion of goods", "the transportation of goods"),
        ("the ware-\n  house", "the warehouse"),
        ("Donau-\ndampf-\nschiff", "Donaudampfschiff"),
        ("TRANSPORTA-\nTION", "TRANSPORTATION"),
        ("a long-\nterm plan. Not a long-term one", "a long-term plan. Not a long-term one"),
        ("a long-\nterm plan. A long way in the long term", "a long-term plan. A long way in the long term"),
        ("the 10-\nK", "the 10-K"),
        ("an e-\nmail", "an e-mail"),
        ("the Anglo-\nSaxon", "the Anglo-Saxon"),
        ("Haupt-\nund Nebeneingang", "Haupt- und Nebeneingang"),
        ("Ein- und Ausgang", "Ein- und Ausgang"),
        ("yes -\nno", "yes -\nno"),
        ("transporta- tion | 3 euro", "transportation | 3 euro"),
        ("Ein- und Ausgang | 3 euro", "Ein- und Ausgang | 3 euro"),
        ("over pages- and pages", "over pages- and pages"),
    ],
)
def test_a_broken_word_is_whole_and_a_hyphen_that_belongs_stays(text: str, mended: str) -> None:
    assert whole(text) == mended


@pytest.mark.parametrize("asked", ["transportation", "long-term", "Donaudampfschiff", "dampf", "warehouse"])
def test_a_question_finds_a_broken_word_whole_and_by_its_parts(asked: str) -> None:
    text = "the transporta-\ntion of a long-\nterm Donau-\ndampf-\nschiff to the ware- house | 3"
    assert terms(asked) <= terms(text)


def test_parts_stand_beside_a_guess_only() -> None:
    assert with_parts("ware-\nhouse") == "warehouse ware house"
    assert with_parts("the 10-\nK") == "the 10-K"


@pytest.mark.parametrize("text", ["x" * 300_000 + "-\n", "a-\n" * 200_000, "- " * 300_000, "a | b- " * 100_000])
def test_mending_takes_linear_time(text: str) -> None:
    began = time.perf_counter()
    with_parts(text)
    assert time.perf_counter() - began < 10  # quadratic: hours
