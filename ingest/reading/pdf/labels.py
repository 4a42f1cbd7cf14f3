"""The printed words beside a form's field, which say what is to be written in it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ingest.reading.pdf.look import Box, Look

BLANK = 1.0
"""Of a word's height: a wider gap parts the label from other words of its row."""
FAR = 300.0
"""Points between a label and its field."""
ABOVE = 1.5
"""Of a word's height: so far above its field a label may stand."""
TOUCH = 3.0
"""Points by which a label may reach into its field's box."""
WORDS_MAX = 5_000


@dataclass(frozen=True, slots=True)
class Word:
    """A printed word, and where it stands."""

    text: str
    box: Box

    @property
    def height(self) -> float:
        """In points."""
        return self.box[3] - self.box[1]

    @property
    def middle(self) -> float:
        """How far up the page it stands."""
        return (self.box[1] + self.box[3]) / 2


def words_of(look: Look, characters: Iterable[tuple[int, str]]) -> list[Word]:
    """A page's words, each with the box around its first and last character."""
    found: list[Word] = []
    run: list[tuple[int, str]] = []
    for index, character in characters:
        if not character.isspace() and (not run or index == run[-1][0] + 1):
            run.append((index, character))
            continue
        found += _word(look, run)
        run = [] if character.isspace() else [(index, character)]
        if len(found) >= WORDS_MAX:
            return found
    return found + _word(look, run)


def _word(look: Look, run: Sequence[tuple[int, str]]) -> list[Word]:
    if not run:
        return []
    a, b = look.box(run[0][0]), look.box(run[-1][0])
    box = min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])
    return [Word("".join(character for _, character in run), box)]


def before(words: Sequence[Word], box: Box, fields: Sequence[Box]) -> str:
    """The words to the left of a field, up to the next field or a wide gap; else those above it; or ""."""
    start = max((f[2] for f in fields if _same_row(f, box) and f[2] <= box[0] + TOUCH), default=float("-inf"))
    row = [w for w in _row(words, box) if start - TOUCH <= w.box[0] and w.box[2] <= box[0] + TOUCH]
    found = list(_run(sorted(row, key=lambda w: -w.box[2]), box[0], is_leftwards=True))[::-1]
    return " ".join(word.text for word in found) or _above(words, box)


def after(words: Sequence[Word], box: Box, fields: Sequence[Box]) -> str:
    """The words to the right of a box that is ticked, up to the next box or a wide gap; or ""."""
    end = min((f[0] for f in fields if _same_row(f, box) and f[0] >= box[2] - TOUCH), default=float("inf"))
    row = [w for w in _row(words, box) if w.box[0] >= box[2] - TOUCH and w.box[2] <= end + TOUCH]
    return " ".join(w.text for w in _run(sorted(row, key=lambda w: w.box[0]), box[2], is_leftwards=False))


def _above(words: Sequence[Word], box: Box) -> str:
    near = [
        w
        for w in words
        if -TOUCH <= w.box[1] - box[3] <= ABOVE * w.height and box[0] - TOUCH <= w.box[0] and w.box[0] < box[2]
    ]
    lowest = min((w.middle for w in near), default=0.0)
    row = sorted((w for w in near if abs(w.middle - lowest) < w.height / 2), key=lambda w: w.box[0])
    return " ".join(w.text for w in _run(row, box[0], is_leftwards=False))


def _row(words: Sequence[Word], box: Box) -> list[Word]:
    """The words as high as a field, or as its first line when it has several."""
    inside = [w for w in words if box[1] - TOUCH <= w.middle <= box[3] + TOUCH]
    highest = max((w.middle for w in inside), default=0.0)
    return [w for w in inside if highest - w.middle < w.height / 2] if _is_tall(inside, box) else inside


def _is_tall(words: Sequence[Word], box: Box) -> bool:
    return any(box[3] - box[1] > 2.5 * word.height for word in words)


def _same_row(one: Box, other: Box) -> bool:
    return one != other and min(one[3], other[3]) > max(one[1], other[1])


def _run(words: Iterable[Word], edge: float, *, is_leftwards: bool) -> Iterator[Word]:
    """Those that follow one another without a wide gap, the first of which may stand apart from the field."""
    gap_max = FAR
    for word in words:
        gap = edge - word.box[2] if is_leftwards else word.box[0] - edge
        if gap > gap_max:
            return
        yield word
        edge = word.box[0] if is_leftwards else word.box[2]
        gap_max = BLANK * word.height
