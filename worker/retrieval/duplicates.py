"""Hits that say the same, collapsed. Pure."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from worker.vectors import Hit

SAME_SHARE = 0.9
"""Of the words of two texts; what holds as many in common is the same text, but for a header or a typing error."""

NUMBER = re.compile(r"\d+")
_NO_FIGURE = bytes(set(range(256)) - set(b"0123456789"))


class _Words(dict[str, set[str]]):
    """The words of texts, each cut up when it is first asked for."""

    def __missing__(self, text: str) -> set[str]:
        words = self[text] = set(text.split())
        return words


def distinct(hits: Iterable[Hit]) -> Iterator[Hit]:
    """`hits` without those that are near-duplicates of an earlier one.

    Texts with other numbers are never duplicates: two years' tables differ in nothing else.
    """
    words = _Words()
    kept: defaultdict[bytes, list[str]] = defaultdict(list)
    for hit in hits:
        alike = kept[_figures(hit.text)]  # most texts have nobody there, and are not cut up
        if not any(_say_the_same(words[hit.text], words[text]) and _same_numbers(hit.text, text) for text in alike):
            alike.append(hit.text)
            yield hit


def _figures(text: str) -> bytes:
    """The ASCII figures of `text` in a row: the same in all texts that have the same numbers."""
    return text.encode("ascii", "ignore").translate(None, _NO_FIGURE)


def _say_the_same(words: set[str], others: set[str]) -> bool:
    common = len(words & others)
    return common >= SAME_SHARE * (len(words) + len(others) - common)


def _same_numbers(text: str, other: str) -> bool:
    return NUMBER.findall(text) == NUMBER.findall(other)
