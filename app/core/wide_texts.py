"""Texts of two or four bytes a character, told by their first bytes: by a mark, or by where their zeros stand.

Uploads and the reader ask the same, so that a file is taken in both ways or in neither. Every other text is without
zeros.
"""

import codecs
from collections import Counter

MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""The longer ones first: one begins as a shorter one does."""
ONE_ALPHABET_MIN = 0.5
"""Of the upper bytes: as many are alike where most characters are of one alphabet. Of letters at most a fifth are."""


def wide_encoding(head: bytes) -> str | None:
    """The encoding of a text that begins with `head`, if it is of UTF-16 or UTF-32; None for any other."""
    marked = next((encoding for mark, encoding in MARKS if head.startswith(mark)), None)
    if marked or b"\0" not in head or len(head) < 4:
        return marked
    return _of_four(head) or _of_two(head) or _of_many_signs(head)


def _of_four(head: bytes) -> str | None:
    quarter = len(head) // 4
    zeros = [head[place : 4 * quarter : 4].count(0) for place in range(4)]
    if not zeros[0] and zeros[3] == quarter and zeros[2] > quarter / 2:
        return "utf-32-le"
    return "utf-32-be" if not zeros[3] and zeros[0] == quarter and zeros[1] > quarter / 2 else None


def _of_two(head: bytes) -> str | None:
    """By upper bytes of which most are alike, while the lower ones differ and are no zeros."""
    even, odd = head[0 : len(head) // 2 * 2 : 2], head[1::2]
    for upper, lower, encoding in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if 0 in upper and 0 not in lower and Counter(upper).most_common(1)[0][1] >= ONE_ALPHABET_MIN * len(upper):
            return encoding
    return None


def _of_many_signs(head: bytes) -> str | None:
    """Chinese and Japanese, whose upper bytes differ as much."""
    from chardet import detect  # takes a tenth of a second; only what has zeros is asked

    found = detect(head[: len(head) // 4 * 4], compat_names=False)["encoding"]
    return found if found in ("utf-16-le", "utf-16-be") else None
