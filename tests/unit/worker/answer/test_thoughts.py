"""Thoughts and template marks are taken out of an answer, however it is cut; what only looks like them stays."""

import re

import pytest

from worker.answer.thoughts import CODE_MAX_CHARACTERS, NAMED, AnswerOnly, answer_in

SIX = "At six. [1]"
HARMONY = "<|channel|>analysis<|message|>The user asks.<|end|><|start|>assistant<|channel|>final<|message|>"
TAKEN_OUT = {
    f"<think>Hm.</think>{SIX}": SIX,
    f"<think>\nHm.\n</think>\n\n{SIX}": SIX,
    f"<think></think>{SIX}": SIX,
    f"<THINK>Hm.</THINK>{SIX}": SIX,
    f"<thinking>Hm.</thinking>{SIX}": SIX,
    f"<thought>Hm.</thought>{SIX}": SIX,
    f"<reasoning>Hm.</reasoning>\n{SIX}": SIX,
    f"<seed:think>Hm.</seed:think>{SIX}": SIX,
    f"[THINK]Hm.[/THINK]{SIX}": SIX,
    f"◁think▷Hm.◁/think▷{SIX}": SIX,
    f"<|START_THINKING|>Hm.<|END_THINKING|>{SIX}": SIX,
    f"<|begin_of_thought|>Hm.<|end_of_thought|>{SIX}": SIX,
    f"{HARMONY}{SIX}<|return|>": SIX,
    f"<|channel|>final<|message|>{SIX}<|return|>": SIX,
    f"<think>Hm.</think><answer>{SIX}</answer>": SIX,
    f"Okay, so when?\n</think>\n\n{SIX}": SIX,
    f"Hm, `</think>` is how I end.\n</think>{SIX}": SIX,
    f"<|im_start|>assistant\n<think>Hm.</think>{SIX}<|im_end|>": SIX,
    f"{SIX}\n\n<think>Hm.</think>": SIX,
    "<think>Hm, it never": "",
    "<think>Hm.</think>": "",
    f"{SIX}<|im_end|>": SIX,
    f"{SIX}<|im_end|>\n<|im_start|>user\nAnd then?": SIX,
    f"{SIX}<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nAnd then?": SIX,
    f"<|start_header_id|>assistant<|end_header_id|>\n\n{SIX}<|eot_id|>": SIX,
    f"<|assistant|>\n{SIX}<|end|>": SIX,
    f"{SIX}<|user|>And then?": SIX,
    f"<start_of_turn>model\n{SIX}<end_of_turn>": SIX,
    f"{SIX}</s>": SIX,
    f"{SIX}</s>[INST] And then? [/INST]": SIX,
    f"[/INST] {SIX}": SIX,
    f"<\uff5cAssistant\uff5c>{SIX}<\uff5cend\u2581of\u2581sentence\uff5c>": SIX,
}
STAYS = [
    SIX,
    "If a < b and b<c, then List<String> is <b>bold</b> [2], [Note] and x[0].",
    "The tag `<think>` opens and `</think>` closes, as `<|im_end|>` does.",
    "The format is <think> </think> and <answer> </answer>, in this order.",
    "Like this:\n```\n<think>\nHm.\n</think>\n<|im_end|>\n```\nSo it is.",
    "A tick ` alone, F# has a <| f and x |> g, and 5 <",
    "[1] says so; [S] is no [mark",
]


def cut(text: str) -> list[list[str]]:
    """`text` in two at every place, and in pieces of every small size."""
    halves = [[text[:at], text[at:]] for at in range(len(text) + 1)]
    return halves + [[text[at : at + size] for at in range(0, len(text), size)] for size in range(1, 9)]


def read(pieces: list[str], *, holds: bool | None) -> tuple[str, bool]:
    given: list[str] = []
    reader = AnswerOnly(given.append, holds=holds)
    for piece in pieces:
        reader.feed(piece)
    reader.finish()
    return "".join(given).strip(), reader.was_thought


@pytest.mark.parametrize("text", TAKEN_OUT)
def test_thoughts_and_marks_are_taken_out_however_they_are_cut(text: str) -> None:
    wanted = {(TAKEN_OUT[text], False)}
    assert answer_in(text)[0].strip() == TAKEN_OUT[text]
    assert {read(pieces, holds=True) for pieces in cut(text)} == wanted
    assert {read(pieces, holds=None) for pieces in cut(text)} == wanted


@pytest.mark.parametrize("text", STAYS)
@pytest.mark.parametrize("holds", [True, False, None])
def test_what_only_looks_like_a_mark_stays(text: str, holds: bool | None) -> None:
    assert {read(pieces, holds=holds) for pieces in cut(text)} == {(text, False)}


@pytest.mark.parametrize("text", [text for text in TAKEN_OUT if answer_in(text)[1]])
def test_what_was_given_and_turns_out_to_be_thoughts_is_told_as_such(text: str) -> None:
    given, was_thought = read(list(text), holds=False)
    assert was_thought
    assert SIX not in given


def test_only_thoughts_without_a_beginning_are_told_as_such() -> None:
    begins_within = [text for text in TAKEN_OUT if answer_in(text)[1]]
    assert len(begins_within) == 2
    assert not any(text.startswith("<") for text in begins_within)


def test_an_answer_that_does_not_read_like_thoughts_is_given_as_it_comes() -> None:
    given: list[str] = []
    reader = AnswerOnly(given.append, holds=None)
    for piece in re.findall(r"\S+\s*", "The harbour opens at six in the winter months."):
        reader.feed(piece)
    assert len(given) > 4


@pytest.mark.parametrize("text", ["<" * 200_000, "<|" * 100_000, "`" * 200_000, "[" * 200_000, "<think>" * 30_000])
def test_of_a_hostile_text_little_is_held_back_and_looked_at_again(text: str) -> None:
    reader = AnswerOnly(lambda _: None)
    for start in range(0, len(text), 5):
        reader.feed(text[start : start + 5])
        assert len(reader._buffer) <= CODE_MAX_CHARACTERS


TELLING = """
deepseek-r1:7b deepseek-ai/DeepSeek-R1-Distill-Qwen-7B Qwen/QwQ-32B qwen3:8b Qwen3-4B-Thinking magistral-small
microsoft/Phi-4-reasoning deepseek-reasoner zai-org/GLM-4.6 kimi-k2-thinking
"""


@pytest.mark.parametrize("name", TELLING.split())
def test_names_that_tell(name: str) -> None:
    assert NAMED.search(name)


@pytest.mark.parametrize(
    "name", ["gpt-4.1-mini", "llama3.1:8b", "mistral-small", "qwen2.5:7b", "test", "claude-opus-4"]
)
def test_names_that_tell_nothing(name: str) -> None:
    assert not NAMED.search(name)
