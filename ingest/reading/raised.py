"""Raised and lowered words as plain text, so that a figure above the line is no digit of the number before it.

3 x 10 and a raised 6       3 x 10^6        exponents of ten, and what has a sign
412 and a raised 2          412²            other figures: footnotes, units, powers
revenue and a raised a      revenueᵃ        letters that are marks
1 and a raised st           1st             ordinals and abbreviations stay joined
H, a lowered 2, O           H₂O
"""

import re

from ingest.reading.superscripts import DOWN, TEN, TIMES_TEN, TRADE, UP, as_mark, exponent, is_ordinal, pence

FIGURES = re.compile(r"\d+(?:\s*[,;\u2013-]\s*\d+)*")
SIGNED = re.compile("[+\u2212\u2013\u2010-]\\s*\\d+(?:[.,]\\d+)?")
IN_BRACKETS = re.compile(r"[\[(]\s*([\w*\u2020\u2021\u00a7]{1,4})\s*[\])]")
NOTE_SIGNS = frozenset("*\u2217\u2020\u2021\u00a7\u00b6#\u00b0\u2032\u2033'\"")
BEYOND = re.compile("[\u00b9\u00b2\u00b3\u2070-\u209f]+")


def raised(before: str, words: str, *, is_note: bool = False) -> str:
    """`words`, which stand raised behind `before`, as plain text has them. `is_note`: they lead to a note."""
    words = " ".join(words.split())
    words = IN_BRACKETS.sub(r"\1", words) if IN_BRACKETS.fullmatch(words) else words
    if not words or words in TRADE or BEYOND.fullmatch(words) or set(words) <= NOTE_SIGNS:
        return TRADE.get(words, words)
    if FIGURES.fullmatch(words):
        return ("" if is_note else _figures(before, words)) or words.translate(UP)
    if SIGNED.fullmatch(words):
        return exponent(words) if before[-1:].isdigit() else words.replace(" ", "").translate(UP)
    return _letters(before, words, is_note=is_note)


def _figures(before: str, words: str) -> str:
    """An exponent or the end of a price, "" for other figures."""
    is_power = TEN.search(before) or TIMES_TEN.search(before)
    return exponent(words) if is_power else pence(before, words)


def _letters(before: str, words: str, *, is_note: bool) -> str:
    if words.isalpha() and (is_note or (len(words) == 1 and not is_ordinal(before, words))):
        return as_mark(words)
    if words.isalpha() or " " in words or not before[-1:].isalnum():
        return words
    return f"^{words}"


def lowered(words: str) -> str:
    """`words`, which stand lowered behind a word, as they follow it in plain text."""
    words = " ".join(words.split())
    if re.fullmatch("[\\d+\u2212()-]+", words):
        return words.translate(DOWN)
    return f"_{words}" if words.isalnum() else words
