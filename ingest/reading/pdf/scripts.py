"""Raised and lowered figures as plain text has them: `412²`, `H₂O`, `10^6`, `2 1/2`. Pure: geometry is `raised`'s."""

import re
from enum import StrEnum

from ingest.reading.superscripts import DOWN, TEN, TIMES_TEN, TRADE, UP, as_mark, exponent, is_ordinal, pence


class Level(StrEnum):
    """How a character stands beside the ones that it is written to. One letter each, so that levels make a string."""

    BASE = "b"
    RAISED = "r"
    LOWERED = "l"
    SMALL = "s"
    """On the same line, and smaller."""


EXPONENT = re.compile(r"[+\u2212\u2013\u2010-]?\d{1,3}(?:[.,/]\d{1,2})?")
DEGREE = re.compile(r"[o0](?=[CF]$)")
FRACTION = re.compile(r"(r+)(.?)([ls]+)")
SLASHES = "/\u2044\u2215"


def written(text: str, levels: str) -> str:
    """A word or number as plain text has it; `levels` has a `Level` for each of its characters.

    Figures that are raised behind 10, or with a sign behind a figure, are exponents; raised over lowered ones make a
    fraction; ordinals stay as they are; the rest become Unicode's superscripts and subscripts.
    """
    out, at = "", 0
    while at < len(text):
        fraction = _fraction(text, levels, at)
        if fraction is not None:
            end, plain = fraction
            out += f" {plain}" if out[-1:].isdigit() else plain
        else:
            end = _same_until(levels, at)
            is_degree = levels[at] == Level.RAISED and out[-1:].isdigit() and DEGREE.match(text, at)
            out += "\u00b0" if is_degree else _part(out, text[at:end], levels[at])
        at = end
    return out


def _same_until(levels: str, at: int) -> int:
    end = at
    while end < len(levels) and levels[end] == levels[at]:
        end += 1
    return end


def _fraction(text: str, levels: str, at: int) -> tuple[int, str] | None:
    """Where the fraction ends that begins at `at`, and how it is written."""
    found = FRACTION.match(levels, at) if levels[at] == Level.RAISED else None
    if found is None:
        return None
    whole = text[found.start() : found.end()]
    above, slash, below = _split(whole, found.end(1) - at)
    if not (above.isdecimal() and below.isdecimal()):
        return None
    if not slash:  # one over the other; else it is an isotope, or a letter with both
        is_letter_near = text[:at][-1:].isalpha() or text[found.end() :][:1].isalpha()
        if is_letter_near or Level.SMALL in found.group(3):
            return None
    return found.end(), f"{above}/{below}"


def _split(whole: str, middle: int) -> tuple[str, str, str]:
    """What stands before and behind a fraction's stroke, and the stroke, whichever level it has."""
    for slash in SLASHES:
        if slash in whole:
            above, _, below = whole.partition(slash)
            return above, slash, below
    return whole[:middle], "", whole[middle:]


def _part(before: str, text: str, level: str) -> str:
    if level == Level.RAISED:
        return _raised(before, text)
    return text.translate(DOWN) if level == Level.LOWERED and before[-1:].isalnum() else text


def _raised(before: str, text: str) -> str:
    is_behind_figure = before[-1:].isdigit()
    if is_behind_figure and EXPONENT.fullmatch(text) and _is_power(before, text):
        return exponent(text)
    if end := pence(before, text):
        return end
    if text.isalpha():
        return TRADE.get(text) or (text if len(text) > 2 or is_ordinal(before, text) else as_mark(text))
    return text.translate(UP)


def _is_power(before: str, text: str) -> bool:
    """Whether `text` is the exponent of what it is raised behind. Timetables write 10³⁰ for half past ten."""
    if not text[0].isdigit() or TIMES_TEN.search(before):
        return True
    return len(text) != 2 and TEN.search(before) is not None
