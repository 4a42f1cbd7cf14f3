"""Sentences that go on over a page's end: what of the next page belongs to the page before. Pure.

What stands between the two halves, such as a footer, a footnote or a header, stays on its own page.
"""

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from itertools import pairwise

from ingest.chunking.atoms import BULLET, CLOSING, ENDS_A_SENTENCE, SENTENCE_END, is_a_row
from ingest.chunking.running_headers import key_of

PAGE_END = "\f"
"""Stands in a text where it goes over a page's end."""
CONTINUATION_CHARACTERS_MAX = 600
"""Of a sentence on its second page: what is longer is no sentence."""
LINES_MAX = 12
LONG_SHARE = 0.7
"""Of the page's longest line: a shorter one was ended by the author."""
NOTES_LINES_MAX = 15
"""Below a sentence, of its page."""
EDGE_LINES = 3
FOOTNOTE = re.compile(r"\s*(?:[\u00b9\u00b2\u00b3\u2070\u2074-\u2079*\u2020\u2021\u00a7]|\[?\d{1,3}[\])]?\s+\S)")
"""How a footnote's first line begins."""
GOES_ON = (",", "-", "\u2010", "(")
LOWER = re.compile(r"[\W_]*[^\W\d_]")


@dataclass(slots=True)
class Body:
    """A page's lines, without its running ones.

    `over` are the words of the next page that end the last sentence of `lines`, and `notes` the lines that stand
    below that sentence on its own page.
    """

    lines: list[str]
    over: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Its words, to the end of its last sentence."""
        own = "\n".join(self.lines)
        return f"{own}{PAGE_END}{self.over}" if self.over else own


def carry_over(pages: Sequence[Sequence[str]], headings: Sequence[Set[str] | None]) -> list[Body]:
    """The pages, each with the end of its last sentence where that stands on the page that follows it."""
    bodies = [Body(list(lines)) for lines in pages]
    for (body, following), (known, known_below) in zip(pairwise(bodies), pairwise(headings), strict=True):
        _carry(body, following, known, known_below)
    return bodies


def _carry(body: Body, following: Body, known: Set[str] | None, known_below: Set[str] | None) -> None:
    first = _first_line(body.lines, following.lines)
    if first is None or not _may_go_on(following.lines[first], known_below):
        return
    is_lower = _begins_lower(following.lines[first])
    end = _unfinished(body.lines, following.lines, known, is_sure=is_lower)
    if end is None:
        return
    taken = _continuation(following.lines, first, known_below)
    if taken is None:
        return
    body.over, rest = taken
    body.notes, body.lines = body.lines[end:], body.lines[:end]
    following.lines = [*following.lines[:first], *rest]


def _first_line(above: Sequence[str], lines: Sequence[str]) -> int | None:
    """The first line of a page that is not the header that the page before has, too."""
    headers = {key_of(line) for line in _filled(above[: 2 * EDGE_LINES])[:EDGE_LINES]} - {""}
    for number, line in enumerate(lines):
        if line.strip() and not (number < EDGE_LINES and key_of(line) in headers):
            return number
    return None


def _may_go_on(line: str, headings: Set[str] | None) -> bool:
    """Whether a page's first line may be the rest of a sentence."""
    words = line.strip()
    is_heading = headings is not None and words in headings and not _begins_lower(words)
    return not (is_heading or is_a_row(words) or BULLET.match(line))


def _begins_lower(line: str) -> bool:
    letter = LOWER.match(line)
    return letter is not None and letter.group()[-1].islower()


def _unfinished(
    lines: Sequence[str], below: Sequence[str], headings: Set[str] | None, *, is_sure: bool
) -> int | None:
    """Behind which line of a page a sentence is left unfinished; None when its last one ends there.

    `is_sure`: the next page begins in lower case; then a footnote, a figure or a stamp may stand below the sentence.
    """
    end = _without_footers(lines, below)
    if not end:
        return None
    longest = max(map(len, lines))
    for place in _ends_of_parts(lines, end) if is_sure else [end]:
        line = lines[place - 1].strip()
        is_full = line.endswith(GOES_ON) or len(line) >= LONG_SHARE * longest
        if is_full and _is_left_open(line, headings):
            return place
    return end if is_sure and _is_left_open(lines[end - 1], headings) else None


def _without_footers(lines: Sequence[str], below: Sequence[str]) -> int:
    """Behind which line a page ends but for lines that the next page ends with, too."""
    end = len(lines)
    footers = {key_of(line) for line in _filled(below[-2 * EDGE_LINES :])[-EDGE_LINES:]} - {""}
    least = end - 2 * EDGE_LINES
    while end and (not lines[end - 1].strip() or (end > least and key_of(lines[end - 1]) in footers)):
        end -= 1
    return end


def _ends_of_parts(lines: Sequence[str], end: int) -> Iterator[int]:
    """Behind which lines the last parts of a page end, from its end upwards; a footnote is a part."""
    yield end
    for start in range(end - 1, max(0, end - NOTES_LINES_MAX), -1):
        if not lines[start - 1].strip() or FOOTNOTE.match(lines[start]):
            place = start
            while place and not lines[place - 1].strip():
                place -= 1
            if place:
                yield place


def _filled(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if line.strip()]


def _is_left_open(line: str, headings: Set[str] | None) -> bool:
    """Whether a line leaves a sentence unfinished."""
    words = line.strip()
    is_known = headings is not None and words in headings
    return " " in words and not (_ends_a_sentence(words) or is_a_row(words) or is_known)


def _ends_a_sentence(words: str) -> bool:
    return words.rstrip(CLOSING).endswith(ENDS_A_SENTENCE)


def _continuation(lines: Sequence[str], first: int, headings: Set[str] | None) -> tuple[str, list[str]] | None:
    """The rest of the sentence that a page begins with, and the lines that are left; None when it does not end."""
    taken: list[str] = []
    for number in range(first, min(len(lines), first + LINES_MAX)):
        line = lines[number]
        words = line.strip()
        if not words or (number > first and not _may_go_on(line, headings)):
            return ("\n".join(taken), list(lines[number:])) if taken and not words else None
        end = next((at.end() for at in SENTENCE_END.finditer(line) if not line[at.end() :][:1].islower()), None)
        if end is not None or _ends_a_sentence(words):
            end = len(line) if end is None else end
            rest = line[end:]
            over = "\n".join([*taken, line[:end].rstrip()])
            return (over, [*([rest] if rest.strip() else []), *lines[number + 1 :]])
        taken.append(line)
        if sum(map(len, taken)) > CONTINUATION_CHARACTERS_MAX:
            return None
    return None
