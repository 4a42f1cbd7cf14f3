"""The benchmark of follow-ups runs, and its questions are what it says that they are."""

from pathlib import Path

from app.core.settings import Settings
from benchmarks.follow_up_data import follow_ups
from benchmarks.follow_ups import run


def test_a_hundred_follow_ups_of_which_none_is_its_own_standalone_form() -> None:
    asked = list(follow_ups())
    assert len(asked) == 100
    assert all(each.question != each.alone != each.before.question for each in asked)


def test_words_and_rewriting_find_more_than_the_follow_up_alone(qdrant_url: str, tmp_path: Path) -> None:
    alone, raw, words, rewritten = run(Settings(qdrant_url=qdrant_url), tmp_path / "data").values()
    assert raw < words <= rewritten <= alone
    assert rewritten > 0.9
