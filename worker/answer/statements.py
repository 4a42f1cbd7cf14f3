"""The statements of a chunk: sentences, tables' rows, "Label: value" lines and steps, each under its heading."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

from worker.answer.quantities import has_number, has_quantity, has_time, measured, named, units
from worker.answer.sentences import QUOTE_MAX_CHARACTERS, blocks, is_whole, sentences_of, squeeze
from worker.answer.word_forms import terms
from worker.broken_words import whole
from worker.table_rows import as_printed, cells_of, is_row
from worker.vectors import Hit

STATEMENTS_CACHE_CHUNKS = 256
"""Some ten kilobytes each."""
HEADING_CHARACTERS_MAX = 90
HEADING_WORDS_MAX = 12
LABEL_CHARACTERS_MAX = 60
LABEL_WORDS_MAX = 6

_MARKUP = re.compile(r"#{1,6}\s+")
_BULLET = re.compile(r"[•▪‣●○◦*·–-]\s+")  # noqa: RUF001  those of real lists
_STEP = re.compile(r"\(?\d{1,2}[.)]\s+(?=\S)")
_NUMBERED = re.compile(r"(?:\d{1,2}(?:\.\d{1,2})*[.)]?|[A-Z]\.|§\s?\d+)\s+(?=[^\W\d])")
_FIELD = re.compile(r"(?P<label>[^\W_][^:|.!?]*?)\s?[:：]\s+(?P<value>\S.*)", re.DOTALL)  # noqa: RUF001
_APART = re.compile(r"[,;/()]")
_GOES_ON = re.compile(r"(?:It|Its|They|Their|This|These|That|Those|He|She|His|Her|Es|Sie|Er|Il|Elle|Ils|Elles)\b")
"""A sentence that begins so is about what the one before it is about."""
_SENTENCE_STOPS = (".", "!", "…", ";", ":", ",")


class Form(Enum):
    """How a statement stands on its page."""

    SENTENCE = auto()
    FRAGMENT = auto()
    """A line that is no sentence, such as a caption or a footer."""
    FIELD = auto()
    STEP = auto()
    ITEM = auto()
    """An item of a list that is no sentence: what it stands under says what of it."""
    ROW = auto()


@dataclass(frozen=True, slots=True)
class Column:
    """A row's cell under its column's heading, which may be ""."""

    heading: str
    cell: str
    terms: frozenset[int]
    """The heading's."""
    words: frozenset[str]
    """The heading's, for those that are no terms: When, Who."""
    cell_terms: frozenset[int]
    measures: frozenset[str]


@dataclass(frozen=True, slots=True)
class Statement:
    """What a page says at one place.

    `text` is as it is quoted. `terms` are its own, a row's headings' not; `scope` those of what it stands under. A
    row's `name` is its first cell's, a field's its label; `columns` are a row's other cells. `section` numbers the
    headings of the chunk, `run` its lists of steps.
    """

    form: Form
    text: str
    section: int
    terms: frozenset[int]
    scope: frozenset[int]
    measures: frozenset[str]
    has_number: bool
    has_quantity: bool
    has_time: bool
    lead: str = ""
    """The heading or lead-in of an item."""
    name: str = ""
    name_terms: frozenset[int] = frozenset()
    names: frozenset[str] = frozenset()
    """What a name that names a quantity measures: mass for "Weight"."""
    columns: tuple[Column, ...] = ()
    parts: tuple[frozenset[int], ...] = ()
    """The terms of a row's cells, those apart by commas apart."""
    headed: frozenset[int] = frozenset()
    """The terms of a row's headings that its cells have not."""
    reach: frozenset[int] = frozenset()
    """All of these terms."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk's statements in reading order, and all that stands in it and above it."""

    statements: tuple[Statement, ...]
    terms: frozenset[int]


def read_chunk(hit: Hit) -> Chunk:
    """What a chunk says. Remembered, since the same chunks answer many questions."""
    return _read(hit.text, hit.heading, hit.table_headers)


@lru_cache(maxsize=STATEMENTS_CACHE_CHUNKS)
def _read(text: str, heading: str, headers: tuple[str, ...]) -> Chunk:
    found = tuple(_Reader(heading, headers).read([block for block in blocks(whole(text)) if block.strip()]))
    return Chunk(found, terms(heading).union(*(statement.reach for statement in found)))


