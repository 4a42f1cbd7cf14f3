"""Bytes of a text into its characters: what its first bytes say, or the text itself, or statistics of letters.

Whatever is said is tried, not believed: bytes that come out as no words of any language are read otherwise, and
where nothing makes words of them the file is refused, so that no letters of another alphabet come into the index.
"""

import re
import unicodedata
from collections.abc import Iterator

from app.core.formats import HEAD_BYTES
from app.core.wide_texts import wide_encoding
from ingest.reading.reasons import FileError, Reason

UNPRINTABLE_SHARE_MAX = 0.05
"""Of a text's characters: with more, it is no text."""
SAMPLE_CHARACTERS = 100_000
"""As much of a text is judged, from its beginning."""
CHARSET = re.compile(
    rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([a-z0-9_:-]{1,40})|<\?xml[^>]{0,80}encoding\s*=\s*[\"']([a-z0-9_:-]{1,40})",
    re.IGNORECASE,
)
DECLARED_WITHIN_BYTES = 4096
LINE_END = re.compile(r"\r\n?")
ESCAPES = (b"\x1b$", b"\x1b(J", b"\x1b(B")
"""In bytes that are all ASCII: Japanese of mail and old systems (ISO-2022-JP)."""

AS_ON_THE_WEB = {
    **dict.fromkeys(("iso-8859-1", "iso8859-1", "latin1", "latin-1", "us-ascii", "ascii"), "cp1252"),
    **dict.fromkeys(("gb2312", "gbk", "gb-2312", "x-gbk"), "gb18030"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis"), "cp932"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987", "ksc5601", "korean"), "cp949"),
    **dict.fromkeys(("iso-8859-9", "latin5"), "cp1254"),
    **dict.fromkeys(("tis-620", "windows-874", "iso-8859-11"), "cp874"),
    "big5": "big5hkscs",
    "iso-8859-8-i": "iso-8859-8",
    "x-mac-cyrillic": "mac_cyrillic",
    "macintosh": "mac_roman",
}
"""What browsers take a name for: the larger set that is written under it (WHATWG, Encoding)."""
TRIED = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874"),
    *("gb18030", "big5hkscs", "cp932", "euc_jis_2004", "cp949", "iso2022_jp_2"),
    *("koi8-r", "koi8-u", "iso8859-2", "iso8859-5", "iso8859-6", "iso8859-7", "iso8859-8", "iso8859-13"),
    *("mac-roman", "mac-cyrillic", "cp866", "cp852", "cp850"),
)
"""What texts without a name are in, by how common they are: of equal ones the first is taken."""
OF_LATIN = ("cp1252", "cp1250", "cp1254", "cp1257", "iso8859-2", "iso8859-13", "mac-roman", "cp852", "cp850")
"""All that is tried where nearly all letters are Latin."""
WEIGHTS = {"cp1252": 1.08, "cp850": 0.65, "cp852": 0.65, "mac-cyrillic": 0.9}
"""Of chardet's confidence, by how common an encoding is: of a few words alone it cannot tell some from others."""
NEAR = 0.4
"""Of the confidence in what makes no words: what does make some, and has less of it, makes them by chance."""
EQUAL = 0.99
"""Of the best confidence: of readings that have as much, the first is taken."""
ODD_SHARE_MAX = 0.03
"""Of the characters beyond ASCII: with more of them amid what no language writes, it is another encoding."""
BROKEN_SHARE_MAX = 0.1
"""Bytes that are no UTF-8, of all beyond ASCII, in a text that is UTF-8 all the same and was cut or patched."""
USUAL = "cp1252"
BEYOND_ASCII = bytes(range(0x80, 0x100))
FEW, FEW_SHARE_MAX = 3, 0.25
"""Bytes beyond ASCII, and their share of a text that they tell little of: read as is usual, if nothing else fits."""
WORDS_NEAR = 2
"""On either side of a word beyond ASCII: in Polish or French many words are without accents."""
CONFIDENCE_MIN = 0.01
"""Of chardet's: below it nothing is known. Right guesses of a line have .014 (two words) to .95."""
LETTER = "[A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02af\u0370-\u052f\u0590-\u05f4\u0620-\u064a]"
SIGN = (
    r"[\u00a1-\u00a9\u00ab\u00ac\u00ae-\u00b4\u00b6\u00b8\u00b9\u00bb-\u00bf\u00d7\u00f7\u0192\u201e\u2026\u2020-\u2022"
    r"\u02c6\u2030\u2039\u203a\u20ac\u2122\u02dc\u2200-\u22ff]"
)
LATIN, GREEK, CYRILLIC = r"[A-Za-z\u00df-\u00ff]", r"[\u0391-\u03c9]", r"[\u0400-\u04ff]"
ACCENTED_CAPITAL = r"[\u00c0-\u00d6\u00d8-\u00de\u0152\u0160\u0178\u017d]"
RIGHT_TO_LEFT = r"[\u05d0-\u05ea\u0620-\u06ff]"
ODD = re.compile(
    rf"[\x80-\x9f\ufffd\ue000-\uf8ff\u2500-\u259f]|(?<={LETTER}){SIGN}(?={LETTER})|[\u00c0-\u024f]{{5,}}"
    rf"|(?<=[a-z\u00df-\u00ff]){ACCENTED_CAPITAL}|[\u0430-\u044f][\u0410-\u042f](?=[\u0430-\u044f])"
    rf"|[\u03b1-\u03c9][\u0391-\u03a9](?=[\u03b1-\u03c9])|{LATIN}(?={GREEK}|{CYRILLIC})|{GREEK}(?={LATIN}|{CYRILLIC})"
    rf"|{CYRILLIC}(?={LATIN}|{GREEK})|[A-Za-z](?={RIGHT_TO_LEFT})|{RIGHT_TO_LEFT}(?=[A-Za-z])"
)
"""What no language writes: signs amid a word, letters of two alphabets in one, five accented letters in a row."""


