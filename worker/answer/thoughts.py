"""Takes a model's thoughts and its chat template's own marks out of what it writes: `<think>…</think>`, `<|im_end|>`.

Servers are to do so, and many do not: for a template that they do not know, with a parser that is not switched on, or
since the template opens the thoughts itself, so that only their end is written. What stands as code between backticks
stays, and what only looks like a mark: `a < b`, `[1]`, HTML.
"""

# ruff: noqa: RUF001  DeepSeek's marks have bars of full width
import re
from collections import deque
from collections.abc import Callable

MARK_MAX_CHARACTERS = 64
"""No mark is as long. Bounds what is held back for one, and the work."""
CODE_MAX_CHARACTERS = 300
"""How much code on one line is waited for; after that its backtick is a character like any."""
BEGINNING_CHARACTERS = 24
"""By so many characters it shows whether a text begins as thoughts do."""

_NAMES = (
    r"think(?:ing)?|thoughts?|reason(?:ing)?|reflection|analysis|scratchpad|seed:think|antthinking|inner_monologue"
)
_BAR = "[|｜]"
_OPENING = re.compile(
    rf"<(?:{_NAMES})>|\[think(?:ing)?\]|◁think▷"
    rf"|<{_BAR}(?:start_thinking|begin_of_thought|begin_thought|think|thinking){_BAR}>"
    rf"|<{_BAR}channel{_BAR}>\s{{0,4}}(?!final)[a-z]{{1,20}}[^<]{{0,40}}<{_BAR}message{_BAR}>",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    rf"</(?:{_NAMES})>|\[/think(?:ing)?\]|◁/think▷"
    rf"|<{_BAR}(?:end_thinking|end_of_thought|end_thought|/think|/thinking){_BAR}>"
    rf"|<{_BAR}channel{_BAR}>\s{{0,4}}final[^<]{{0,40}}<{_BAR}message{_BAR}>",
    re.IGNORECASE,
)
"""OpenAI's open models end their thoughts by another channel's beginning (its "harmony" response format)."""
_TURN = re.compile(
    rf"(?:<start_of_turn>|<{_BAR}(?:im_start|start|start_header_id|header_start|start_of_role|role_start){_BAR}>)"
    rf"\s{{0,4}}([a-z]{{0,16}})(?:<{_BAR}(?:end_header_id|header_end|end_of_role|role_end|im_sep){_BAR}>)?\n{{0,2}}",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    rf"<{_BAR}([^\s<>|｜]{{1,40}}){_BAR}>"
    r"|</s>|</?(?:bos|eos|pad|eot|end_of_turn|start_of_turn|end_of_utterance|im_start|im_end)>"
    r"|\[(INST|SYSTEM_PROMPT)\]"
    r"|\[/?(?:INST|SYS|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]|<</?SYS>>",
    re.IGNORECASE,
)
_WRAPPING = re.compile(r"</?(?:final_)?answer>", re.IGNORECASE)
"""What R1's format puts around the answer behind the thoughts."""
_MAY_BE = re.compile(
    rf"<(?:<?/?[a-z_:]{{0,20}}|{_BAR}[^\s<>]{{0,48}}"
    rf"|{_BAR}channel{_BAR}>\s{{0,4}}[a-z]{{0,20}}[^<]{{0,40}}(?:<(?:{_BAR}[a-z]{{0,12}}{_BAR}?)?)?)\Z"
    r"|\[/?[a-z_]{0,20}\Z|◁/?[a-z]{0,5}\Z",
    re.IGNORECASE,
)
_TURN_MAY_GO_ON = re.compile(rf"[a-z>|｜\s](?:<(?:{_BAR}[a-z_]{{0,16}}{_BAR}?)?)?\Z", re.IGNORECASE)
_OTHERS = frozenset(("user", "human", "system", "tool", "developer", "inst", "system_prompt"))
"""Whose turn it is then: what follows is no answer, but a conversation that the model makes up."""
_MAY_OPEN_BEHIND = "\n.!?…。！？"
_SPECIAL = re.compile(r"<(?=[A-Za-z/<|｜]|\Z)|\[(?=[A-Za-z/]|\Z)|`|◁")
"""Where a mark or code may begin; in most texts only a citation's bracket looks like it, and [1] does not."""
_TICKS = re.compile(r"`+")
_FENCE_END = re.compile(r"\n[ \t]{0,16}`{3,}")
_FENCE_MAY_END = re.compile(r"\n[ \t]{0,16}`{0,16}\Z")

