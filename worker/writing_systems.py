"""Words of every script as BM25's tokenizer is to see them: apart where nothing is spaced, and in one spelling.

The tokenizer (Qdrant's, English) splits at what is neither letter nor digit, folds case and the accents of Latin
letters, and knows no other script. So here each script gets what Lucene's analyzers do for it without a dictionary;
question and chunk go the same way, and a text of Latin letters alone is given back as it is.
"""

import re
import unicodedata

HAN_RANGES = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
HAN = re.compile(f"[{HAN_RANGES}]")
UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u3040-\u30ff"  # Hiragana, Katakana
    f"{HAN_RANGES}"
)
"""The scripts that put no spaces between words."""
HANGUL = "\uac00-\ud7a3"
GREEK = "\u0370-\u03ff\u1f00-\u1fff"
ARABIC = "\u0620-\u063f\u0641-\u064a\u066e-\u06d3\u06fa-\u06fc"
"""Its letters; the tatweel, which only lengthens a line, is none."""

OTHERS = re.compile("[\u0300-\u1fff\u3040-\ud7a3\uf900-\ufaff\U00010000-\U0003ffff]")
"""What text in Latin letters and its punctuation does not have."""
RUN = re.compile(f"(?P<unspaced>[{UNSPACED}]+)|(?P<hangul>[{HANGUL}]+)|(?P<greek>[{GREEK}]+)|(?P<arabic>[{ARABIC}]+)")
IN_PAIRS = re.compile(f"[{UNSPACED}{HANGUL}]")
OTHER_DIGIT = re.compile(r"(?![0-9])\d")

LEFT_OUT = re.compile(
    "["
    "\u0300-\u036f"  # accents that no letter has taken up, as the stress in Russian
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"  # Hebrew points
    "\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed"  # Arabic points
    "\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d"  # Indian viramas, at which the tokenizer splits
    "]"
)
"""Marks that one writer sets and another leaves out, or that stand within a word."""
ONE_SPELLING = str.maketrans(
    "\u0451\u0401"  # Russian yo, as ye
    "\u0622\u0623\u0625\u0671"  # Arabic alif with hamza, madda or wasla
    "\u0649\u06cc\u06a9\u0629\u06c0\u06d5",  # yeh, kaf and heh as Arabs and as Persians write them
    "\u0435\u0415\u0627\u0627\u0627\u0627\u064a\u064a\u0643\u0647\u0647\u0647",
)
"""Letters that are written for each other, as in Lucene's ArabicNormalizer and PersianNormalizer."""

LONG_PARTICLES = ("에서", "에게", "에는", "에도", "으로", "까지", "부터", "이다")
PARTICLES = frozenset((*"은는이가을를의에도로와과만", *LONG_PARTICLES, "입니다"))
"""What stands behind a Korean noun, grown together with it."""
ENDINGS = frozenset((*LONG_PARTICLES, "습니", "합니", "입니", "됩니", "십니", "니다", "니까", "어요", "아요", "세요"))
"""Pairs that are nearly always of a particle or of a verb's ending, and say nothing: stop words, in a way."""

ARABIC_PREFIXES = ("وال", "بال", "كال", "فال", "لل", "ال")
"""The article, with what is written together with it: "and", "by", "like", "so", "to"."""
STEM_MIN = 2
"""Letters that are left of a word without its prefix."""


def is_read_in_pairs(text: str) -> bool:
    """Whether terms of `text` are pairs of characters."""
    return IN_PAIRS.search(text) is not None


def words_apart(text: str) -> str:
    """`text`, in Unicode's form NFKC, with its words set apart by blanks and spelled in one way."""
    if not OTHERS.search(text):
        return text
    text = LEFT_OUT.sub("", text).translate(ONE_SPELLING)
    return RUN.sub(_apart, OTHER_DIGIT.sub(_digit, text))


def _apart(run: re.Match[str]) -> str:
    word = run.group()
    match run.lastgroup:
        case "unspaced":
            return f" {' '.join([*HAN.findall(word), *_pairs(word)])} "
        case "hangul":
            return f" {' '.join(_hangul(word))} "
        case "greek":
            return "".join(
                letter for letter in unicodedata.normalize("NFD", word) if not unicodedata.combining(letter)
            )
        case _:
            return _without_article(word)


def _pairs(word: str) -> list[str]:
    """Overlapping pairs of characters, as in Lucene's CJKBigramFilter: they need no dictionary."""
    return [word[i : i + 2] for i in range(len(word) - 1)] or [word]


def _hangul(word: str) -> list[str]:
    """A Korean word and its pairs, so that a noun is found with and without the particle behind it."""
    if len(word) == 1:
        return [word]
    pairs = [pair for pair in _pairs(word) if pair != word and pair not in ENDINGS]
    return [word, *pairs, word[0]] if word[1:] in PARTICLES else [word, *pairs]


def _without_article(word: str) -> str:
    """An Arabic word without its article, as in Lucene's ArabicStemmer."""
    for prefix in ARABIC_PREFIXES:
        if word.startswith(prefix) and len(word) - len(prefix) >= STEM_MIN:
            return word[len(prefix) :]
    return word


def _digit(digit: re.Match[str]) -> str:
    return str(unicodedata.decimal(digit.group()))
