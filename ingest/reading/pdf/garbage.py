"""Whether the text of a page is garbage: what comes out where a font does not say which letters its glyphs are.

Nothing here knows a word. Three things give garbage away. Characters that no text has: controls, private ones,
replacements. Letters of the wrong kind: accented ones alone, which is text in another encoding, or several scripts in
one word. And the wrong letters: in every language that is written in Latin, Greek or Cyrillic vowels and consonants
take turns much more often than chance would have them. Where a page's vowels do not, and yet some other letters do,
as if they were its vowels, or the letters so many places further on, it is text in disguise. Numbers, codes, formulas
and sequences take no such turns in any reading, and stay.
"""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Self

BAD_SHARE = 0.2
"""Of a page's characters, blanks apart, that can be no text; bullets and icons of honest pages have a fiftieth."""
CONTROL_SHARE = 0.1
BAD = "[\x00-\x01\x03-\x08\x0e-\x1f\x7f-\x9f\ue000-\uf8ff\ufffd\U000f0000-\U0010ffff]"
"""Without U+0002, which pdfium writes for a hyphen. Compiled when a page needs it, as all below: few documents do."""
CONTROL = "[\x00-\x01\x03-\x08\x0e-\x1f\x7f-\x9f]"
IS_CONTROL = bytes(code in {0, 1, *range(3, 9), *range(0x0E, 0x20), 0x7F} for code in range(256))
PRIVATE = (b"\xee", b"\xef\x80", b"\xef\x81", b"\xef\x82", b"\xef\x83", b"\xef\xbf\xbd", b"\xf3", b"\xf4")
"""With these begin private characters in UTF-8, and most of the icons' F000 to F0FF; and the replacement."""
LATIN_SIGN = b"\xc2"
"""With this one the controls above ASCII, and signs such as the section's."""
BLANKS = dict.fromkeys(map(ord, "\x1c\x1d\x1e\x1f\x85"), "x")
"""Controls that Python takes for blanks."""

CHARACTERS_ENOUGH = 2_000
"""Of a page, from its middle: where they are plain prose, the rest is not looked at so closely."""
BEYOND_ASCII_SHARE = 0.2
"""Bytes that letters take beyond one each; in Polish, 8 % of all. With more, they may be of another encoding."""
LIFT = 0.1
"""By which share of neighbours more than by chance vowels and consonants take turns: .1 to .3 in real pages, of
sixteen languages, and less than .1 in nearly all that are not."""
LIFT_IN_DISGUISE = 0.16
LIFT_OF_NONE = 0.05
TURNS = 0.58
"""Share of neighbours of which one is a vowel: .6 to .8 in real pages."""
PAIRS_MIN = 150
"""Neighbours, so that chance is unlikely to make a word of a code."""
PAIRS_TO_SUSPECT = 600
WORDS_MIN = 60
"""Different ones: a table's rows come again and again."""
DIGITS_SHARE = 0.1
"""Of characters: figures become letters when they are moved, and tables words."""
LETTERS_MIN = 14
"""Different ones: sequences of genes have four."""
RARE_SHARE = 0.04
"""Of q and x among letters: a hundredth, and 2 % in French and Catalan."""
SHIFTS = tuple(by * sign for by in (1, 2, 3, 4, 26, 27, 28, 29, 30, 31, 33, 34, 35) for sign in (1, -1))
"""Places by which numbers of glyphs differ from letters: 29 in most TrueType fonts, 31 in many others.
32 makes small letters of capitals."""
BEYOND_SHARE = 0.02
"""Of characters beyond Latin-1: a text with more was not shifted within a byte."""
SAMPLE_CHARACTERS = 6_000

