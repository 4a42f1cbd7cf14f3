"""What a process learns of its model: that its thoughts begin unmarked, and what is too long for it."""

from collections.abc import Sequence

import pytest

from app.core.errors import ErrorCode, ServiceError
from worker.answer.pipeline import Completion, OnText
from worker.answer.prompt import Message
from worker.model import manners
from worker.model.manners import MannerlyModel

PLAIN = "At six. [1]"
UNMARKED = f"Harbour times are somewhere in here.</think>{PLAIN}"


class Says:
    """A client whose model says these one after another, character by character."""

    def __init__(self, *replies: str, room: int = 10**6) -> None:
        self.replies = list(replies)
        self.room = room
        self.asked = 0

    def __call__(self, messages: Sequence[Message], on_text: OnText) -> Completion:
        self.asked += 1
        if len(messages[0]["content"]) > self.room:
            raise ServiceError(ErrorCode.CONTEXT_TOO_LONG)
        reply = self.replies.pop(0)
        for character in reply:
            on_text(character)
        return Completion(reply)


def ask(model: MannerlyModel, question: str = "?") -> tuple[list[str], Completion]:
    told: list[str] = []
    return told, model.complete([{"role": "user", "content": question}], told.append)


def test_of_a_model_that_thinks_unmarked_thoughts_are_told_once_and_then_taken_back() -> None:
    model = MannerlyModel(Says(UNMARKED, UNMARKED, PLAIN, UNMARKED), "m")
    assert ask(model)[1] == Completion(PLAIN, is_retold=True)
    for _ in range(3):
        told, completion = ask(model)
        assert ("".join(told), completion) == (PLAIN, Completion(PLAIN))


@pytest.mark.parametrize("name", ["deepseek-r1", "m"])
def test_of_one_whose_name_or_words_tell_they_are_never_told(name: str) -> None:
    words = UNMARKED if name != "m" else f"Okay, {UNMARKED}"
    told, completion = ask(MannerlyModel(Says(words), name))
    assert ("".join(told), completion.is_retold) == (PLAIN, False)


def test_one_that_answers_without_is_then_told_as_it_comes_whatever_its_name() -> None:
    model = MannerlyModel(Says(PLAIN, PLAIN), "qwen3:8b")
    assert ask(model)[0] == [PLAIN]
    assert len(ask(model)[0]) > 5


def test_what_was_too_long_is_not_asked_again_for_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(manners, "monotonic", lambda: now)
    says = Says(*[PLAIN] * 5, room=100)
    model = MannerlyModel(says, "m")
    for size in (200, 150):
        with pytest.raises(ServiceError):
            ask(model, "x" * size)
    assert says.asked == 2
    for size in (150, 151, 10_000):
        with pytest.raises(ServiceError) as raised:
            ask(model, "x" * size)
        assert raised.value.code is ErrorCode.CONTEXT_TOO_LONG
    assert says.asked == 2
    ask(model, "x" * 100)
    says.room = 1000
    now += manners.TOO_LONG_SECONDS
    ask(model, "x" * 200)
    assert says.asked == 4
