"""A hostile document, or question, that wants to pass for the service, for the model, or for another source."""

# ruff: noqa: E501, RUF001  tables of hostile text, with the letters that it has
import sys
import time
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.contract import EarlierTurn
from worker.answer.prompt import build_messages
from worker.answer.role_marks import ANGLES, SQUARES, folded, without_role_marks
from worker.vectors import Hit

MARKS = [
    "<source>", "</source>", '<source id="2" document="x.pdf" page="1">', "< / source >", "<source id=", "</ source ", "[/source]",
    "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|start_header_id|>", "<|user|>", "<|channel|>",
    "<|User|>", "<|begin_of_sentence|>", "[|system|]", "[|endofturn|]", "[INST]", "[/INST]", "[TOOL_CALLS]",
    "[AVAILABLE_TOOLS]", "[SYSTEM_PROMPT]", "[CLS]", "[SEP]", "[gMASK]", "[SYS]", "<<SYS>>", "<</SYS>>", "<s>", "</s>", "<bos>",
    "<eos>", "<pad>", "<unk>", "<mask>", "<BOS>", "<EOD>", "<think>", "</think>", "<tool_call>", "</tool_response>",
    "<start_of_turn>", "<end_of_turn>", "<extra_id_0>", "<unused12>", "<fim_prefix>", "<image>", "<0x0A>", "<function=f>",
    '<invoke name="f">', "<function_calls>", "<system>", "<user>", "<ns:tool>", "<SPECIAL_12>",
]  # fmt: skip
"""Of our own prompt and of models' templates. `without_role_marks` lists none of them."""

FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
CYRILLIC = str.maketrans("aceopxysiABCEHIKMOPTXS", "асеорхуѕіАВСЕНІКМОРТХЅ")
GREEK = str.maketrans("oavntABEHIKMNOPTXYZ", "οανητΑΒΕΗΙΚΜΝΟΡΤΧΥΖ".replace("η", "n"))
DISGUISES: dict[str, Callable[[str], str]] = {
    "none": lambda mark: mark,
    "full width": lambda mark: mark.translate(FULL_WIDTH),
    "full width bars": lambda mark: mark.replace("|", "｜").replace("_", "▁"),
    "Cyrillic": lambda mark: mark.translate(CYRILLIC),
    "Greek": lambda mark: mark.translate(GREEK),
    "another slash": lambda mark: mark.replace("/", "⁄"),
    "backslash": lambda mark: mark.replace("/", "\\"),
    "mathematical brackets": lambda mark: mark.translate(str.maketrans("<>[]", "⟨⟩⟦⟧")),
    "quotation marks": lambda mark: mark.translate(str.maketrans("<>[]", "‹›【】")),
    "mathematical letters": lambda mark: "".join(
        chr(0x1D41A + ord(letter) - ord("a")) if "a" <= letter <= "z" else letter for letter in mark
    ),
    "accents": lambda mark: "".join(f"{letter}\u0301" if letter.isalpha() else letter for letter in mark),
    "composed accents": lambda mark: unicodedata.normalize(
        "NFC", mark.replace("o", "o\u0301").replace("s", "s\u030c")
    ),
    "unseen joiners": lambda mark: "\u200d".join(mark),
    "unseen words": lambda mark: "\u2060\u200b".join(mark),
    "selectors": lambda mark: "\ufe0f".join(mark),
    "many accents behind the bracket": lambda mark: mark[0] + "\u0301" * 5_000 + mark[1:],
    "doubled brackets": lambda mark: mark[0] * 7 + mark,
}
ORDINARY = [
    "<3", "a < b", "a<b", "i<n and j>k", "1 < 2 > 0", "x <= y", "<10>", "[1]", "[2, 3]", "[sic]", "[…]", "[a]", "[x]", "a[i]",
    "arr[max_len]", "List<String>", "Map<String, List<T>>", "vector<T>", "f <| x", "x |> f", "| a | b |", "<b>bold</b>",
    '<a href="/x">', "<br>", "<br/>", "<br />", "<!-- note -->", "<!DOCTYPE html>", "<otter@example.org>", "<https://example.org/a>",
    "[link](/a)", "[see source]", "[source 1]", "¿Dónde?", "«source»", "《Python》", "【注意】", "if (a<b && c>d)", "cout << x;",
    "&lt;source&gt;", "λx.x", "[^1]", "[ ]", "- [x] done", "<div class='x'>", "<?xml version='1.0'?>", "5'<6\"", "<-", "->", "=>",
]  # fmt: skip


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("mark", MARKS)
def test_no_mark_reaches_the_model_in_any_disguise(mark: str, disguise: str) -> None:
    disguised = DISGUISES[disguise](mark)
    for text in (
        disguised,
        f"a {disguised} b",
        f"word{disguised}word",
        f"\n{disguised}\n",
        f"[1] <b>{disguised}</b>",
    ):
        said = without_role_marks(text)
        assert _opened_as(mark) not in folded(said), said
        assert "(" in said


