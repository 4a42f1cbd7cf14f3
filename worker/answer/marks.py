"""Marks as models write them: [1], [1, 2], [1-3], [^1], [source 1, p. 3], (sources 1 and 2), 【1†source】."""

import re

MARK_MAX_CHARACTERS = 80
RANGE_MAX = 50
"""A longer range is no list of sources."""

_WORD = r"(?:(?:sources?|quellen?|fuentes?|出典)\s*[:#]?\s*)"
_ONE = rf"{_WORD}?\^?\d{{1,18}}(?:\s*[-\u2013]\s*\d{{1,18}})?"
_PAGE = r"(?:,?\s*\b(?:pp?|pages?|seiten?|s)\.?\s*\d{1,6}(?:\s*[-\u2013]\s*\d{1,6})?)"
_LIST = rf"\s*{_ONE}{_PAGE}?(?:\s*(?:[,;&]|and|und|et|y)\s*{_ONE}{_PAGE}?)*+\s*"
_BRACKETED = re.compile(rf"{_LIST}(?:(?::\d+)?†.*)?", re.IGNORECASE)
_PARENTHESISED = re.compile(rf"\((?=s){_LIST}\)", re.IGNORECASE)
_ASIDE = re.compile(rf"{_PAGE}|(?::\d+)?†.*", re.IGNORECASE)
_NUMBERS = re.compile(r"(\d+)(?:\s*[-\u2013]\s*(\d+))?")


def bracketed(label: str) -> tuple[int, ...]:
    """The numbers of the mark that `[label]` is, in order and each once; () when it is no mark."""
    if len(label) > MARK_MAX_CHARACTERS or not _BRACKETED.fullmatch(label):
        return ()
    return _numbers(label)


def parenthesised(text: str, position: int) -> tuple[tuple[int, ...], int] | None:
    """The numbers of a mark like `(source 1)` at `position` and where it ends, or None."""
    found = _PARENTHESISED.match(text, position, position + MARK_MAX_CHARACTERS)
    return (_numbers(found.group()), found.end()) if found else None


def _numbers(mark: str) -> tuple[int, ...]:
    numbers: dict[int, None] = {}
    for first, last in _NUMBERS.findall(_ASIDE.sub("", mark)):
        start = int(first)
        numbers.update(dict.fromkeys(range(start, min(int(last or first), start + RANGE_MAX) + 1)))
    return tuple(numbers)