ACCENTED_SHARE = 0.5
"""Of letters: a fifth in French, a third in Vietnamese."""
ACCENTED_MIN = 30
LETTERS_SHARE = 0.4
"""Of a page's characters, blanks apart: on one with fewer letters that have vowels they are names, codes, terms."""
ODD = "!\"#$%&'?@" + "".join(map(chr, range(0xA1, 0xC0)))
ODD_SHARE, ODD_KINDS, KIND_SHARE = 0.25, 6, 0.01
"""Signs that stand for the letters that come first where a font is numbered by use, and are rare amid words else."""
SIGNS = "()*+,-./:;<=>[\\]^_`{|}~"
SIGN_BYTES = (ODD[:9] + SIGNS).encode() + b"\xc2"
"""All of these begin with one of them in UTF-8."""
SIGNS_SHARE, SIGNS_KINDS, ODD_KINDS_AMONG_SIGNS = 0.45, 12, 4
"""Signs of all kinds: formulas and programs have as many, or as many kinds, but seldom both, and few odd ones."""
SMALL = bytes(range(ord("a"), ord("z") + 1))
SMALL_SHARE_MAX = 0.15
MIXED_SHARE, MIXED_MIN = 0.25, 10
"""Of words: several scripts in one."""
WORD = r"[^\W\d_]{4,}"
ACCENTED = b"\xc3\xc4\xc5"
"""With these begin the accented letters up to U+017F in UTF-8."""
WITH_VOWELS = "[A-Za-z\u00c0-\u024f\u0370-\u052f\u1e00-\u1fff]+"
LATIN_BYTES = rb"[A-Za-z\xc0-\xff]+"
OTHER_SCRIPTS = bytes(range(0xCD, 0xE1))
"""With these begin Greek, Cyrillic and what follows up to Thai, in UTF-8."""
SCRIPTS = (
    "[A-Za-z\u00c0-\u024f\u1e00-\u1eff]",
    "[\u0370-\u03ff\u1f00-\u1fff]",
    "[\u0400-\u052f]",
    "[\u0530-\u058f]",
    "[\u0590-\u05ff]",
    "[\u0600-\u06ff\u0750-\u077f]",
    "[\u0700-\u074f\u0780-\u08ff]",
    "[\u0900-\u0dff]",
    "[\u0e00-\u109f]",
    "[\u10a0-\u1cff]",
)


VOWELS = frozenset(
    "aeiouyw\u00e6\u0153\u00f8\u0131\u0259"
    + "\u03b1\u03b5\u03b7\u03b9\u03bf\u03c5\u03c9"
    + "\u0430\u0435\u0438\u043e\u0443\u044a\u044b\u044c\u044d\u044e\u044f\u0454\u0456"
)
"""Without their accents: of Latin, where w is one in Welsh, of Greek and of Cyrillic, with its signs."""
BLOCKS = (0x00, 0x01, 0x1E, 0x03, 0x1F, 0x04)
"""The upper bytes of the letters of these scripts in UTF-16."""


