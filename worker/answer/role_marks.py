"""Takes from a text what a model's chat template, or its tokenizer, could read as structure: `<|im_end|>`, `[INST]`.

There are as many of these marks as models, so none is listed. They are a name in angle or square brackets, and
nothing else of that form is left but HTML, numbers and types; whatever looks like such brackets, bars, slashes and
letters is taken for them, since a model reads by the look.
"""

# ruff: noqa: RUF001  tables of what looks like something else
import re
import unicodedata

from worker.answer.markup import HTML_NAMES

ANGLES = "<﹤＜≮˂‹〈⟨〈❬❮❰ᐸ᚜⋖⪡⧼≺⊰\u2329\ufe3f"
"""What looks like `<`, or is made of it. Not « and 《, which ordinary texts quote with."""
SQUARES = "[［⟦【〖〔❲⦗⁅〚⟬﹝⦋⦍⦏\ufe47"
_SAME = {
    "<": ANGLES,
    ">": ">﹥＞≯˃›〉⟩〉❭❯❱ᐳ᚛⋗⪢⧽≻⊱\u232a\ufe40",
    "[": SQUARES,
    "]": "]］⟧】〗〕❳⦘⁆〛⟭﹞⦌⦎⦐\ufe48",
    " ": "\u2800",
    "/": "/⁄∕⟋⧸╱⼃\\⧵∖⟍⧹╲⼂﹨＼⑊",
    "|": "|∣│┃║❘❙❚⎢⎥⎸⎹⏐⼁丨ǀǁ‖∥¦︱︲￨।׀᛫ᅵㅣᛁ",
    "_": "_▁‿⁔﹍﹎﹏＿",
    "a": "аɑαᴀ", "b": "ЬƅВʙ", "c": "сϲⅽᴄ", "d": "ԁⅾᴅɖ", "e": "еєҽᴇε", "f": "ƒꜰ", "g": "ɡɢց", "h": "һհʜ",
    "i": "іıɩιӏɪ", "j": "јϳᴊ", "k": "кκᴋ", "l": "ⅼʟ", "m": "мᴍ", "n": "ոռɴп", "o": "оοօσᴏ", "p": "рρᴘ",
    "q": "ԛգ", "r": "гᴦʀ", "s": "ѕꜱʂ", "t": "тτᴛ", "u": "υսᴜцμ", "v": "ѵνᴠ", "w": "ԝωᴡ", "x": "хχ", "y": "уүγʏ",
    "z": "ᴢʐ", "A": "АΑ", "B": "ВΒ", "C": "СϹ", "D": "Ꭰ", "E": "ЕΕ", "F": "Ϝ", "G": "Ԍ", "H": "НΗ", "I": "ІΙӀ",
    "J": "Ј", "K": "КΚ", "L": "Ꮮ", "M": "МΜ", "N": "Ν", "O": "ОΟ", "P": "РΡ", "S": "Ѕ", "T": "ТΤ", "U": "Ս",
    "V": "Ѵ", "W": "Ԝ", "X": "ХΧ", "Y": "ҮΥУ", "Z": "Ζ",
}  # fmt: skip
_LOOKS_LIKE = {other: letter for letter, others in _SAME.items() for other in others}
WINDOW_CHARACTERS = 160
"""What is looked at behind a bracket; no mark is as long. Bounds the work."""

_UNSEEN = (
    "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u200b-\u200f\u2060-\u206f\u20d0-\u20ff\u2800\ufe00-\ufe2f"
)
"""Marks upon letters, and what has no width: with white space, all that may stand between a bracket and a name."""
_OPENING = re.compile(rf"(?:[{re.escape(ANGLES + SQUARES)}][\s{_UNSEEN}]*+)++")
_SETTLED = re.compile(r"[!-.:-@\[\]^`{}~]|[0-9]{1,9}[\],;-]")
"""Behind most brackets, and in [1]: no mark begins so."""
_NAME = r"[A-Za-z0-9_][\w.:=+#-]{0,63}"
_SOURCE = re.compile(r"([\s/]*+)source(?![a-z0-9])", re.IGNORECASE | re.ASCII)
_BAR = re.compile(r"/*+\|(?=\S)")
_TAG = re.compile(rf"(/*+)({_NAME})(?:/?+>|\s++[\w.:-]++\s*+=)", re.ASCII)
_LABEL = re.compile(r"/*+[A-Za-z]?(?=[A-Z0-9_]*[A-Z])[A-Z0-9_]{2,63}/?+\]", re.ASCII)
_TYPE = re.compile(r"[A-Z](?:[a-z0-9][A-Za-z0-9]*)?")
"""As in `List<String>` and `Box<T>`: behind a letter, and in no other writing."""
_ALSO_MARKS = frozenset(("s", "source", "image", "video", "audio"))
"""Names of HTML that models have marks of, too."""


FOLDINGS_KEPT = 10_000


class _Folding(dict[int, str]):
    """For `str.translate`: each character as the ASCII that it looks like; marks upon letters are nothing."""

    def __missing__(self, code: int) -> str:
        parts = unicodedata.normalize("NFKD", chr(code))
        seen = "".join(_LOOKS_LIKE.get(part, part) for part in parts if unicodedata.category(part) not in _NOTHING)
        if len(self) < FOLDINGS_KEPT:
            self[code] = seen
        return seen


_NOTHING = ("Mn", "Me", "Cf")
_FOLDING = _Folding({ord(other): letter for other, letter in _LOOKS_LIKE.items()})


def folded(text: str) -> str:
    """`text` as it looks to who knows ASCII alone."""
    return text.translate(_FOLDING) if not text.isascii() or "\\" in text else text


def without_role_marks(text: str) -> str:
    """`text` with `(` for the bracket that opens what could pass for a mark of a role, or for one of our sources.

    All other brackets stay: of HTML, types, mathematics, footnotes. In time proportional to its length.
    """
    if text.isascii() and "<" not in text and "[" not in text:
        return text
    return _OPENING.sub(_opening, text)


def _opening(found: re.Match[str]) -> str:
    text = found.string
    if _SETTLED.match(text, found.end()):
        return found.group()
    behind = text[found.end() : found.end() + WINDOW_CHARACTERS]
    before = text[found.start() - 1 : found.start()]
    return "(" if _is_mark(found.group(), behind, before) else found.group()


def _is_mark(run: str, behind: str, before: str) -> bool:
    """Whether the brackets of `run` open a mark, from what stands behind them and before."""
    if run == "<" and (tag := _TAG.match(behind)) is not None and _is_usual(tag, before):
        return False
    brackets, seen = folded(run), folded(behind)
    if (source := _SOURCE.match(seen)) is not None:
        return "<" in brackets or "/" in source[1]
    if brackets[-1:].isspace():  # as in a < b: no tokenizer reads over it
        return False
    if _BAR.match(seen):
        return True
    if brackets.endswith("["):
        return _LABEL.match(seen) is not None
    tag = _TAG.match(seen)
    return tag is not None and not tag[2].isdigit()


def _is_usual(tag: re.Match[str], before: str) -> bool:
    """Whether a tag, in no disguise, is one of HTML, or a type."""
    name = tag[2].lower()
    is_html = name in HTML_NAMES and name not in _ALSO_MARKS
    return is_html or (before.isalnum() and _TYPE.fullmatch(tag[2]) is not None)
