"""What a page's fields and notes say, as lines of its text: "Name of the applicant: Ada Example"."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pypdfium2.raw as pdfium

from ingest.reading.pdf.annotations import Annotation
from ingest.reading.plain import clean

LABEL_CHARACTERS_MAX = 100
"""A tooltip or a field's name is not on the page, so it is no place for more than a label."""
NOTE_LABEL_SIGNS = (":", "_", ".", "\u2026")
"""Ends of printed words that ask for what a note of one line beside them says."""
NO_NAME = re.compile(
    r"(text|list|combo|check)?(box|field|feld|fld|group)?|txt|champ|campo|undefined|untitled|fill|kontrollkästchen"
    r"|radio(button|group)?|group|button|dropdown|combo|list|check|page|row|topmostsubform"
)
"""Names that a program gave, without their figures: "Text12", "Check Box 4"."""
NO_LETTER = re.compile(r"[\W\d_]+")
TICKED = "yes"
"""Of a box whose export value is "On" or "1"."""
NO_EXPORT = re.compile(r"(?i)on|off|true|x|choice ?\d*|\W*\d*\W*")
END_OF_LABEL = re.compile(r"[\s:._\u2026]+$")
BLANK = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Statement:
    """Words for a page's text. `printed` are the words of the page beside it, "" for none."""

    label: str
    value: str
    printed: str = ""

    @property
    def text(self) -> str:
        """As a line of text, or several."""
        label = END_OF_LABEL.sub("", self.label)
        if label == self.value:
            return self.value
        return f"{label}: {self.value}" if label else self.value


def statements(notes: Sequence[Annotation], page_text: str) -> list[Statement]:
    """What the page's fields and notes say, in their order. Words beside them count if the page's text has them."""
    printed = BLANK.sub(" ", page_text)
    return [one for note in notes if (one := _statement(note, printed)) is not None and one.value]


def with_statements(text: str, found: Sequence[Statement]) -> tuple[str, set[str]]:
    """A page's text with them, and the lines that are gone.

    One whose label is a printed line stands in its place, one beside other words of a line follows it, and the rest
    stand at the end.
    """
    lines, gone, end = text.split("\n") if text.strip() else [], set[str](), list[str]()
    after: dict[int, list[str]] = {}
    taken: set[int] = set()
    for one in found:
        at = _line_with(lines, one.printed, taken) if one.printed else None
        if at is None:
            end += ["", one.text] if "\n" in one.text else [one.text]
        elif at not in taken and _is_the_label(lines[at], one):
            taken.add(at)
            gone.add(lines[at])
            after.setdefault(at, []).insert(0, one.text)
        else:
            after.setdefault(at, []).append(one.text)
    kept = [part for at, line in enumerate(lines) for part in ([] if at in taken else [line]) + after.get(at, [])]
    return "\n".join([*kept, *([""] if kept and end else []), *end]).strip("\n"), gone


def _statement(note: Annotation, page_text: str) -> Statement | None:
    left, right = (_on(page_text, words) for words in (note.left, note.right))
    if note.kind != pdfium.FPDF_ANNOT_WIDGET:
        return _of_note(note, left)
    if note.is_button:
        return _of_button(note, left, right) if note.is_checked else None
    value = _value(note)
    label = _short(note.tooltip) or left or _name(note.name)
    return Statement(label, value, left)


def _of_note(note: Annotation, left: str) -> Statement:
    words = clean(note.value if note.is_stand_in else note.seen).strip()
    is_answer = "\n" not in words and left.endswith(NOTE_LABEL_SIGNS)
    return Statement(left, words, left) if is_answer else Statement("", words)


def _of_button(note: Annotation, left: str, right: str) -> Statement:
    export = BLANK.sub(" ", clean(note.export)).strip()
    state = TICKED if NO_EXPORT.fullmatch(export) else _short(export)
    label = _short(note.tooltip)
    if note.field_type == pdfium.FPDF_FORMFIELD_RADIOBUTTON:
        name = label or _name(note.name)
        option = right if right and right != name else state
        return Statement(name, option, right) if name else Statement(option, TICKED, right)
    printed = right or left
    return Statement(label or printed or _name(note.name), state, printed)


def _value(note: Annotation) -> str:
    """What is seen of a field; written as the field has it where that is the same."""
    seen = clean(note.seen)
    if note.field_type == pdfium.FPDF_FORMFIELD_LISTBOX:
        return ", ".join(one for one in map(_line, note.options) if note.is_stand_in or one in _line(seen))
    whole = note.options[0] if note.options else note.value
    is_same = "".join(whole.split()) == "".join(note.seen.split())
    return _line(whole if note.is_stand_in or is_same else seen)


def _line(text: str) -> str:
    return BLANK.sub(" ", clean(text)).strip()


def _on(page_text: str, words: str) -> str:
    """These words, if the page's text has them: others may be hidden."""
    line = _line(words)
    return line if line and len(line) <= LABEL_CHARACTERS_MAX and line in page_text else ""


def _short(text: str) -> str:
    line = _line(text)
    return line if len(line) <= LABEL_CHARACTERS_MAX else line[:LABEL_CHARACTERS_MAX].rsplit(" ", 1)[0]


def _name(name: str) -> str:
    """The last part of a field's name, unless a program gave it."""
    own = re.sub(r"\[\d+\]", "", _short(name).replace("_", " ")).rsplit(".", 1)[-1].strip()
    letters = NO_LETTER.sub("", own).casefold()
    return own if len(letters) > 1 and not NO_NAME.fullmatch(letters) else ""


def _line_with(lines: Sequence[str], printed: str, taken: set[int]) -> int | None:
    """The line that is these words, else one that has them; one not taken before another."""
    same = [at for at, line in enumerate(lines) if _line(line) == printed]
    having = [at for at, line in enumerate(lines) if printed in _line(line)]
    return next((at for at in [*same, *having] if at not in taken), next(iter([*same, *having]), None))


def _is_the_label(line: str, one: Statement) -> bool:
    """Whether a line has no other words than a statement's label."""
    words = set(re.findall(r"\w+", one.text.casefold()))
    return _line(line) == one.printed and words.issuperset(re.findall(r"\w+", line.casefold()))
