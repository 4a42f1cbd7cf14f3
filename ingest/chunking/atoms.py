"""The smallest parts that a page is split into, and how good it is to split before each."""

import re
from collections.abc import Iterator, Sequence, Set
from enum import IntEnum
from typing import NamedTuple

from worker.table_rows import BAR, is_row

CLOSING = "\"')]\u201d\u2019\u00bb\u00b9\u00b2\u00b3\u2070\u2074\u2075\u2076\u2077\u2078\u2079\u207d\u207e"
"""May stand between a sentence's end and the blank: quotation marks, brackets, and a footnote's mark."""
LATIN_SENTENCE_END = re.compile(rf"[.!?\u2026][{re.escape(CLOSING)}]*\s+")
SENTENCE_END = re.compile(rf"{LATIN_SENTENCE_END.pattern}|[\u3002\uff01\uff1f\u061f\u06d4\u0964]+\s*")
"""As Latin, Chinese, Japanese, Arabic, Urdu and Hindi end theirs."""
ENDS_A_SENTENCE = tuple(".!?:;\u2026\u3002\uff01\uff1f\u061f\u06d4\u0964")
ROW = re.compile(r"(?:\d[\d.,]*[)%\]]{0,2}|\s[\u2014\u2013-])$")
"""A table's row ends with a figure, or with a dash for none."""
ENDS_A_ROW = tuple(".,)%]\u2014\u2013-")
"""Or a digit. Lines that end otherwise, which are most, need no search for a figure."""
BULLET = re.compile(r"\s*(?:[\u2022\u25cf\u25aa\u25e6\u2023*-]|\(?\w{1,3}[.)])\s")
HEADING_CHARACTERS_MAX = 300
"""Of a heading that runs over several lines."""
HEADING_SHAPE = re.compile(r"\s*(?:#{1,6} )?[^\W_a-z].{2,80}(?<![.,;:!?\u3002\uff0c\u2010-])\s*")


class Break(IntEnum):
    """What begins where a page is split; the more, the better."""

    WORD = 0
    LINE = 1
    SENTENCE = 2
    """Or a table's row, or a list's point."""
    BLOCK = 3
    HEADING = 4


class Atom(NamedTuple):
    """The words of a page from `start` to `end`. `heading` is the line, when it is one.

    `binds`: what follows belongs to it, as to a heading or a table's header.
    """

    start: int
    end: int
    breaks: Break
    heading: str = ""
    binds: bool = False


def atoms_of(
    text: str, headings: Set[str] | None, length_max: int, table_headers: Set[str] = frozenset()
) -> list[Atom]:
    """A page's words, nothing but blanks between them, each at most `length_max` characters long.

    `headings` are those of its lines that are headings; None: they are told by their shape. `table_headers` are those
    that name a table's columns.
    """
    atoms: list[Atom] = []
    for start, line, breaks, heading in _lines(text, headings):
        above = atoms[-1] if atoms else None
        if heading and above and _goes_on(above, heading, text[above.end : start]):
            atoms[-1] = Atom(above.start, start + len(line), above.breaks, f"{above.heading} {heading}", binds=True)
        elif heading:
            atoms.append(Atom(start, start + len(line), breaks, heading, binds=True))
        elif BAR in line and is_row(line):
            atoms.append(Atom(start, start + len(line), breaks, binds=line in table_headers))
        elif (LATIN_SENTENCE_END if line.isascii() else SENTENCE_END).search(line) is None:  # as in most lines
            atoms.append(Atom(start, start + len(line), breaks))
        else:
            atoms += _sentences(start, line, breaks)
    if all(atom.end - atom.start <= length_max for atom in atoms):
        return atoms
    return [part for atom in atoms for part in _cut(text, atom, length_max)]


def _goes_on(above: Atom, heading: str, between: str) -> bool:
    """Whether a heading is the next line of the one above."""
    has_room = len(above.heading) + len(heading) < HEADING_CHARACTERS_MAX
    return bool(above.heading) and has_room and between.count("\n") == 1


