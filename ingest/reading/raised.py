"""Raised and lowered words as plain text, so that a figure above the line is no digit of the number before it.

3 x 10 and a raised 6       3 x 10^6        exponents of ten, and what has a sign
412 and a raised 2          412²            other figures: footnotes, units, powers
revenue and a raised a      revenueᵃ        letters that are marks
1 and a raised st           1st             ordinals and abbreviations stay joined
H, a lowered 2, O           H₂O
"""

import re

RAISED_DIGITS = str.maketrans("0123456789+-\u2212\u2013()", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁻⁽⁾")
LOWERED_DIGITS = str.maketrans("0123456789+-\u2212()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₍₎")
RAISED_LETTERS = str.maketrans(
    "abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVW",
    "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂ",
)
SIGNS = {"TM": "™", "SM": "℠", "tm": "™", "(R)": "®", "®": "®"}
IS_POWER_OF_TEN = re.compile(r"(?<![\d.,])10$")
IS_ORDINAL = re.compile(r"(?:\d|\b[IVXLC]+)$")
ORDINAL_LETTERS = frozenset("eoaªºérd")
"""Behind a figure alone: 2e, 1o, 3d."""
PRICE = re.compile(r"[$\u00a3\u20ac\u00a5]\s?\d{1,5}$")
PENCE = 2
"""Figures behind an amount of money."""
FIGURES = re.compile(r"\d+(?:\s*[,;\u2013-]\s*\d+)*")
SIGNED = re.compile("[+\u2212\u2013-]\\s*\\d+(?:[.,]\\d+)?")
IN_BRACKETS = re.compile(r"[\[(]\s*([\w*\u2020\u2021\u00a7]{1,4})\s*[\])]")
NOTE_SIGNS = frozenset("*\u2217\u2020\u2021\u00a7\u00b6#\u00b0\u2032\u2033'\"")
BEYOND = re.compile("[\u00b9\u00b2\u00b3\u2070-\u209f]+")


def raised(before: str, words: str, *, is_note: bool = False) -> str:
    """`words`, which stand raised behind `before`, as plain text has them. `is_note`: they lead to a note."""
    words = " ".join(words.split())
    words = IN_BRACKETS.sub(r"\1", words) if IN_BRACKETS.fullmatch(words) else words
    if not words or words in SIGNS or BEYOND.fullmatch(words) or set(words) <= NOTE_SIGNS:
        return SIGNS.get(words, words)
    if FIGURES.fullmatch(words):
        is_power = not is_note and IS_POWER_OF_TEN.search(before) is not None
        is_price = not is_note and len(words) == PENCE and PRICE.search(before) is not None
        return f"^{words}" if is_power else f".{words}" if is_price else words.translate(RAISED_DIGITS)
    if SIGNED.fullmatch(words):
        if not before[-1:].isdigit():
            return words.replace(" ", "").translate(RAISED_DIGITS)
        return "^" + words.replace("\u2212", "-").replace("\u2013", "-").replace(" ", "")
    return _letters(before, words, is_note=is_note)


def _letters(before: str, words: str, *, is_note: bool) -> str:
    if is_note and words.isalpha():
        return words.translate(RAISED_LETTERS)
    if len(words) == 1 and words.isalpha():
        is_ordinal = words in ORDINAL_LETTERS and IS_ORDINAL.search(before) is not None
        return words if is_ordinal else words.translate(RAISED_LETTERS)
    if words.isalpha() or " " in words or not before[-1:].isalnum():
        return words
    return f"^{words}"


def lowered(words: str) -> str:
    """`words`, which stand lowered behind a word, as they follow it in plain text."""
    words = " ".join(words.split())
    if re.fullmatch("[\\d+\u2212()-]+", words):
        return words.translate(LOWERED_DIGITS)
    return f"_{words}" if words.isalnum() else words
