"""A PDF's pages by pdfium: the words that can be seen, paragraphs set apart, and which lines are headings."""

import re
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain, pairwise
from typing import Any, NamedTuple

import pypdfium2
import pypdfium2.raw as pdfium

from ingest.reading.limits import PAGE_CHARACTERS_MAX
from ingest.reading.page import Page
from ingest.reading.page_look import Seen, Wish
from ingest.reading.pdf import attachments, xfa
from ingest.reading.pdf.actual_text import put_aside, put_back
from ingest.reading.pdf.beside import Beside
from ingest.reading.pdf.garbage import is_garbage, is_garbled
from ingest.reading.pdf.layout.arrange import Placed, arranged
from ingest.reading.pdf.look import Look
from ingest.reading.pdf.raised import marked
from ingest.reading.pdf.regroup import is_shattered, regrouped
from ingest.reading.pdf.runs import Run, rejoined
from ingest.reading.pdf.second_look import is_all_seen
from ingest.reading.pdf.slanted import parted
from ingest.reading.pdf.suspicion import suspicious
from ingest.reading.pdf.twice import is_drawn_twice, once
from ingest.reading.plain import clean
from worker.broken_words import whole
from worker.table_rows import is_row as is_in_cells

LARGE = 1.15
"""A heading's height, in that of the page's ordinary line ..."""
BOLD = 1.25
"""... or its weight: pdfium estimates 305 to 400 for the usual and 415 to 685 for the bold fonts of 10-K filings."""
USUAL_WEIGHT, BOLD_WEIGHT = 400, 700
FONT_STYLE = re.compile(rb"(?i)(bold|black|heavy|demi|CMBX)|ital|obli")
GAP = 1.3
"""A paragraph begins after so much more than the usual distance between lines."""
HEADING_CHARACTERS_MAX = 150
TITLE_LARGE = 1.4
"""A title is printed so much larger than the rest of the first page."""

FIGURE_OR_DASH = re.compile(r"[\d)%\u2014\u2013-]")
NOT_AT_A_HEADING_S_END = (",", ";", "-")
HAS_WORD = re.compile(r"[^\W\d_]{2}")
NO_TITLE = re.compile(
    r"(?i)\s*(untitled.*|(microsoft )?(word|powerpoint|excel)\b.*|(document|slide|presentation)\s*\d*"
    r"|.*\.(docx?|pdf|rtf|indd|xlsx?|pptx?|qxd|html?|tex|dvi|txt))\s*"
)
TITLE_CHARACTERS_MAX = 200


class Line(NamedTuple):
    """A line of a page: its words, how its first character stands, in points, and the lesser weight of its ends.

    `foot` is how far up the page its last line stands, and `steps` are those from one to the next: a table's row may
    have several. `table` numbers the page's tables from 1, and is 0 outside.
    """

    text: str
    height: float
    weight: int
    y: float
    foot: float
    table: int = 0
    is_header: bool = False
    steps: tuple[float, ...] = ()
    is_aside: bool = False
    """Whether it does not run as the page does: a watermark, a stamp at the side."""