_THOUGHTFUL = re.compile(
    r"(?:ok(?:ay)?|alright|hm+|well|so|let'?s?|let us|let me|first|now|wait|i|i'll|i'm|we|we'll|the user|user"
    r"|looking at|to answer|need to|we need)\b|嗯|好的|好，|首先|用户|我",
    re.IGNORECASE,
)
"""How models begin to think, by what R1, QwQ, Qwen3 and GLM write."""
NAMED = re.compile(
    r"(?<![a-z])(?:r1|qwq|qwen-?3|think|thinking|thinker|reason|reasoner|reasoning|magistral|glm-?4\.[5-9]|glm-?z1|deepseek-?r"
    r"|minimax-?m\d|nemotron|exaone-?deep|seed-?oss|smollm3|cogito|step-?3|hunyuan|marco-?o1|s1|openthinker)(?![a-z])",
    re.IGNORECASE,
)
"""Names of models that may be served so that only the end of their thoughts is marked."""


class AnswerOnly:
    """Gives `on_text` the answer in a text that comes in pieces, without thoughts and marks, however it is cut.

    `holds`: the beginning is held back until the thoughts' end, or the text's, since their beginning is not marked;
    None: only if it reads like thoughts. When it turns out later that what was given were thoughts, `was_thought` is
    true, and nothing more is given.
    """

    def __init__(self, on_text: Callable[[str], object], *, holds: bool | None = False) -> None:
        self._on_text = on_text
        self._holds = holds
        self._buffer = ""
        """What can't be told yet from a mark."""
        self._said: list[str] = []
        """The answer so far, as far as it has not left."""
        self._recent: deque[str] = deque(maxlen=MARK_MAX_CHARACTERS)
        """What was said last, and is not forgotten with the thoughts that it was."""
        self._note = self._recent.append
        self._mentions = 0
        """Openings within a line, which are talked about; their closings are, too."""
        self._is_thinking = self._has_thought = self._is_in_code = self._is_over = False
        self._has_given = False
        self._is_plain = False
        """Nothing is held back or awaited: most pieces pass as they are."""
        self.was_thought = False
        self.begins_within_thoughts = False
        """The text has the end of thoughts whose beginning it has not."""

    def feed(self, piece: str) -> None:
        """Give on what is known by now to be the answer."""
        if self._is_plain and _SPECIAL.search(piece) is None:
            self._note(piece)
            self._on_text(piece)
        else:
            self._scan(piece, final=False)

    def finish(self) -> None:
        """Give on what was held back. Nothing may be fed afterwards."""
        self._scan("", final=True)

    def _scan(self, piece: str, *, final: bool) -> None:
        if not self._is_over and not self.was_thought:
            text = self._buffer + piece
            self._buffer = text[self._consume(text, final) :]
        if not self._is_held(final) and (text := self._given()):
            self._on_text(text)

    def _is_held(self, final: bool) -> bool:
        if self._holds is None and (final or len("".join(self._said)) >= BEGINNING_CHARACTERS):
            self._holds = _THOUGHTFUL.match("".join(self._said)) is not None
        return self._holds is not False and not self._has_thought and not final

    def _given(self) -> str:
        """What was said, to leave now."""
        said = "".join(self._said)
        self._said.clear()
        self._has_given |= bool(said)
        is_open = self._is_thinking or self._is_in_code or self._is_over or self.was_thought
        self._is_plain = self._has_given and not self._buffer and not is_open
        return said

    def _consume(self, text: str, final: bool) -> int:
        """Read `text` as far as it is clear; the position of what is not."""
        position, size = 0, len(text)
        while position < size and not self._is_over and not self.was_thought:
            if self._is_thinking:
                taken = self._thought(text, position, final)
            elif self._is_in_code:
                taken = self._code(text, position, final)
            else:
                special = _SPECIAL.search(text, position)
                start = special.start() if special else size
                self._say(text[position:start])
                position = start
                taken = self._special(text, start, final) if special else size
            if taken < 0:
                return ~taken
            position = taken
        return position

    def _say(self, text: str) -> None:
        if text:
            self._note(text[-MARK_MAX_CHARACTERS:])
        if self._said or self._has_given or (text := text.lstrip()):  # an answer begins with no white space
            self._said.append(text)

    @property
    def _tail(self) -> str:
        return "".join(self._recent)

    # Each of these gives the position behind what it read, or ~position of where it waits for more

    def _thought(self, text: str, position: int, final: bool) -> int:
        if closing := _CLOSING.search(text, position):
            self._is_thinking = False
            self._recent.clear()
            return closing.end()
        return len(text) if final else ~max(position, len(text) - 2 * MARK_MAX_CHARACTERS)

    def _code(self, text: str, position: int, final: bool) -> int:
        """A fenced block of code, to the fence that closes it."""
        closing = _FENCE_END.search(text, position)
        self._is_in_code = closing is None
        waits = None if closing or final else _FENCE_MAY_END.search(text, position)
        end = closing.end() if closing else waits.start() if waits else len(text)
        self._say(text[position:end])
        return ~end if waits else end

    def _special(self, text: str, position: int, final: bool) -> int:
        """A mark, code, or only a character that could begin one."""
        if text[position] == "`":
            return self._ticks(text, position, final)
        end = position + 2 * MARK_MAX_CHARACTERS
        if (mark := _OPENING.match(text, position, end)) and self._opens():
            return mark.end()
        if (mark := _CLOSING.match(text, position, end)) and self._closes():
            return mark.end()
        if not final and len(text) < end and _MAY_BE.match(text, position):
            return ~position
        if turn := _TURN.match(text, position, end):
            if not final and (turn.end() == len(text) or _TURN_MAY_GO_ON.match(text, turn.end() - 1)):
                return ~position
            return self._turn(turn[1], turn.end())
        if token := _TOKEN.match(text, position, end):
            return self._turn(token[1] or token[2] or "", token.end())
        if self._has_thought and (wrapping := _WRAPPING.match(text, position)):
            return wrapping.end()
        self._say(text[position])
        return position + 1

    def _opens(self) -> bool:
        """Whether thoughts begin here: at the beginning, or behind a sentence. Within one, the mark is meant."""
        said = self._tail.rstrip(" \t")
        if said and said[-1] not in _MAY_OPEN_BEHIND:
            self._mentions += 1
            return False
        self._is_thinking = self._has_thought = True
        return True

    def _closes(self) -> bool:
        """Whether thoughts end here, which then were all that was said, unless there were others before."""
        if self._mentions:
            self._mentions -= 1
            return False
        if not self._has_thought and self._tail.strip():
            self.begins_within_thoughts = True
            self.was_thought = self._has_given
            self._said.clear()
            self._recent.clear()
        self._has_thought = True
        return True

    def _turn(self, role: str, end: int) -> int:
        self._is_over = role.lower() in _OTHERS and bool(self._tail.strip())
        return end

    def _ticks(self, text: str, position: int, final: bool) -> int:
        """A fence of code, code on one line, or ticks that are neither."""
        run = _TICKS.match(text, position)
        assert run
        if run.end() == len(text) and not final and len(run[0]) < MARK_MAX_CHARACTERS:
            return ~position
        if len(run[0]) >= 3 and not self._tail.rpartition("\n")[2].strip():
            self._is_in_code = True
            self._say(run[0])
            return run.end()
        end = position + CODE_MAX_CHARACTERS
        newline = text.find("\n", run.end(), end)
        within = text[run.end() : newline if newline >= 0 else end]
        closing = next((each for each in _TICKS.finditer(within) if each[0] == run[0]), None)
        is_open = not final and newline < 0 and len(text) < end
        if is_open and (closing is None or run.end() + closing.end() == len(text)):
            return ~position
        after = run.end() + (closing.end() if closing else 0)
        self._say(text[position:after])
        return after


def answer_in(text: str) -> tuple[str, bool]:
    """The answer in a whole `text`, and whether it begins within thoughts."""
    answer: list[str] = []
    reader = AnswerOnly(answer.append, holds=True)
    reader.feed(text)
    reader.finish()
    return "".join(answer), reader.begins_within_thoughts
