"""The characters of a PDF's page that a reader of the page sees.

There are countless ways to put words on a page for programs alone: invisible modes, the paper's own colour, a box or
a picture over them, a clip, a layer that is switched off, glyphs without shapes. So the objects are not asked what
they are; the picture is asked what they leave in it: the page is drawn with its words and without them, and a word is
read where the two differ.

One use of words without ink is honest: what OCR read in a scan lies invisible over its picture. Such a word is read
where the picture has something like a word in its place, which a black bar is not.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ingest.reading.pdf.drawn import Drawn, largest_picture, without
from ingest.reading.pdf.ink import Ink, is_like_a_word
from ingest.reading.pdf.look import Box, Look
from ingest.reading.pdf.overlaps import groups_of_overlapping
from ingest.reading.pdf.picture import Picture

DPI = 108
"""A word of six points is nine pixels high."""
INK_SHARE_MIN = 0.03
"""Of a letter's box that its ink must cover: a thin "l" covers a sixth, what a bar leaves of a line a hundredth."""
ANY_INK = 0.001
"""Of another glyph's box, as a full stop's."""
TINY_SHARE = 0.002
"""Of the page's height: 1.7 points on A4. The smallest print of our 10-K filings has 4.5."""
THIN = 0.1
"""Glyphs so many times wider than high, or higher than wide, are drawn to be overlooked. Narrow fonts have 0.5."""
PICTURE_SHARE_MIN = 0.5
"""Of the page's area: a smaller picture is no scan of the page."""
LAST_LATIN = "\u024f"
"""pdfium has shapes of its own for these characters, and few others, where a file only names a font."""


@dataclass(slots=True)
class Glyph:
    """A character that something on the page draws."""

    index: int
    character: str
    box: Box
    drawn: Drawn
    is_seen: bool = False


@dataclass(slots=True)
class Word:
    """Glyphs without a blank between them."""

    glyphs: list[Glyph] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Its characters."""
        return "".join(glyph.character for glyph in self.glyphs)

    @property
    def box(self) -> Box:
        """Around all its glyphs."""
        boxes = [glyph.box for glyph in self.glyphs]
        return min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)


def visible(look: Look, characters: Sequence[tuple[int, str]], suspects: Sequence[range]) -> list[tuple[int, str]]:
    """Those of a page's characters that can be seen, each with its index.

    Only those of `suspects` are looked at; the others are seen.
    """
    wanted = {index for suspect in suspects for index in suspect}
    words = list(_words(look, [one for one in characters if one[0] in wanted]))
    _see(look, words, are_all=not any(character.isalnum() for index, character in characters if index not in wanted))
    hidden = {glyph.index for word in words for glyph in word.glyphs if not glyph.is_seen}
    return [(index, character) for index, character in characters if index not in hidden]


def _words(look: Look, characters: Sequence[tuple[int, str]]) -> Iterator[Word]:
    word = Word()
    before = -1
    for index, character in characters:
        drawn = None if character.isspace() or look.is_made_up(index) else look.drawn(index)
        if word.glyphs and (drawn is None or index != before + 1):
            yield word
            word = Word()
        if drawn is not None:
            word.glyphs.append(Glyph(index, character, look.box(index), Drawn(drawn)))
        before = index
    if word.glyphs:
        yield word


def _see(look: Look, words: Sequence[Word], *, are_all: bool) -> None:
    """Say of each glyph whether it is seen. `are_all`: the page has no other words."""
    legible = [word for word in words if _is_legible(look, word)]
    shown = Picture.of(look.page, DPI, is_grey=False, form=look.form)
    ground = _picture_without(look, {glyph.drawn for word in words for glyph in word.glyphs})
    _mark([glyph for word in legible for glyph in word.glyphs], shown, Ink.between(shown, ground))
    _part_overlapping(look, shown, [word for word in legible if any(glyph.is_seen for glyph in word.glyphs)])
    for word in legible:
        _fill_gaps(word.glyphs)
    unseen = [word for word in legible if not any(glyph.is_seen for glyph in word.glyphs)]
    if unseen and _is_scan(look, words if are_all else ()):
        for word in unseen:
            is_seen = is_like_a_word(ground, shown.place(word.box))
            for glyph in word.glyphs:
                glyph.is_seen = is_seen
    for word in legible:
        boxes = Counter(glyph.box for glyph in word.glyphs)
        for glyph in word.glyphs:
            is_beyond = glyph.character > LAST_LATIN or boxes[glyph.box] > 1  # a ligature's letters have one box
            glyph.is_seen |= is_beyond and _is_only_named(look, glyph)


def _is_scan(look: Look, all_words: Sequence[Word]) -> bool:
    """Whether the page is a picture, in which words may have been read."""
    if all_words and not any(
        glyph.is_seen and glyph.character.isalnum() for word in all_words for glyph in word.glyphs
    ):
        return True
    return largest_picture(look.page) >= PICTURE_SHARE_MIN * _area(look.page_box)


def _is_legible(look: Look, word: Word) -> bool:
    """Whether its glyphs have a size and a shape that can be read, and do not stand on one another."""
    least = TINY_SHARE * (look.page_box[3] - look.page_box[1])
    first = word.glyphs[0]
    if max(first.box[3] - first.box[1], first.box[2] - first.box[0]) < least:  # either: it may run upwards
        return False
    wide, high = look.shape(first.index)
    if not THIN < wide / max(high, 1e-6) < 1 / THIN:
        return False
    centres = [(glyph.box[0] + glyph.box[2], glyph.box[1] + glyph.box[3]) for glyph in word.glyphs]
    way = sum(abs(x - u) + abs(y - v) for (x, y), (u, v) in pairwise(centres)) / 2
    return len(centres) < 3 or way > THIN * (len(centres) - 1) * (first.box[3] - first.box[1])


def _picture_without(look: Look, drawn: set[Drawn]) -> Picture:
    with without(drawn):
        return Picture.of(look.page, DPI, is_grey=False, form=look.form)


def _mark(glyphs: Sequence[Glyph], shown: Picture, ink: Ink) -> None:
    """Glyphs that have left ink are seen."""
    for glyph, share in zip(glyphs, ink.shares(shown, [glyph.box for glyph in glyphs]), strict=True):
        glyph.is_seen = share >= (INK_SHARE_MIN if glyph.character.isalnum() else ANY_INK)


def _fill_gaps(glyphs: Sequence[Glyph]) -> None:
    """A single glyph without ink is seen between two that are: some have next to no shape."""
    for before, glyph, after in zip(glyphs, glyphs[1:], glyphs[2:], strict=False):
        glyph.is_seen |= before.is_seen and after.is_seen


def _part_overlapping(look: Look, shown: Picture, words: Sequence[Word]) -> None:
    """Where words stand on one another, take away one at a time: the ink may be the other's."""
    groups, left = groups_of_overlapping([(word.text, word.box, [g.drawn for g in word.glyphs]) for word in words])
    glyphs = [glyph for word in words for glyph in word.glyphs]
    for glyph in glyphs:
        glyph.is_seen &= glyph.drawn not in left
    for group in groups:
        ink = Ink.between(shown, _picture_without(look, group))
        _mark([glyph for glyph in glyphs if glyph.drawn in group], shown, ink)


def _is_only_named(look: Look, glyph: Glyph) -> bool:
    """Whether it would be seen if the font were here that the file names but does not hold."""
    return glyph.drawn.is_font_missing and look.claims_ink(glyph.index, glyph.drawn.raw)


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])