class PdfiumDocument:
    """A PDF in memory. Raises `pypdfium2.PdfiumError` when pdfium refuses it. Not for several threads."""

    def __init__(self, data: bytes) -> None:
        self._document = pypdfium2.PdfDocument(data)
        self._document.init_forms()
        self.attachments = attachments.count(self._document)
        self.is_xfa_alone = xfa.is_all_there_is(self._document)
        self.page_count: int = len(self._document)
        self._largest = ""
        self._beside = Beside(data, self._document)

    def close(self) -> None:
        """Free its memory."""
        self._beside.close()
        self._document.close()

    def attachment_name(self, number: int) -> str:
        """What attachment `number`, from 0, is called, or ""."""
        return attachments.name(self._document, number)

    def attachment(self, number: int, bytes_max: int) -> bytes | None:
        """The bytes of an attachment; None when they cannot be had, or are more than `bytes_max`."""
        return attachments.data(self._document, number, bytes_max)

    def page(self, number: int) -> Page:
        """Page `number`, from 0, with what stands beside its content. Raises nearly anything."""
        return self._beside.added(number, self._content(number))

    def see(self, wish: Wish) -> Seen:
        """A page as it is shown. Raises nearly anything."""
        from ingest.reading.pdf.page_seen import see  # numpy takes a tenth of a second, and reading does without

        return see(self._document, wish)

    def _content(self, number: int) -> Page:
        lines, is_cut, is_blank = self._lines(number)
        lines, is_lost = _readable(lines)
        own = [line for line in lines if not line.is_aside]
        aside = [line.text for line in lines if line.is_aside]
        if number == 0:
            self._largest = _largest(own)
        text = clean("\n\n".join(filter(None, ("\n".join(_with_gaps(own)), "\n".join(aside)))))[:PAGE_CHARACTERS_MAX]
        if not text.strip():
            return Page("" if is_blank and not is_lost else None)
        headers = tuple(clean(line.text).strip() for line in own if line.is_header)
        return Page(text, tuple(_headings(own)), headers, is_cut=is_cut)

    def may_be_read_otherwise(self, number: int) -> bool:
        """Whether page `number`, from 0, has text for another parser, none of which is hidden."""
        page = self._document[number]
        try:
            with _look_at(page) as (look, count):
                return is_all_seen(look, count)
        finally:
            page.close()

    def title(self) -> str:
        """What the document calls itself, else what is printed largest on its first page, if that was read; or ""."""
        named = " ".join(clean(self._document.get_metadata_value("Title")).split())
        if named and len(named) <= TITLE_CHARACTERS_MAX and HAS_WORD.search(named) and not NO_TITLE.fullmatch(named):
            return named
        return self._largest

    def _lines(self, number: int) -> tuple[list[Line], bool, bool]:
        """The lines that can be seen, whether the page was cut, and whether nothing at all is on it."""
        page = self._document[number]
        try:
            lines, is_cut = self._read(page, number)
            self._beside.glance(page, number)
            return lines, is_cut, not lines and pdfium.FPDFPage_CountObjects(page.raw) == 0
        finally:
            page.close()

    def _read(self, page: Any, number: int) -> tuple[list[Line], bool]:
        """The lines that can be seen, and whether the page was cut."""
        with _look_at(page) as (look, count):
            text = look.text(count) if count <= PAGE_CHARACTERS_MAX else ""
            is_all_on_page = len(text) == count  # else some are off the page, or pdfium lost its way
            characters = [] if is_all_on_page else look.characters(count)
            text = text if is_all_on_page else "".join(character for _, character in characters)
            suspects = [range(min(count, PAGE_CHARACTERS_MAX))]
            if len(text) == count and not is_shattered(text):
                starts = [(first, line, look.box(first)) for first, line in _starts(text)]
                suspects = suspicious(look, starts, number if is_all_on_page else 0)
                if not suspects:
                    runs = [Run(line, range(at, at + len(line)), box) for at, line, box in starts]
                    if is_drawn_twice(look, runs):
                        runs = _runs_of(look, list(once(look, list(enumerate(text)))))
                    return _lines_of(look, runs), False
            replaced = put_aside(look, chain.from_iterable(suspects))
            if not replaced:
                return _seen_lines(look, characters or list(enumerate(text)), suspects), count > PAGE_CHARACTERS_MAX
        with _look_at(page) as (look, count):
            if not put_back(self._document.raw, look, replaced):
                return _seen_lines(look, look.characters(count)), count > PAGE_CHARACTERS_MAX
        with _look_at(page) as (look, count):
            return _seen_lines(look, look.characters(count)), count > PAGE_CHARACTERS_MAX


def _readable(lines: list[Line]) -> tuple[list[Line], bool]:
    """The lines without those that are garbage, none when the page is; and whether the page is."""
    if is_garbage("\n".join(line.text for line in lines)):
        return [], True
    return [line for line in lines if not is_garbled(line.text)], False


@contextmanager
def _look_at(page: Any) -> Iterator[tuple[Look, int]]:
    """The page's characters, and how many there are."""
    words = page.get_textpage()
    try:
        # what the handles point to: ctypes needs a fifth of a call's time to tell that a pointer is one
        of_page, of_words = page.raw.contents, words.raw.contents
        yield Look(of_page, of_words, page.get_bbox(), page.formenv and page.formenv.raw), words.count_chars()
    finally:
        words.close()


def _seen_lines(look: Look, characters: Sequence[tuple[int, str]], suspects: Sequence[range] = ()) -> list[Line]:
    """The lines of those of the page's characters that are seen, by its picture; of `suspects` only, if there are."""
    from ingest.reading.pdf.visible import visible  # numpy takes a tenth of a second, and few documents need it

    seen = visible(look, characters, suspects or [range(characters[-1][0] + 1 if characters else 0)])
    if is_shattered("".join(character for _, character in seen)):
        seen = list(regrouped(look, seen))
    runs = _runs_of(look, seen)
    if is_drawn_twice(look, runs):
        runs = _runs_of(look, list(once(look, seen)))
    return _lines_of(look, runs)


def _runs_of(look: Look, characters: Sequence[tuple[int, str]]) -> list[Run]:
    """The lines of characters that have their indices beside them."""
    runs = []
    for at, line in _starts("".join(character for _, character in characters)):
        indices = [index for index, _ in characters[at : at + len(line)]]
        runs.append(Run(line, indices, look.box(indices[0])))
    return runs


