"""Takes Markdown, HTML and TeX apart far enough to leave nothing in a text that a reader's program would follow."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from worker.answer.addresses import AddressFilter
from worker.answer.marks import MARK_MAX_CHARACTERS, bracketed, parenthesised

HOLD_MAX = 1000
"""A construct that has not ended after so many characters is text. Bounds the work, and what a stream holds back."""
FORMULA_MAX = 500
FENCE_INDENT_MAX = 16
SAID_MAX = 600
"""Characters before a mark that whoever checks it is told: how far back a claim may begin."""

Marks = Callable[[Sequence[int], str], Sequence[int]]
"""Given the numbers of a mark and what is said before it, the numbers to be shown; none: the mark is dropped."""

_WAIT = -1
"""What a handler gives when only what comes next can tell what this is."""

_HIDDEN = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff"  # controls, and halves of characters
    "\xad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u202a-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U000e0000-\U000e0fff"  # tags and selectors, which spell ASCII unseen
    "]+"
)
_LINES = {ord("\t"): " ", ord("\n"): " "}
"""White space that is seen, though it counts as not printable."""
_HTML = """
a abbr acronym address applet area article aside audio b base basefont bdi bdo big blink blockquote body br
button canvas caption center cite code col colgroup data datalist dd del details dfn dialog dir div dl dt em
embed fieldset figcaption figure font footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html i
iframe image img input ins kbd label legend li link main map mark marquee math menu menuitem meta meter nav nobr
noembed noframes noscript object ol optgroup option output p param picture plaintext pre progress q rp rt ruby s
samp script search section select slot small source span strike strong style sub summary sup svg table tbody td
template textarea tfoot th thead time title tr track tt u ul var video wbr xmp
"""
HTML_NAMES = frozenset(_HTML.split())
_SPACED_TAGS = frozenset(("br", "p", "div", "li", "tr", "td", "th", "hr"))

_SPECIAL = re.compile(r"[\[\]<`\\【]|!(?=\[|\Z)|~(?=~~|~?\Z)|\$(?=[A-Za-z\\${(\[|]|\Z)|\((?=[sS]|\Z)")
_LABEL_TEXT = r"(?:[^\[\]\\\n]++|\\.|\[(?:[^\[\]\\\n]++|\\.)*+\])*+"
_LABEL = re.compile(rf"!?\[({_LABEL_TEXT})\]")
_LABEL_SO_FAR = re.compile(rf"!\Z|!?\[{_LABEL_TEXT}(?:\[(?:[^\[\]\\\n]++|\\.)*+)?\\?\Z")
_TARGET_TEXT = r"(?:[^\s()<>\\]++|\\.|\((?:[^\s()<>\\]++|\\.)*+\))*+"
_TARGET = re.compile(
    rf"""\([ \t]*+(?:<[^<>\n]*+>|{_TARGET_TEXT})(?:[ \t]++(?:"[^"\n]*+"|'[^'\n]*+'|\([^()\n]*+\)))?+[ \t]*+\)"""
)
_TARGET_SO_FAR = re.compile(
    rf"""\([ \t]*+(?:<[^<>\n]*+(?:>|\Z)|{_TARGET_TEXT}(?:\((?:[^\s()<>\\]++|\\.)*+)?\\?)"""
    r"""(?:[ \t]++(?:"[^"\n]*+"?|'[^'\n]*+'?|\([^()\n]*+\)?)?)?+[ \t]*+\Z"""
)
_REFERENCE = re.compile(r"\[([^\[\]\n]*+)\]")
_REFERENCE_SO_FAR = re.compile(r"\[[^\[\]\n]*+\Z")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_TAG = re.compile(r"</?([A-Za-z][A-Za-z0-9]*+)(?:[\s/][^<>]*+)?>")
_TAG_SO_FAR = re.compile(r"<(?:!(?:-(?:-.*)?)?|/?(?:([A-Za-z][A-Za-z0-9]*+)(?:[\s/][^<>]*+)?)?)\Z", re.DOTALL)
_AUTOLINK = re.compile(r"<([A-Za-z][A-Za-z0-9+.-]{1,31}:[^\s<>]*+|[^\s<>@/]++@[^\s<>@/]++)>")
_AUTOLINK_SO_FAR = re.compile(r"<(?:[A-Za-z][A-Za-z0-9+.-]{0,31}(?::[^\s<>]*+)?|[^\s<>@/]++(?:@[^\s<>@/]*+)?)\Z")
_WIDE_MARK = re.compile(r"【([^【】\n]*+)】")
_WIDE_MARK_SO_FAR = re.compile(r"【[^【】\n]*+\Z")
_WORD_MARK_SO_FAR = re.compile(r"\((?:s(?:o(?:u(?:r(?:c(?:e[\w\s,;&#:^.-]*+)?)?)?)?)?)?\Z", re.IGNORECASE)
_TICKS = re.compile(r"`+")
_TILDES = re.compile(r"~+")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_LINKING_COMMAND = re.compile(r"\\(?=href|url|includegraphics|html)", re.IGNORECASE)
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_IS_FORMULA = re.compile(r"\\|[\^_={}<>+]|\$\s*\[")
_RISKY_PAIR = re.compile(r"\]\(|<[A-Za-z/!?]|!\[|``|\\`|~~")
_RISKY_INSIDE = re.compile(r"(?<=\])(?=[(:])|(?<=<)(?=[A-Za-z/!?])|(?<=!)(?=\[)|(?<=~)(?=~)")
_LINE_PREFIX = " \t>*+-.)0123456789"


class Segment(NamedTuple):
    """A piece of an answer. The `text` of a mark is the white space before it, and `numbers` are its sources."""

    kind: Literal["text", "mark", "code"]
    text: str
    numbers: tuple[int, ...] = ()

    def __str__(self) -> str:
        return self.text + "".join(f"[{n}]" for n in self.numbers)


@dataclass(frozen=True, slots=True)
class _Fence:
    indent: int
    ticks: int

    @property
    def closing(self) -> str:
        return " " * self.indent + "`" * self.ticks


def without_hidden(text: str) -> str:
    """`text` without the characters that are not seen, in which words and instructions can hide."""
    if text.isascii():
        # All that is hidden there are controls, and this is a tenth of the work of looking for them.
        return text if text.translate(_LINES).isprintable() else _HIDDEN.sub("", text)
    return _HIDDEN.sub("", text.replace("\u2028", "\n").replace("\u2029", "\n"))


def within(sources: int | None) -> Marks:
    """Keeps the numbers from 1 to `sources`; None: all from 1."""
    return lambda numbers, _: [n for n in numbers if n > 0 and (sources is None or n <= sources)]


class Scanner:
    """Cuts a text, which may come in pieces, into segments that are safe to show.

    `marks` says what its marks become. Two nets hold: a construct that is recognised whole is taken out neatly, and
    of what is not, no two characters that open one leave side by side.
    """

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self._said = ""
        self._buffer = ""
        self._segments: list[Segment] = []
        self._addresses = AddressFilter()
        self._gap = ""
        """White space that came last, which goes if a mark follows that is dropped."""
        self._last = "\n"
        self._last_said = "\n"
        """The last character before `_gap`."""
        self._line: str | None = ""
        """What stands on this line; None when that is more than indentation, quote and list marks."""
        self._may_define = False
        """A label began at a line's start: with a colon it would define what every such [label] links to."""
        self._fence: _Fence | None = None
        self._is_within_code_line = False
        self._handlers = {
            "[": self._bracket,
            "!": self._bracket,
            "]": self._closing_bracket,
            "<": self._angle,
            "`": self._ticks,
            "\\": self._backslash,
            "$": self._dollar,
            "~": self._tildes,
            "(": self._parenthesis,
            "【": self._wide_mark,
        }

    def scan(self, piece: str, *, final: bool = False) -> list[Segment]:
        """The segments that are known by now; with `final`, all that are left."""
        text = self._buffer + without_hidden(piece)
        self._buffer = text[self._consume(text, final) :]
        if final:
            self._close()
        found, self._segments = self._segments, []
        return found

    def _consume(self, text: str, final: bool) -> int:
        """Read `text` as far as it is clear; the position of what is not."""
        position, size = 0, len(text)
        while position < size:
            if self._fence:
                taken = self._code_line(text, position, final)
            else:
                special = _SPECIAL.search(text, position)
                start = special.start() if special else size
                self._text(text[position:start])
                position = start
                taken = self._handlers[text[start]](text, start, final) if special else size
            if taken == _WAIT:
                break
            position = taken
        return position

    def _close(self) -> None:
        if self._fence:
            self._code(("" if self._last == "\n" else "\n") + self._fence.closing)
            self._fence = None
        self._flush()

    # What leaves

    def _text(self, text: str) -> None:
        if self._last == "]" and self._may_define:
            text = text.lstrip(":")
        if not text:
            return
        if _RISKY_PAIR.match(self._last + text[0]):
            text = f" {text}"
        self._last = text[-1]
        self._follow_line(text)
        said = text.rstrip(" \t")
        if said:
            self._append("text", self._addresses.feed(self._gap + said))
            self._gap, self._last_said = text[len(said) :], said[-1]
        else:
            self._gap += text

    def _mark(self, numbers: Sequence[int]) -> None:
        existing = tuple(self._marks(numbers, (self._said + self._addresses.held)[-SAID_MAX:]))
        if not existing:
            if self._line is not None:
                self._line = self._line[: len(self._line) - len(self._gap)]
            self._gap, self._last = "", self._last_said
            return
        if self._last == "!":
            self._gap = " "
        self._append("text", self._addresses.flush())
        self._segments.append(Segment("mark", self._gap, existing))
        self._may_define = self._line is not None
        self._gap, self._last, self._last_said, self._line = "", "]", "]", None

    def _code(self, text: str) -> None:
        self._flush()
        self._append("code", text)
        self._last = self._last_said = text[-1]
        self._follow_line(text)

    def _space_code(self) -> None:
        """Ticks would join others before them, and be escaped by a backslash."""
        if self._last in "`\\":
            self._text(" ")

    def _flush(self) -> None:
        self._append("text", self._addresses.flush() + self._gap)
        self._gap = ""

    def _append(self, kind: Literal["text", "code"], text: str) -> None:
        if text:
            self._segments.append(Segment(kind, text))
            self._said = (self._said + text)[-SAID_MAX:]

    def _follow_line(self, text: str) -> None:
        _, newline, after = text.rpartition("\n")
        if newline:
            self._line = ""
        if self._line is not None:
            self._line = None if after.strip(_LINE_PREFIX) else self._line + after

    # What opens something

    def _bracket(self, text: str, position: int, final: bool) -> int:
        """`[label]`, `[label](target)`, `![label](target)`, `[label]: definition`, `[1]`."""
        found = _LABEL.match(text, position, position + HOLD_MAX)
        if not found:
            return self._literal_unless(_LABEL_SO_FAR, text, position, final)
        label, after = found[1], found.end()
        if after == len(text) and not final:
            return _WAIT
        is_image, follows = text[position] == "!", text[after : after + 1]
        if follows == "(":
            target = _TARGET.match(text, after, after + HOLD_MAX)
            if target:
                return self._link(label, is_image=is_image, end=target.end())
            if self._may_be(_TARGET_SO_FAR, text, after, final):
                return _WAIT
        if follows == "[":
            reference = _REFERENCE.match(text, after, after + HOLD_MAX)
            if reference and not bracketed(reference[1]) and not bracketed(label):
                return self._link(label, is_image=is_image, end=reference.end())
            if not reference and self._may_be(_REFERENCE_SO_FAR, text, after, final):
                return _WAIT
        numbers = () if is_image else bracketed(label)
        if follows == ":" and self._line is not None and not numbers and not is_image:
            return self._link(label, is_image=False, end=after)  # a definition; its label becomes text
        if numbers:
            self._mark(numbers)
            return after
        return self._literal(text, position)

    def _link(self, label: str, *, is_image: bool, end: int) -> int:
        numbers = () if is_image else bracketed(label)
        if numbers:
            self._mark(numbers)
        else:
            self._consume(label, final=True)
        return end

    def _closing_bracket(self, text: str, position: int, final: bool) -> int:
        """The end of a label that was not recognised as one."""
        after = position + 1
        if after == len(text) and not final:
            return _WAIT
        follows = text[after : after + 1]
        if follows == "(":
            target = _TARGET.match(text, after, after + HOLD_MAX)
            if not target and self._may_be(_TARGET_SO_FAR, text, after, final):
                return _WAIT
            after = target.end() if target else after
        self._text("]")
        return after

    def _angle(self, text: str, position: int, final: bool) -> int:
        """`<tag>`, `<!-- comment -->`, `<https://…>`, `<name@host>`, or less than."""
        end = position + HOLD_MAX
        if address := _AUTOLINK.match(text, position, end):
            self._consume(address[1], final=True)
            return address.end()
        if comment := _COMMENT.match(text, position, end):
            return comment.end()
        tag = _TAG.match(text, position, end)
        if tag and tag[1].lower() in HTML_NAMES:
            self._text(" " if tag[1].lower() in _SPACED_TAGS else "")
            return tag.end()
        if not tag and (
            self._may_be(_AUTOLINK_SO_FAR, text, position, final) or self._may_be_tag(text, position, final)
        ):
            return _WAIT
        return self._literal(text, position)

    def _may_be_tag(self, text: str, position: int, final: bool) -> bool:
        if final or len(text) - position >= HOLD_MAX:
            return False
        found = _TAG_SO_FAR.match(text, position)
        name = (found[1] or "").lower() if found else ""
        return bool(found) and (not name or text[-1] in name or name in HTML_NAMES)

    def _ticks(self, text: str, position: int, final: bool) -> int:
        """A code span on one line, or the fence of a block of code. Any other tick would pair up with a later one."""
        run = _TICKS.match(text, position, position + HOLD_MAX)
        assert run
        if run.end() == len(text) and not final:
            return _WAIT if len(run[0]) < HOLD_MAX else self._stray_ticks(run)
        if self._is_fence(run):
            newline = text.find("\n", run.end(), position + HOLD_MAX)
            if newline < 0 and not final and len(text) - position < HOLD_MAX:
                return _WAIT
            if newline >= 0 and "`" not in text[run.end() : newline]:
                return self._open_fence(run, text[run.end() : newline].strip(), newline)
        return self._code_span(text, run, final)

    def _code_span(self, text: str, run: re.Match[str], final: bool) -> int:
        size = len(run[0])
        for closing in _TICKS.finditer(text, run.end(), run.start() + HOLD_MAX):
            if closing.end() == len(text) and not final:
                break
            if len(closing[0]) == size:
                code = text[run.start() : closing.end()]
                if (
                    "\n" in code or "|" in code
                ):  # a line may be a block of its own, and a bar the end of a table's cell
                    return self._stray_ticks(run)
                self._space_code()
                self._code(code)
                return closing.end()
        is_open = not final and len(text) - run.start() < HOLD_MAX and text.find("\n", run.end()) < 0
        return _WAIT if is_open else self._stray_ticks(run)

    def _stray_ticks(self, run: re.Match[str]) -> int:
        self._text("'" * len(run[0]))
        return run.end()

    def _backslash(self, text: str, position: int, final: bool) -> int:
        r"""An escaped character, `\( formula \)`, `\[ formula \]` or a command of TeX."""
        following = text[position + 1 : position + 2]
        if not following:
            return self._literal(text, position) if final else _WAIT
        if following in "([":
            return self._formula(text, position, final, "\\)" if following == "(" else "\\]", literal=2)
        if following == "`":
            self._text("'")
            return position + 2
        command = _COMMAND.match(text, position, position + HOLD_MAX)
        if not command:
            self._text(text[position : position + (1 if following.isalnum() or following.isspace() else 2)])
            return position + (1 if following.isalnum() or following.isspace() else 2)
        if command.end() == len(text) and not final and len(command[0]) < HOLD_MAX:
            return _WAIT
        self._text(_LINKING_COMMAND.sub("", command[0]))
        return command.end()

    def _dollar(self, text: str, position: int, final: bool) -> int:
        """`$formula$` on one line, `$$formula$$`, or an amount of money."""
        if position + 1 == len(text) and not final:
            return _WAIT
        is_displayed = text.startswith("$$", position)
        return self._formula(text, position, final, "$$" if is_displayed else "$", literal=1)

    def _formula(self, text: str, position: int, final: bool, closing: str, *, literal: int) -> int:
        """A formula, whose brackets are no marks; else the `literal` characters that seemed to open one."""
        end = position + FORMULA_MAX
        start = position + len(closing)
        close = text.find(closing, start, end)
        body = text[start : close if close >= 0 else end]
        may_be = not (
            "`" in body or _BLANK_LINE.search(body) or (closing == "$" and not _is_inline(body, close >= 0))
        )
        after = close + len(closing)
        if may_be and not final and (len(text) - position < FORMULA_MAX if close < 0 else after == len(text)):
            return _WAIT
        if may_be and close >= 0 and not (closing == "$" and text[after : after + 1].isdigit()):
            formula = text[position:after]
            if closing != "$" or _IS_FORMULA.search(formula):
                self._text(_RISKY_INSIDE.sub(" ", _LINKING_COMMAND.sub("", formula)))
                return after
        self._text(text[position : position + literal])
        return position + literal

    def _tildes(self, text: str, position: int, final: bool) -> int:
        """Three or more would fence code."""
        run = _TILDES.match(text, position, position + HOLD_MAX)
        assert run
        if run.end() == len(text) and not final and len(run[0]) < HOLD_MAX:
            return _WAIT
        self._text("~" if len(run[0]) > 2 else run[0])
        return run.end()

    def _parenthesis(self, text: str, position: int, final: bool) -> int:
        if found := parenthesised(text, position):
            self._mark(found[0])
            return found[1]
        return self._literal_unless(_WORD_MARK_SO_FAR, text, position, final, within=MARK_MAX_CHARACTERS)

    def _wide_mark(self, text: str, position: int, final: bool) -> int:
        found = _WIDE_MARK.match(text, position, position + MARK_MAX_CHARACTERS)
        numbers = bracketed(found[1]) if found else ()
        if found and numbers:
            self._mark(numbers)
            return found.end()
        return self._literal_unless(_WIDE_MARK_SO_FAR, text, position, final, within=MARK_MAX_CHARACTERS)

    # Fenced code

    def _is_fence(self, run: re.Match[str]) -> bool:
        line = self._line
        return len(run[0]) >= 3 and line is not None and not line.strip(" ") and len(line) <= FENCE_INDENT_MAX

    def _open_fence(self, run: re.Match[str], language: str, newline: int) -> int:
        assert self._line is not None
        self._fence = _Fence(len(self._line), len(run[0]))
        self._space_code()
        self._code(f"{run[0]}{language if language.isalnum() else ''}\n")
        return newline + 1

    def _code_line(self, text: str, position: int, final: bool) -> int:
        """A line of fenced code. It ends where its fence or its indentation does, and is then always closed."""
        assert self._fence
        newline = text.find("\n", position)
        line = text[position : newline + 1] if newline >= 0 else text[position:]
        said = line.strip()
        if not self._is_within_code_line:
            is_closing = len(said) >= self._fence.ticks and not said.strip("`")
            if newline < 0 and not final and len(line) < HOLD_MAX and not said.strip("`"):
                return _WAIT
            if is_closing:
                return self._close_fence(newline, position + len(line))
            if said and len(line) - len(line.lstrip(" ")) < self._fence.indent:
                self._close_fence(position, position)
                return position
        self._code(line)
        self._is_within_code_line = newline < 0
        return position + len(line)

    def _close_fence(self, newline: int, end: int) -> int:
        assert self._fence
        self._code(self._fence.closing + ("\n" if newline >= 0 else ""))
        self._fence = None
        return end

    # What is only itself

    def _literal(self, text: str, position: int) -> int:
        if text[position] == "[" and self._line is not None:
            self._may_define = True
        self._text(text[position])
        return position + 1

    def _literal_unless(
        self, so_far: re.Pattern[str], text: str, position: int, final: bool, within: int = HOLD_MAX
    ) -> int:
        if self._may_be(so_far, text, position, final, within):
            return _WAIT
        return self._literal(text, position)

    def _may_be(self, so_far: re.Pattern[str], text: str, position: int, final: bool, within: int = HOLD_MAX) -> bool:
        """Whether what may still come could make it what `so_far` is the beginning of."""
        return not final and len(text) - position < within and bool(so_far.match(text, position))


def _is_inline(body: str, is_whole: bool) -> bool:
    """Whether `body` may stand between single dollars; amounts of money seldom may."""
    return (
        "\n" not in body
        and not body[:1].isspace()
        and bool(body or not is_whole)
        and not (is_whole and body[-1:].isspace())
    )