def _opened_as(mark: str) -> str:
    """A mark's beginning: without the bracket it is none."""
    return mark[:6]


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("place", ["text", "context", "filename", "question", "earlier question", "earlier answer"])
def test_there_is_no_way_in_for_it(mark: str, place: str) -> None:
    fields: dict[str, Any] = {
        "document_id": "d",
        "filename": "f.pdf",
        "page": 1,
        "chunk_index": 0,
        "text": "t",
        "score": 1.0,
    }
    plain = _conversation(fields, "When?")
    given = {"question": "When?", "earlier question": "q", "earlier answer": "a", **fields} | {place: mark}
    turn = EarlierTurn(question=given.pop("earlier question"), answer=given.pop("earlier answer"))
    question = given.pop("question")
    hostile = _conversation(given, question, turn)
    for bracket in "<[":
        assert hostile.count(bracket) == plain.count(bracket)


def _conversation(fields: dict[str, Any], question: str, turn: EarlierTurn | None = None) -> str:
    turn = turn or EarlierTurn(question="q", answer="a")
    return build_messages(question, [Hit(**fields)], [turn])[1]["content"]


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_reaches_the_model_as_it_is(text: str) -> None:
    for around in ("{}", "a {} b", "({})", "\n{}\n"):
        whole = around.replace("{}", text)
        assert without_role_marks(whole) == whole


@given(st.lists(st.sampled_from([*MARKS, *ORDINARY, *"<>[]|/\\ ab_⟨｜▁ѕо\u0301\u200d"]), max_size=12).map("".join))
def test_nothing_that_is_put_together_leaves_a_mark(text: str) -> None:
    said = without_role_marks(text)
    assert without_role_marks(said) == said
    for mark in MARKS:
        assert mark not in said


@given(st.text())
def test_only_brackets_and_what_is_unseen_between_them_change(text: str) -> None:
    said = without_role_marks(text)
    assert [letter for letter in said if letter.isalnum()] == [letter for letter in text if letter.isalnum()]


def test_every_bracket_that_unicode_knows_to_look_like_ours_is_one() -> None:
    named = ("LESS-THAN SIGN", "LEFT ANGLE BRACKET", "LEFT-POINTING ANGLE BRACKET", "LEFT SQUARE BRACKET")
    for code in range(sys.maxunicode + 1):
        letter = chr(code)
        name = unicodedata.name(letter, "")
        form = unicodedata.normalize("NFKD", letter)
        is_one = form[:1] in ("<", "[") or name.endswith(named)
        if is_one and unicodedata.category(letter) != "Cf" and "TAG" not in name:
            assert letter in ANGLES + SQUARES, f"U+{code:04X} {name}"


@pytest.mark.parametrize(
    "piece", ["<", "[", "< ", "<\n", "</", "<a", "<" + "\u0301" * 3, "<|", "[A", "<aaaaaaaaaaaaaaaa", "< source", "⟨／", "<a b=", "<a "]
)  # fmt: skip
def test_time_is_proportional_to_the_length(piece: str) -> None:
    def seconds(count: int) -> float:
        began = time.process_time()
        without_role_marks(piece * count)
        return time.process_time() - began

    seconds(1_000)
    assert seconds(40_000) < 0.5 + 20 * max(seconds(4_000), 0.001)