def _lines_of(look: Look, runs: Sequence[Run]) -> list[Line]:
    """The page's lines in the order in which they are read, tables' rows put together; behind them those aside."""
    own, aside = parted(look, runs)
    runs = [marked(look, run) for run in rejoined(look, own)]
    lines = [_line(look, place) for place in arranged(look, runs)]
    return lines + [_line(look, Placed.of(marked(look, run)))._replace(is_aside=True) for run in aside]


def _joined(text: str) -> str:
    """With each pair of surrogates as the one character that it stands for."""
    if text.isprintable():  # as no surrogate is
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")


def _starts(text: str) -> list[tuple[int, str]]:
    """The lines that are not blank, each with the place of its first character that is not blank."""
    starts, at = [], 0
    for line in text.split("\n"):
        if stripped := line.strip():
            starts.append((at + line.index(stripped[0]), stripped))
        at += len(line) + 1
    return starts


def _line(look: Look, place: Placed) -> Line:
    weight = _weight(look, place.first)
    if weight > USUAL_WEIGHT:  # it may be a word only, at the beginning of a paragraph
        weight = min(weight, _weight(look, place.last))
    y = look.baseline(place.first)
    foot = y if place.foot == place.first else look.baseline(place.foot)
    height = place.box[3] - place.box[1]
    return Line(_joined(place.text), height, weight, y, foot, place.table, place.is_header, place.steps)


def _weight(look: Look, index: int) -> int:
    """How heavy a character is, by its font's name, else as pdfium estimates it: upright fonts from their stems."""
    return _weight_by_name(look.font(index)) or look.weight(index) or USUAL_WEIGHT


@lru_cache(maxsize=256)
def _weight_by_name(font: bytes) -> int:
    """0: the name does not tell."""
    named = FONT_STYLE.search(font)
    if not named:
        return 0
    return BOLD_WEIGHT if named.group(1) else USUAL_WEIGHT


def _with_gaps(lines: Sequence[Line]) -> list[str]:
    """The lines' words, with an empty line where a paragraph begins."""
    steps = [abs(line.y - before.foot) for before, line in pairwise(lines)]
    within = chain.from_iterable(line.steps for line in lines)
    usual = statistics.median([step for step in chain(steps, within) if step > 1] or [0])
    texts = [line.text for line in lines[:1]]
    for step, (before, line) in zip(steps, pairwise(lines), strict=True):
        is_apart = step > GAP * usual and not line.table == before.table > 0
        texts += ["", line.text] if is_apart else [line.text]
    return texts


def _headings(lines: Sequence[Line]) -> list[str]:
    """The lines that stand out by size or weight and are shaped like a heading, cleaned as the page's text is."""
    height = _usual([round(line.height, 1) for line in lines], lines)
    weight = _usual([line.weight for line in lines], lines)
    found: list[str] = []
    is_before_figures = False
    for line in reversed(lines):
        is_large = line.height >= LARGE * height
        is_bold = line.weight >= BOLD * weight > 0
        is_label = is_before_figures and not is_large  # of a table's rows
        stands_out = (is_large or is_bold) and not is_label  # few do: the rest is asked of these alone
        if stands_out and not _is_row(line) and _is_shaped_like_heading(line.text):
            found += reversed(clean(line.text).strip().split("\n"))  # its words may be broken
            is_before_figures = False
        else:
            is_before_figures = _ends_with_figure(line.text) or (is_label and len(line.text) < 80)
    return found[::-1]


def _is_row(line: Line) -> bool:
    return line.table > 0 and (line.is_header or is_in_cells(line.text))


def _ends_with_figure(text: str) -> bool:
    return FIGURE_OR_DASH.match(text.rstrip()[-1:]) is not None


def _largest(lines: Sequence[Line]) -> str:
    """The line of a first page that is a title by its size, or ""."""
    usual = _usual([round(line.height, 1) for line in lines], lines)
    line = max(lines, key=lambda line: line.height, default=None)
    if line is None or line.height < TITLE_LARGE * usual or not _is_shaped_like_heading(line.text):
        return ""
    return " ".join(whole(clean(line.text)).split())


def _usual(values: Sequence[float], lines: Sequence[Line]) -> float:
    """The value that most of the page's characters have."""
    counted: dict[float, int] = {}
    for value, line in zip(values, lines, strict=True):
        counted[value] = counted.get(value, 0) + len(line.text)
    return max(counted, key=counted.__getitem__, default=0.0)


def _is_shaped_like_heading(text: str) -> bool:
    return (
        3 <= len(text) <= HEADING_CHARACTERS_MAX
        and not text.endswith(NOT_AT_A_HEADING_S_END)
        and HAS_WORD.search(text) is not None
        and sum(map(str.isdigit, text)) < len(text) / 3
    )
