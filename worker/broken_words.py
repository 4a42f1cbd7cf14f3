"""Words that a page breaks at a line's end, made whole for the index and answers; the page's text keeps the break.

transporta-\\ntion  ->  transportation          long-\\nterm  ->  long-term, where the text says so elsewhere
"""

import re
from itertools import pairwise

JOINT = r"[-\u2010][ \t]*[\n\f][ \t]*"
"""A hyphen at a line's or a page's end."""
BROKEN = re.compile(rf"(?<!\w)\w++(?:{JOINT}\w++)++")
BROKEN_IN_CELL = re.compile(r"(?<!\w)[^\W\d_]{2,}+(?:[-\u2010] [^\W\d_]++)++")
"""A table's row is one line: its cells' own breaks are blanks there."""
JOINTS = re.compile(rf"{JOINT}|[-\u2010] ")
CELL = " | "
WORD = re.compile(r"[^\W_]+(?:[-\u2010][^\W_]+)*")
GOES_WITH_BOTH = frozenset(
    ("and", "or", "und", "oder", "bzw", "sowie", "bis", "to", "et", "ou", "e", "y", "o", "og", "en")
)
"""What follows a hyphen that stands for the rest of a later word (`Ein- und Ausgang`)."""


def may_be_broken(text: str) -> bool:
    """Whether a word of `text` may be broken. Cheap, for the many texts that have none."""
    if "-\n" in text or "- " in text or "-\f" in text:  # written out: a loop takes longer than the looking
        return True
    return "\u2010" in text and any(sign in text for sign in ("\u2010\n", "\u2010 ", "\u2010\f"))


def whole(text: str) -> str:
    """`text` with its broken words whole.

    The hyphen stays where it belongs to the word, as far as the text can tell: where it has the word with its hyphen
    elsewhere, or both parts as words of their own; beside figures, a single letter, or a capital that begins a name.
    """
    return _mended(text, "")


def with_parts(text: str) -> str:
    """As `whole`, and behind each word of which that is a guess its parts: for a search by words."""
    return _mended(text, " ")


def _mended(text: str, between: str) -> str:
    if not may_be_broken(text):
        return text
    known: frozenset[str] | None = None

    def mended(broken: re.Match[str]) -> str:
        nonlocal known
        if known is None:
            known = _words(text)
        return _word(JOINTS.split(broken.group()), known, between)

    done = BROKEN.sub(mended, text)
    if CELL not in done:
        return done
    return "\n".join(BROKEN_IN_CELL.sub(mended, line) if CELL in line else line for line in done.split("\n"))


def _words(text: str) -> frozenset[str]:
    """The words that stand unbroken in a text."""
    unbroken = BROKEN_IN_CELL.sub(" ", BROKEN.sub(" ", text)).casefold().replace("\u2010", "-")
    return frozenset(WORD.findall(unbroken))


def _word(parts: list[str], known: frozenset[str], between: str) -> str:
    word = parts[0]
    is_guess = False
    for before, part in pairwise(parts):
        if part.casefold() in GOES_WITH_BOTH:
            word += f"- {part}"
        elif _is_sure(before, part):
            word += f"-{part}"
        else:
            belongs = f"{before}-{part}".casefold() in known or {before.casefold(), part.casefold()} <= known
            word += f"-{part}" if belongs else part
            is_guess = not belongs
    return f"{word}{between}{between.join(parts)}" if between and is_guess else word


def _is_sure(before: str, part: str) -> bool:
    """Whether a hyphen between the two can be nothing but the word's own."""
    is_name = part[0].isupper() and not before.isupper()
    return len(before) == 1 or is_name or before[-1].isdigit() or part[0].isdigit()