def decoded(data: bytes) -> str:
    """The text of a file, its lines ended by a newline. Raises `FileError`: DAMAGED, or UNKNOWN_ENCODING."""
    return LINE_END.sub("\n", _checked(_characters(data)))


def _characters(data: bytes) -> str:
    wide = wide_encoding(data[:HEAD_BYTES])
    if wide is not None:
        return _strictly(data, wide) or _refuse(Reason.DAMAGED)
    if b"\0" in data:  # an upload of it is refused, too
        _refuse(Reason.DAMAGED)
    if any(escape in data for escape in ESCAPES) and (text := _strictly(data, "iso2022_jp_2")):
        return text
    text = _strictly(data, "utf-8-sig")
    if text is not None:
        return text
    readings = (_declared(data), _patched(data), _guessed(data))
    return next((text for text in readings if text is not None), None) or _refuse(Reason.UNKNOWN_ENCODING)


def _strictly(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeError, LookupError):
        return None


def _refuse(reason: Reason) -> str:
    raise FileError(reason)


def _declared(data: bytes) -> str | None:
    """As the text says itself, if words come of it."""
    found = CHARSET.search(data[:DECLARED_WITHIN_BYTES])
    if found is None:
        return None
    name = (found.group(1) or found.group(2)).decode().lower()
    text = _strictly(data, AS_ON_THE_WEB.get(name, name))
    return text if text is not None and _odd_share(text) <= ODD_SHARE_MAX else None


def _patched(data: bytes) -> str | None:
    """As UTF-8 in which a few bytes are wrong."""
    text = data.decode("utf-8-sig", "replace")
    beyond = sum(1 for character in text[:SAMPLE_CHARACTERS] if character > "\x7f")
    return text if text[:SAMPLE_CHARACTERS].count("\ufffd") <= BROKEN_SHARE_MAX * beyond else None


def _guessed(data: bytes) -> str | None:
    """As letters stand in the languages of the world, among what makes words at all."""
    all_readings = list(_readings(data))
    readings = [reading for reading in all_readings if _odd_share(reading[1]) <= ODD_SHARE_MAX]
    best = max((confidence for confidence, _ in readings), default=0.0)
    if best < max(CONFIDENCE_MIN, NEAR * max((confidence for confidence, _ in all_readings), default=0.0)):
        return _strictly(data, USUAL) if _is_nearly_ascii(data) else None
    return next(text for confidence, text in readings if confidence >= EQUAL * best)


def _readings(data: bytes) -> Iterator[tuple[float, str]]:
    from chardet import detect_all  # takes a tenth of a second, and few texts need it

    tried = OF_LATIN if _is_nearly_ascii(data) else TRIED
    found = detect_all(_telling(data), ignore_threshold=True, compat_names=False, include_encodings=tried)
    confidences = {one["encoding"]: one["confidence"] for one in found}
    for encoding in TRIED:
        text = _strictly(data, encoding) if confidences.get(encoding) else None
        if text is not None:
            yield confidences[encoding] * WEIGHTS.get(encoding, 1.0), text


def _is_nearly_ascii(data: bytes) -> bool:
    beyond = len(data) - len(data.translate(None, BEYOND_ASCII))
    return beyond <= min(FEW, FEW_SHARE_MAX * len(data))


def _telling(data: bytes) -> bytes:
    """The words beyond ASCII and those near them: English around, or markup, says nothing of the others.

    No encoding that is tried has a blank's or a line's end's byte in another character.
    """
    words = data[:SAMPLE_CHARACTERS].split()
    near: set[int] = set()
    for number, word in enumerate(words):
        if not word.isascii():
            near.update(range(number - WORDS_NEAR, number + WORDS_NEAR + 1))
    return b" ".join(word for number, word in enumerate(words) if number in near)


def _odd_share(text: str) -> float:
    sample = text[:SAMPLE_CHARACTERS]
    beyond = sum(1 for character in sample if character > "\x7f")
    return sum(len(found.group()) for found in ODD.finditer(sample)) / beyond if beyond else 0.0


def _checked(text: str) -> str:
    sample = text[:SAMPLE_CHARACTERS]
    unprintable = sum(unicodedata.category(character) in ("Cc", "Cn", "Co") for character in sample)
    blanks = sum(sample.count(character) for character in "\t\n\r\f")
    if unprintable - blanks > UNPRINTABLE_SHARE_MAX * len(sample):
        raise FileError(Reason.DAMAGED)
    return text
