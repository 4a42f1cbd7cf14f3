"""Which documents a question names: by words of their files' names, such as a company and a year."""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from math import log
from time import monotonic

from worker.runtime.measures import measures

COMMON_SHARE = 0.25
COMMON_MIN = 3
"""A word in more than this share of the names, and in more than so many, tells no document from another."""
PREFIX_MIN = 4
"""Letters of a question's word that may stand for the beginning of a longer word of a name."""
PREFIX_SHARE_MIN = 0.4
"""Of the longer word; a shorter beginning could be that of anything."""
JOINED_MAX = 4
"""Words of a question that a name may write as one."""

KEPT_SECONDS = 60.0
"""How long a new file may go unnamed."""
KEPT_MAX = 256
"""Collections whose names are kept."""

WORD = re.compile(r"[^\W_]+")
YEAR = re.compile(r"(?<!\d)((?:19|20)\d\d)(?!\d)")
FISCAL_YEAR = re.compile(r"fy(\d\d)")
POSSESSIVE = re.compile(r"['\u2019]s\b")
EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,5}$")


@lru_cache(maxsize=1024)
def words_of_name(filename: str) -> tuple[str, ...]:
    """The words of a file's name without its extension: `Acme_2023Q1-10K.pdf` gives Acme, 2023, Q1, 10K."""
    return tuple(_words(EXTENSION.sub("", filename)))


class Names:
    """The names of a collection's files, ready to be looked for in questions."""

    def __init__(self, filenames: Sequence[str]) -> None:
        self._holders: dict[str, list[str]] = defaultdict(list)
        for filename in filenames:
            for word in {word.casefold() for word in words_of_name(filename)}:
                self._holders[word].append(filename)
        self._sorted = sorted(self._holders)
        self._total = len(filenames)

    def named_in(self, question: str) -> dict[str, float]:
        """The names that `question` names, and how well each does: 1 for the best, less for the others.

        None unless the question has a word, other than a number, that tells them from most of the collection's names.
        """
        shares = {word: share for word, share in self._said(question) if share >= PREFIX_SHARE_MIN}
        telling = [word for word in shares if not word.isdigit() and self._tells(word)]
        scores = dict.fromkeys((name for word in telling for name in self._holders[word]), 0.0)
        for word, share in shares.items():
            for name in self._holders[word]:
                if name in scores:
                    scores[name] += share * self._weight(word)
        best = max(scores.values(), default=0.0)
        return {name: score / best for name, score in scores.items()}

    def _said(self, question: str) -> Iterator[tuple[str, float]]:
        """The words of names that `question` says, and how much of each; a whole word comes after its beginnings."""
        words = [word.casefold() for word in _words(POSSESSIVE.sub(" ", question))]
        for beginning in words:
            if len(beginning) >= PREFIX_MIN and beginning.isalpha():
                for word in self._from(beginning):
                    yield word, len(beginning) / len(word)
        years = [f"20{found[1]}" for word in words if (found := FISCAL_YEAR.fullmatch(word))]
        for word in (*_joined(words), *years):
            if word in self._holders:
                yield word, 1.0

    def _from(self, beginning: str) -> Iterator[str]:
        """The words of names that begin so."""
        for place in range(bisect_left(self._sorted, beginning), len(self._sorted)):
            if not self._sorted[place].startswith(beginning):
                return
            yield self._sorted[place]

    def _tells(self, word: str) -> bool:
        return len(self._holders[word]) <= min(self._total - 1, max(COMMON_MIN, COMMON_SHARE * self._total))

    def _weight(self, word: str) -> float:
        """The word's inverse document frequency among the names."""
        return log(1 + self._total / len(self._holders[word]))


class NamesCache:
    """The names of each collection's files, read again every `KEPT_SECONDS`. Safe to share between threads."""

    def __init__(self, read: Callable[[str, str], list[str]]) -> None:
        self._read = read
        self._kept: dict[tuple[str, str], tuple[float, Names]] = {}

    def get(self, tenant: str, collection: str) -> Names:
        """The names, a minute old at most; while one thread reads them anew, the others use the old ones."""
        key, now = (tenant, collection), monotonic()
        expires, names = self._kept.get(key, (0.0, Names(())))
        measures().cache("filenames", is_hit=now < expires)
        if now < expires:
            return names
        self._kept[key] = (now + KEPT_SECONDS, names)
        try:
            names = Names(self._read(tenant, collection))
        except BaseException:
            self._kept.pop(key, None)
            raise
        if len(self._kept) >= KEPT_MAX:
            self._kept.clear()
        self._kept[key] = (now + KEPT_SECONDS, names)
        return names


def _words(text: str) -> list[str]:
    """The words of `text`; a year that is grown together with others (FY2023, 2023Q1) is a word of its own."""
    return [part for word in WORD.findall(text) for part in YEAR.split(word) if part]


def _joined(words: Sequence[str]) -> Iterator[str]:
    """Each word, and each few neighbouring ones written as one."""
    for count in range(1, JOINED_MAX + 1):
        for start in range(len(words) - count + 1):
            yield "".join(words[start : start + count])