@dataclass(frozen=True, slots=True)
class _Turns:
    """How often letters that are taken for vowels and the others take turns."""

    vowels: int
    consonants: int
    words: int
    turns: int

    @classmethod
    def of(cls, classes: bytes) -> Self:
        """Of a text whose vowels are a 1, whose consonants are a 2, and whose rest is 0. Bits are counted at once."""
        line = int.from_bytes(b"\0" + classes + b"\0", "little")
        ones = int.from_bytes(b"\1" * (len(classes) + 2), "little")
        steps = line ^ line >> 8
        turns = (steps & steps >> 1 & ones).bit_count()  # 3, of a vowel and a consonant
        ends = steps.bit_count() - 2 * turns
        return cls((line & ones).bit_count(), (line & ones << 1).bit_count(), ends // 2, turns)

    @property
    def letters(self) -> int:
        """Of both kinds."""
        return self.vowels + self.consonants

    @property
    def pairs(self) -> int:
        """Letters that have a letter after them."""
        return self.letters - self.words

    @property
    def share(self) -> float:
        """Of neighbours that take turns."""
        return self.turns / max(1, self.pairs)

    @property
    def lift(self) -> float:
        """How much that is above chance."""
        vowel = self.vowels / max(1, self.letters)
        return self.share - 2 * vowel * (1 - vowel)


def is_garbage(text: str) -> bool:
    """Whether no reader of the page would read this there. `text` is as the parser gave it, not cleaned.

    Takes some microseconds for a page of plain prose.
    """
    encoded = text.encode("utf-8", "replace")
    if _has_bad_characters(text, encoded):
        return True
    beyond_ascii = len(encoded) - len(text)
    middle = text[max(0, len(text) - CHARACTERS_ENOUGH) // 2 :][:CHARACTERS_ENOUGH]
    if beyond_ascii <= BEYOND_ASCII_SHARE * len(text) and _is_plausible(_Turns.of(_classes(middle)), middle):
        return False
    turns = _Turns.of(_classes(text))
    if beyond_ascii and (_is_accented_alone(encoded, turns.letters) or _is_mixed(text, encoded)):
        return True
    are_letters = turns.letters >= LETTERS_SHARE * _size(encoded, len(text)) and turns.pairs >= PAIRS_MIN
    if are_letters and not _is_plausible(turns, text) and _is_disguised(text[:SAMPLE_CHARACTERS]):
        return True
    return _is_odd(text, encoded)


def is_garbled(line: str) -> bool:
    """Whether most of a single line's characters can be no text."""
    return not line.isprintable() and 2 * len(re.findall(BAD, line)) > len("".join(line.split()))


def _has_bad_characters(text: str, encoded: bytes) -> bool:
    may_be = b"\1" in encoded.translate(IS_CONTROL) or any(sign in encoded for sign in PRIVATE)
    if not may_be and encoded.count(LATIN_SIGN) < BAD_SHARE * len(text):
        return False
    size = len("".join(text.translate(BLANKS).split()))
    if size == 0:
        return re.search(CONTROL, text) is not None
    return len(re.findall(BAD, text)) > BAD_SHARE * size or len(re.findall(CONTROL, text)) > CONTROL_SHARE * size


def _is_plausible(turns: _Turns, text: str) -> bool:
    """Whether a text's letters are those of a language, in the order in which languages have them."""
    if turns.pairs < PAIRS_MIN or turns.lift < LIFT:
        return False
    return sum(map(text.count, "qxQX")) < RARE_SHARE * turns.letters


def _number_of(data: bytes, values: bytes) -> int:
    """How many of its bytes have one of these values."""
    return len(data) - len(data.translate(None, values))


def _size(encoded: bytes, characters: int) -> int:
    """How many of a text's characters are no blanks."""
    return characters - _number_of(encoded, b" \n\r")


def _classes(text: str) -> bytes:
    """For each character 1 for a vowel, 2 for a consonant of a script that has vowels, 0 for the rest."""
    if text.isascii():
        return text.encode().translate(_table(0))
    units = text.encode("utf-16-le", "surrogatepass")
    low, high = units[::2], units[1::2]
    found = 0
    for block in BLOCKS:
        if block in high:
            classes, mask = low.translate(_table(block)), high.translate(_mask(block))
            found |= int.from_bytes(classes, "little") & int.from_bytes(mask, "little")
    return found.to_bytes(len(low), "little")


@lru_cache(maxsize=len(BLOCKS))
def _table(block: int) -> bytes:
    """The classes of the characters whose upper byte is `block`."""
    letters = (chr(block << 8 | code) for code in range(256))
    return bytes(_class(letter) for letter in letters)


@lru_cache(maxsize=len(BLOCKS))
def _mask(block: int) -> bytes:
    return bytes(255 * (other == block) for other in range(256))


def _class(letter: str) -> int:
    if not letter.isalpha():
        return 0
    return 1 if unicodedata.normalize("NFD", letter.casefold())[0] in VOWELS else 2


def _is_accented_alone(encoded: bytes, letters: int) -> bool:
    """Whether most letters are accented ones of Latin, as where another encoding was read as Latin-1."""
    accented = _number_of(encoded, ACCENTED)
    return accented >= ACCENTED_MIN and accented > ACCENTED_SHARE * letters


def _is_disguised(text: str) -> bool:
    """Whether the letters are a language's, but others than it has. Of each word that comes again once."""
    words = re.findall(WITH_VOWELS, text.casefold())
    own = _Turns.of(_classes(" ".join(dict.fromkeys(words))))
    digits = sum(map(text.count, "0123456789"))
    beyond = len(text) - len(text.encode("latin-1", "ignore"))
    is_movable = max(digits / DIGITS_SHARE, beyond / BEYOND_SHARE) <= len(text)
    if is_movable and any(_is_language(_shifted(text, by), own) for by in SHIFTS):
        return True
    return own.lift < LIFT_OF_NONE and _has_other_vowels(words)


def _is_language(turns: _Turns, own: _Turns) -> bool:
    return (
        turns.pairs >= max(PAIRS_MIN, own.pairs // 2)
        and turns.words * 12 > turns.pairs
        and turns.lift >= max(LIFT_IN_DISGUISE, own.lift + 0.08)
        and turns.share >= TURNS
    )


def _shifted(text: str, by: int) -> _Turns:
    """Of the words of a text whose every character is another one, so many places further on."""
    table = bytes((code + by) % 256 for code in range(256))
    letters = text.replace("\n", chr((32 - by) % 256)).encode("latin-1", "replace").translate(table)
    words = dict.fromkeys(re.findall(LATIN_BYTES, letters))
    return _Turns.of(b" ".join(words).translate(_table(0)))


def _has_other_vowels(words: list[str]) -> bool:
    """Whether other letters than the vowels behave as such, found as Sukhotin did: by whom they stand beside."""
    beside: Counter[tuple[str, str]] = Counter()
    for word in words:
        beside.update(pairwise(word))
    letters = {letter for pair in beside for letter in pair}
    if len(letters) < LETTERS_MIN or beside.total() < PAIRS_TO_SUSPECT or len(set(words)) < WORDS_MIN:
        return False
    vowels = _vowels(beside, letters)
    turns = _Turns.of(bytes(1 if c in vowels else 2 if c in letters else 0 for c in " ".join(words)))
    return turns.lift >= LIFT_IN_DISGUISE and turns.share >= TURNS and turns.words * 12 > turns.pairs


def _vowels(beside: Counter[tuple[str, str]], letters: set[str]) -> set[str]:
    """B. V. Sukhotin's algorithm: the letter that stands beside most others is a vowel, and counts them down."""
    near = {one: {other: beside[one, other] + beside[other, one] for other in letters - {one}} for one in letters}
    sums = {letter: sum(counts.values()) for letter, counts in near.items()}
    vowels: set[str] = set()
    while left := letters - vowels:
        most = max(sorted(left), key=lambda letter: sums[letter])
        if sums[most] <= 0:
            break
        vowels.add(most)
        for other in left - {most}:
            sums[other] -= 2 * near[other][most]
    return vowels


def _is_odd(text: str, encoded: bytes) -> bool:
    """Whether signs stand for letters: small ones are then used up, or come last."""
    size = _size(encoded, len(text))
    if size < ACCENTED_MIN or _number_of(encoded, SIGN_BYTES) < ODD_SHARE * size:
        return False
    if _number_of(encoded, SMALL) > SMALL_SHARE_MAX * size:
        return False
    odd = [count for sign in ODD if (count := text.count(sign)) > KIND_SHARE * size]
    if sum(odd) > ODD_SHARE * size and len(odd) >= ODD_KINDS:
        return True
    signs = odd + [count for sign in SIGNS if (count := text.count(sign)) > KIND_SHARE * size]
    return sum(signs) > SIGNS_SHARE * size and len(signs) >= SIGNS_KINDS and len(odd) >= ODD_KINDS_AMONG_SIGNS


def _is_mixed(text: str, encoded: bytes) -> bool:
    """Whether many words are of several scripts."""
    if min(_number_of(encoded, OTHER_SCRIPTS), _number_of(encoded, SMALL)) < 2 * MIXED_MIN:
        return False
    words = set(re.findall(WORD, text[:SAMPLE_CHARACTERS]))
    scripts = [re.compile(script) for script in SCRIPTS]
    mixed = sum(sum(script.search(word) is not None for script in scripts) > 1 for word in words)
    return mixed >= MIXED_MIN and mixed > MIXED_SHARE * len(words)
