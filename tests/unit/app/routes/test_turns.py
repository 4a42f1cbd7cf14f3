"""Earlier turns out of a client's messages."""

import pytest

from app.core.contract import (
    INSTRUCTIONS_MAX_CHARACTERS,
    QUERY_MAX_CHARACTERS,
    TURN_ANSWER_MAX_CHARACTERS,
    TURNS_READ,
)
from app.routes.openai.client_tasks import Said
from app.routes.openai.turns import instructions_in, turns_in

CASES: dict[str, tuple[list[Said], list[tuple[str, str]]]] = {
    "none": ([], []),
    "one": ([("user", "A?"), ("assistant", "a.")], [("A?", "a.")]),
    "an answer in two messages": ([("user", "A?"), ("assistant", "a."), ("assistant", "b.")], [("A?", "a.\nb.")]),
    "a tool between them": (
        [("user", "A?"), ("assistant", ""), ("tool", "sEcReT"), ("assistant", "a.")],
        [("A?", "a.")],
    ),
    "a question without an answer": ([("user", "A?"), ("user", "B?")], [("A?", ""), ("B?", "")]),
    "an answer without a question": ([("assistant", "Hello."), ("user", "A?")], [("A?", "")]),
    "rules": ([("system", "Be brief."), ("user", "A?"), ("developer", "sEcReT")], [("A?", "")]),
    "only an image": ([("user", " "), ("assistant", "A ship.")], []),
    "halves of characters": ([("user", "A\ud800?"), ("assistant", "\udc00a.")], [("A?", "a.")]),
    "files of Open WebUI's": (
        [("user", "### Task:\nRespond.\n<context>\nsEcReT\n</context>\nA?"), ("assistant", "a.")],
        [("A?", "a.")],
    ),
    "too long": (
        [("user", "A" * 20_000), ("assistant", "a" * 20_000)],
        [("A" * QUERY_MAX_CHARACTERS, "a" * TURN_ANSWER_MAX_CHARACTERS)],
    ),
}


@pytest.mark.parametrize(("said", "turns"), CASES.values(), ids=CASES)
def test_a_turn_is_a_question_with_its_answer(said: list[Said], turns: list[tuple[str, str]]) -> None:
    assert [(turn.question, turn.answer) for turn in turns_in(said)] == turns


def test_the_last_six_are_read() -> None:
    said: list[Said] = [each for n in range(9) for each in (("user", f"{n}?"), ("assistant", f"{n}."))]
    assert [turn.question for turn in turns_in(said)] == [f"{n}?" for n in range(9 - TURNS_READ, 9)]


@pytest.mark.parametrize(
    ("said", "first", "told"),
    [
        ([], None, None),
        ([("user", "A?")], None, None),
        ([("system", " \n"), ("developer", "")], " ", None),
        ([("system", "Be brief."), ("user", "A?"), ("developer", "Be\ud800 kind.")], None, "Be brief.\n\nBe kind."),
        ([("system", "Be kind.")], "Be brief.", "Be brief.\n\nBe kind."),
        ([("system", "x" * 20_000)], "y", "y\n\n" + "x" * (INSTRUCTIONS_MAX_CHARACTERS - 3)),
    ],
)
def test_what_answers_should_be_like_is_told_in_order(said: list[Said], first: str | None, told: str | None) -> None:
    assert instructions_in(said, first) == told
