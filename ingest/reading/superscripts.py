"""Signs and rules of what stands raised or lowered, for every format: exponents, ordinals, prices, marks."""

import re

UP = str.maketrans(
    "0123456789+-\u2212\u2013\u2010=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVW",
    "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁻⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂ",
)
DOWN = str.maketrans("0123456789+-\u2212=()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎")
HYPHENS = str.maketrans("\u2212\u2013\u2010", "---")
TRADE = {"TM": "™", "SM": "℠", "tm": "™", "(R)": "®", "®": "®"}
TEN = re.compile(r"(?<![\w.,])10$")
TIMES_TEN = re.compile(r"[x\u00d7\u00b7\u22c5*]\s?10$")
ORDINALS = re.compile("st|nd|rd|th|er|[e\u00e8]?re|[e\u00e8]me|nde|[rdtmvn][oa]|[oa]s")
"""Letters that are raised behind a number and belong to it."""
SHORT_ORDINALS = "eo\u00e9\u00ba\u00aa"
"""Or are marks of footnotes: they belong to numbers of one or two figures (19e, 2o), or of Roman ones (XIXe)."""
FIGURES = re.compile(r"\d+$")
SHORT_NUMBER = re.compile(r"(?:(?<!\d)\d{1,2}|\b[IVXLC]+)$")
PRICE = re.compile(r"[$\u00a3\u20ac\u00a5]\s?\d{1,5}[.,]?$")
PENCE = ("00", "49", "50", "90", "95", "98", "99")
"""As prices end. Others behind an amount may be footnotes, and `£412¹²` says both."""


def exponent(words: str) -> str:
    """An exponent behind its base."""
    return "^" + words.replace(" ", "").translate(HYPHENS)


def pence(before: str, words: str) -> str:
    """What is raised behind an amount of money and ends it, "" for all else."""
    if words not in PENCE or not PRICE.search(before):
        return ""
    return f".{words}" if before[-1:].isdigit() else words


def is_ordinal(before: str, letters: str) -> bool:
    """Whether raised letters belong to the number before them."""
    low = letters.lower()
    if low in SHORT_ORDINALS:
        return SHORT_NUMBER.search(before) is not None
    return FIGURES.search(before) is not None and ORDINALS.fullmatch(low) is not None


def as_mark(letters: str) -> str:
    """Letters that are a mark, raised if each of them can be."""
    made = letters.translate(UP)
    return letters if set(made) & set(letters) else made