def _lines(text: str, headings: Set[str] | None) -> Iterator[tuple[int, str, Break, str]]:
    """The lines that are not blank: where each begins, its words, what it begins, and the heading it is, or ""."""
    lines = text.split("\n")
    at = 0
    before, is_apart = "", True
    for number, line in enumerate(lines):
        words = line.strip()
        if words:
            after = lines[number + 1] if number + 1 < len(lines) else ""
            is_heading = (
                _is_known(words, before, headings)
                if headings is not None
                else (is_apart and _is_like_heading(words, after))
            )
            yield at + line.index(words[0]), words, _break(words, before, is_apart, is_heading), words * is_heading
            before = words
        is_apart = not words
        at += len(line) + 1


def _is_known(words: str, before: str, headings: Set[str]) -> bool:
    """Whether a line is one of the headings. One in lower case goes on with the heading above it, or is none."""
    if words not in headings:
        return False
    return not words[:2].islower() or not words[:2].isalpha() or before in headings


def _break(words: str, before: str, is_apart: bool, is_heading: bool) -> Break:
    if is_heading:
        return Break.HEADING
    is_in_table = is_a_row(words) and is_a_row(before)
    if is_apart and not is_in_table:
        return Break.BLOCK
    is_statement = is_in_table or is_row(words) or is_row(before) or BULLET.match(words) is not None
    return Break.SENTENCE if is_statement or _ends_sentence(before) else Break.LINE


def is_a_row(words: str) -> bool:
    """Whether a line is a table's row: by the bars between its cells, or a figure at its end."""
    if BAR in words and is_row(words):
        return True
    may_be_one = words[-1:].isdecimal() or words.endswith(ENDS_A_ROW)
    return may_be_one and ROW.search(words) is not None


def _ends_sentence(words: str) -> bool:
    return words.rstrip(CLOSING).endswith(ENDS_A_SENTENCE)


def _is_like_heading(words: str, after: str) -> bool:
    return len(words) <= 90 and HEADING_SHAPE.fullmatch(words) is not None and not is_a_row(words or after)


def _sentences(start: int, line: str, breaks: Break) -> Iterator[Atom]:
    """A line's sentences, or all of it when it is a table's row."""
    if is_row(line):
        yield Atom(start, start + len(line), breaks)
        return
    first = 0
    for end in (LATIN_SENTENCE_END if line.isascii() else SENTENCE_END).finditer(line):
        yield Atom(start + first, start + end.end(), breaks if first == 0 else Break.SENTENCE)
        first = end.end()
    if first < len(line):
        yield Atom(start + first, start + len(line), breaks if first == 0 else Break.SENTENCE)


def _cut(text: str, atom: Atom, length_max: int) -> Iterator[Atom]:
    """`atom`, or parts of it when it is too long: cut at a blank where there is one."""
    if atom.end - atom.start <= length_max:
        yield atom
        return
    start, breaks = atom.start, atom.breaks
    while atom.end - start > length_max:
        blank = text.rfind(" ", start + length_max // 2, start + length_max)
        end = blank + 1 if blank >= 0 else start + length_max
        yield Atom(start, end, breaks, atom.heading, atom.binds)
        start, breaks = end, Break.WORD
    yield Atom(start, atom.end, breaks, atom.heading, atom.binds)


def overlap_start(text: str, atoms: Sequence[Atom], first: int, overlap: int) -> int:
    """Where a piece that begins with atom `first` may begin already, to share at most `overlap` characters.

    It shares whole sentences or rows; when it begins amid one that is too long, words; nothing across a heading.
    """
    start = atoms[first].start
    if first == 0 or atoms[first].heading or overlap == 0:
        return start
    sentence = line = start
    at = first - 1
    while at >= 0 and not atoms[at].heading and start - atoms[at].start <= overlap:
        line = atoms[at].start
        if atoms[at].breaks >= Break.SENTENCE:
            sentence = line
        at -= 1
    if line < start or atoms[at].heading or atoms[first].breaks >= Break.SENTENCE:
        return sentence if sentence < start else line
    blank = text.find(" ", start - overlap, start)
    return blank + 1 if blank >= 0 else start - overlap
