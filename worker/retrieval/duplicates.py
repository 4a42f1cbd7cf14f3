"""Hits that say the same, collapsed. Pure."""

import re
from collections.abc import Iterable, Iterator

from worker.vectors import Hit

SAME_SHARE = 0.9
"""Of the words of two texts; what holds as many in common is the same text, but for a header or a typing error."""

NUMBER = re.compile(r"\d+")


def distinct(hits: Iterable[Hit]) -> Iterator[Hit]:
    """`hits` without those that are near-duplicates of an earlier one.

    Texts with other numbers are never duplicates: two years' tables differ in nothing else.
    """
    kept: list[tuple[set[str], str]] = []
    for hit in hits:
        words = set(hit.text.split())
        if not any(_say_the_same(words, others) and _same_numbers(hit.text, text) for others, text in kept):
            kept.append((words, hit.text))
            yield hit


def _say_the_same(words: set[str], others: set[str]) -> bool:
    common = len(words & others)
    return common >= SAME_SHARE * (len(words) + len(others) - common)


def _same_numbers(text: str, other: str) -> bool:
    return NUMBER.findall(text) == NUMBER.findall(other)