class _Reader:
    """Goes through a chunk's blocks with the heading, the lead-in and the table's header that hold for the next."""

    def __init__(self, heading: str, headers: Sequence[str]) -> None:
        self._headers = [squeeze(whole(header)) for header in headers]
        self._known = squeeze(heading)
        self._scope = terms(heading)
        self._lead: frozenset[int] = frozenset()
        self._over = squeeze(heading)
        self._section = 0
        self._columns: list[str] = []
        self._above: list[str] = []
        self._before: frozenset[int] = frozenset()

    def read(self, found: Sequence[str]) -> Iterator[Statement]:
        self._columns = self._above = self._header_above(found)
        before = ""
        for block, following, after in zip(found, [*found[1:], ""], [*found[2:], "", ""], strict=False):
            if block in self._headers or (not is_row(before) and _is_header(block, following, after)):
                self._columns = cells_of(block)
            elif is_row(block):
                yield self._row(block)
            elif self._is_heading(block, following):
                self._begin(_MARKUP.sub("", block))
            else:
                yield from self._said(block)
            before = block

    def _header_above(self, found: Sequence[str]) -> list[str]:
        """The header of rows whose table begins before the chunk does: one that does not stand in it."""
        absent = [header for header in self._headers if header not in found]
        return cells_of(absent[-1]) if absent else []

    def _begin(self, heading: str) -> None:
        self._section += 1
        self._scope, self._over = terms(heading), heading
        self._lead, self._before, self._columns = frozenset(), frozenset(), []

    def _is_heading(self, block: str, following: str) -> bool:
        if _MARKUP.match(block) or block == self._known:
            return True
        if not following or len(block) > HEADING_CHARACTERS_MAX or len(block.split()) > HEADING_WORDS_MAX:
            return False
        if block.endswith(_SENTENCE_STOPS) or _field(block) or block[0].islower() or _BULLET.match(block):
            return False
        if _STEP.match(block) and not _NUMBERED.match(block):
            return False
        return self._is_said(following) or (len(following) <= HEADING_CHARACTERS_MAX and block.endswith("?"))

    def _is_said(self, block: str) -> bool:
        """Whether a block is what may stand under a heading."""
        is_listed = _STEP.match(block) or _BULLET.match(block)
        return bool(is_row(block) or is_whole(block) or _field(block) or is_listed or block in self._headers)

    def _said(self, block: str) -> Iterator[Statement]:
        if _STEP.match(block):
            yield self._made(Form.STEP, block, self._scope | self._lead)
            return
        is_item = _BULLET.match(block) is not None
        for part in _fields_apart(block):
            if (field := _field(part)) and len(part) <= QUOTE_MAX_CHARACTERS:
                yield self._made(Form.FIELD, part, self._scope | self._lead, name=field["label"])
            elif is_item and not is_whole(part):
                yield self._made(Form.ITEM, sentences_of(part)[-1], self._scope | self._lead, lead=self._over)
            else:
                yield from map(self._sentence, sentences_of(part))

    def _sentence(self, sentence: str) -> Statement:
        if not _GOES_ON.match(sentence):
            self._before = frozenset()
        form = Form.SENTENCE if is_whole(sentence) else Form.FRAGMENT
        made = self._made(form, sentence, self._scope | self._lead | self._before)
        self._before |= made.terms
        if sentence.endswith(":"):
            self._lead, self._over = made.terms, sentence
        return made

    def _row(self, block: str) -> Statement:
        cells = cells_of(block)
        headings = next(
            (names for names in (self._columns, self._above) if len(names) == len(cells)), [""] * len(cells)
        )
        first = next((place for place, cell in enumerate(cells) if cell), 0)
        columns = tuple(
            _column(heading, cell)
            for place, (heading, cell) in enumerate(zip(headings, cells, strict=True))
            if cell and place != first
        )
        scope = self._scope | terms(headings[first])
        return self._made(Form.ROW, squeeze(as_printed(block)), scope, name=cells[first], columns=columns)

    def _made(
        self,
        form: Form,
        text: str,
        scope: frozenset[int],
        *,
        name: str = "",
        lead: str = "",
        columns: tuple[Column, ...] = (),
    ) -> Statement:
        found = terms(text)
        headed = frozenset[int]().union(*(column.terms for column in columns))
        return Statement(
            form=form,
            text=text,
            section=self._section,
            terms=found,
            scope=scope,
            measures=measured(text).union(*(column.measures for column in columns)),
            has_number=has_number(text),
            has_quantity=has_quantity(text),
            has_time=has_time(text),
            lead=lead,
            name=name,
            name_terms=terms(name) if name else frozenset(),
            names=named(name) if name else frozenset(),
            columns=columns,
            parts=tuple(_parts([name, *(column.cell for column in columns)])) if form is Form.ROW else (),
            headed=headed - found,
            reach=found | scope | headed,
        )


def _is_header(block: str, *below: str) -> bool:
    """Whether a table's first row names its columns, where the reader did not say so: figures begin below it."""
    if not is_row(block) or not all(map(is_row, below)):
        return False
    first, *others = map(cells_of, (block, *below))
    if any(len(cells) != len(first) for cells in others):
        return False
    if not first[0] and all(cells[0] for cells in others):
        return True
    has_figures = [any(any(map(str.isdigit, cells[place])) for cells in others) for place in range(1, len(first))]
    return any(has_figures) and not any(any(map(str.isdigit, cell)) for cell in first)


def _field(block: str) -> re.Match[str] | None:
    """A label and its value, when a block is "Label: value"."""
    found = _FIELD.match(block)
    if found is None or (block[0].isascii() and not block[0].isupper()):
        return None
    label = found["label"]
    return found if len(label) <= LABEL_CHARACTERS_MAX and len(label.split()) <= LABEL_WORDS_MAX else None


def _fields_apart(block: str) -> list[str]:
    """A block, and apart from it each further "Label: value" in it with the sentences that follow."""
    if ": " not in block:
        return [block]
    parts: list[str] = []
    for sentence in sentences_of(block):
        if not parts or _field(sentence):
            parts.append(sentence)
        else:
            parts[-1] += f" {sentence}"
    return parts


def _parts(cells: Iterable[str]) -> Iterator[frozenset[int]]:
    for cell in cells:
        for part in _APART.split(cell):
            if found := terms(part):
                yield found


def _column(heading: str, cell: str) -> Column:
    of_cell = measured(cell)
    if has_number(cell):
        of_cell |= units(heading) or (named(heading) & {"money"} if not of_cell else frozenset())
    return Column(
        heading=heading,
        cell=cell,
        terms=terms(heading),
        words=frozenset(word.casefold() for word in heading.split()),
        cell_terms=terms(cell),
        measures=of_cell,
    )
