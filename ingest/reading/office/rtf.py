"""Rich text (RTF 1.9.1): a page between page breaks, with headings, tables as rows, footnotes at the page's end.

Read here and not by a library, since none of those that are kept leaves out what is hidden.
"""

import codecs
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ingest.reading.limits import PAGES_MAX
from ingest.reading.office.page_writer import PageWriter, one_line
from ingest.reading.office.sheet import Line, even, header_rows
from ingest.reading.page import Page
from ingest.reading.raised import lowered, raised

TOKEN = re.compile(
    r"\\(?P<word>[a-zA-Z]{1,32})(?P<number>-?\d{1,10})? ?|\\'(?P<hex>[0-9a-fA-F]{2})|\\(?P<sign>[^a-zA-Z])"
    r"|(?P<brace>[{}])|(?P<text>[^\\{}\r\n]+)|[\r\n]+|\\",
    re.DOTALL,
)
SKIPPED = frozenset(
    (
        *("pict", "header", "headerl", "headerr", "headerf", "footer", "footerl", "footerr", "footerf", "ftnsep"),
        *("ftnsepc", "ftncn", "aftnsep", "aftnsepc", "aftncn", "xe", "rxe", "txe", "tc", "tcn", "comment", "private"),
        *("annotation", "filetbl", "listtable", "listoverridetable", "revtbl", "rsidtbl", "nonesttables", "shprslt"),
        *(
            "template",
            "objdata",
            "objclass",
            "objname",
            "fldinst",
            "datafield",
            "sp",
            "sn",
            "sv",
            "author",
            "operator",
        ),
        *("company", "subject", "keywords", "doccomm", "category", "manager", "hlinkbase", "creatim", "revtim"),
        *("printim", "buptim", "bkmkstart", "bkmkend", "generator", "mmathPr"),
    )
)
"""Groups whose words are not shown, or are shown on each page anew."""
TABLES = {"fonttbl": "font", "colortbl": "colour", "stylesheet": "style", "info": "info"}
SIGNS = {
    "tab": "\t",
    "line": "\n",
    "lbr": "\n",
    "emdash": "\u2014",
    "endash": "\u2013",
    "bullet": "\u2022",
    "lquote": "\u2018",
    "rquote": "\u2019",
    "ldblquote": "\u201c",
    "rdblquote": "\u201d",
    "softline": "\n",
    "emspace": " ",
    "enspace": " ",
    "qmspace": " ",
    "zwj": "\u200d",
    "zwnj": "\u200c",
}
ESCAPED = {"~": "\u00a0", "-": "", "_": "\u2011", "\n": "\n", "\r": "\n"}
CODE_PAGES = {
    77: "mac_roman",
    128: "cp932",
    129: "cp949",
    130: "johab",
    134: "gbk",
    136: "cp950",
    161: "cp1253",
    162: "cp1254",
    163: "cp1258",
    177: "cp1255",
    178: "cp1256",
    186: "cp1257",
    204: "cp1251",
    222: "cp874",
    238: "cp1250",
    254: "cp437",
    255: "cp850",
}
"""By a font's character set."""
HEADING_STYLE = re.compile(r"(heading|titre|\u00fcberschrift|kop|rubrik) ?\d|title|titel", re.IGNORECASE)
HALF_POINTS_MIN = 4
"""Smaller letters nobody reads."""
LIGHT = 240
"""Of 255, in each of red, green and blue: white, to the eye."""
BODY, SKIP, SHAPE = "body", "skip", "shape"


@dataclass(slots=True)
class _State:
    """What holds within a group. `mode` says what its words are: the body's, or a table's in the document's head."""

    mode: str = BODY
    code_page: str = "cp1252"
    skipped_after: int = 1
    is_optional: bool = False
    is_hidden: bool = False
    is_deleted: bool = False
    script: int = 0
    ink: int = 0
    ground: int = 0
    half_points: int = 24
    is_in_table: bool = False
    is_heading: bool = False
    is_shaded: bool = False


@dataclass(slots=True)
class _Paragraph:
    """Words, each with whether they are raised (1), lowered (-1) or neither."""

    pieces: list[tuple[int, str]] = field(default_factory=list)

    def add(self, script: int, words: str) -> None:
        """Words, behind those that are there."""
        if self.pieces and self.pieces[-1][0] == script:
            words = self.pieces.pop()[1] + words
        self.pieces.append((script, words))

    def text(self) -> str:
        """The words in plain text."""
        text = ""
        for script, words in self.pieces:
            text += raised(text, words) if script > 0 else lowered(words) if script < 0 else words
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def read(data: bytes) -> tuple[Sequence[Page], str]:
    """The pages, and the title that the document gives itself, or its first heading. Raises nearly anything."""
    reader = _Reader(data.decode("latin-1"))
    reader.run()
    first = next((heading for page in reader.pages for heading in page.headings), "")
    return reader.pages, one_line(reader.title) or first


class _Reader:
    """Takes a document's tokens in their order. No recursion: groups may be deeper than Python's calls."""

    def __init__(self, text: str) -> None:
        self.pages: list[Page] = []
        self.title = ""
        self._text = text
        self._state = _State()
        self._stack: list[tuple[_State, _Paragraph | None]] = []
        self._writer = PageWriter()
        self._paragraph = _Paragraph()
        self._notes: list[str] = []
        self._note = 0
        self._is_in_note = False
        self._code_page = "cp1252"
        self._cell: list[str] = []
        self._row: list[str] = []
        self._rows: list[Line] = []
        self._heads = 0
        self._is_head = False
        self._bytes = b""
        self._left_out = 0
        self._fonts: dict[int, str] = {}
        self._font = 0
        self._colours: list[list[int]] = [[]]
        self._style = 0
        self._style_name = ""
        self._heading_styles: set[int] = set()

    def run(self) -> None:
        """Read all of it, as far as its outermost group."""
        at = 0
        while (token := TOKEN.match(self._text, at)) is not None:
            at = token.end()
            if token.lastgroup != "hex":
                self._decode(token.group("text") or "")
            if (word := token.group("word")) is not None:
                number = int(token.group("number") or 1) if token.group("number") != "0" else 0
                if word == "bin":
                    at += max(0, number)
                self._word(word, number, is_bare=token.group("number") is None)
            elif (brace := token.group("brace")) is not None:
                self._open() if brace == "{" else self._close()
                if brace == "}" and not self._stack:
                    break
            elif (code := token.group("hex")) is not None:
                self._byte(bytes.fromhex(code))
            elif (sign := token.group("sign")) is not None:
                self._sign(sign)
            elif (words := token.group("text")) is not None:
                self._words(words)
        self._end_page()

    def _open(self) -> None:
        self._stack.append((self._state, None))
        self._state = replace(self._state, is_optional=False)
        self._left_out = 0
        self._style, self._style_name = 0, ""

    def _close(self) -> None:
        self._left_out = 0
        if not self._stack:
            return
        self._state, outer = self._stack.pop()
        if outer is not None:  # a footnote ends
            self._notes.append(self._paragraph.text())
            self._paragraph, self._is_in_note = outer, False

    def _sign(self, sign: str) -> None:
        if sign == "*":
            self._state.is_optional = True
        elif sign in "\n\r":
            self._end_paragraph()
        elif not self._leave_out():
            self._say(ESCAPED.get(sign, sign))

    def _words(self, words: str) -> None:
        if self._left_out:
            count = min(self._left_out, len(words))
            self._left_out -= count
            words = words[count:]
        mode = self._state.mode
        if mode == "style":
            self._name_style(words)
        elif mode == "colour":
            self._colours += [[] for _ in range(words.count(";"))]
        elif mode == "title":
            self.title += words
        else:
            self._say(words)

    def _name_style(self, words: str) -> None:
        self._style_name += words
        if ";" in words:
            if HEADING_STYLE.fullmatch(self._style_name.partition(";")[0].strip()):
                self._heading_styles.add(self._style)
            self._style_name = ""

    def _byte(self, byte: bytes) -> None:
        if not self._leave_out():
            self._bytes += byte

    def _leave_out(self) -> bool:
        """Whether a character stands for those that know less than Unicode."""
        is_left_out = self._left_out > 0
        self._left_out -= is_left_out
        return is_left_out

    def _decode(self, words: str) -> None:
        """The bytes before `words`, whose first one may be half of a character of theirs."""
        data, self._bytes = self._bytes, b""
        if not data:
            return
        try:
            text = data.decode(self._state.code_page)
        except UnicodeDecodeError:
            text = (data + words[:1].encode("latin-1")).decode(self._state.code_page, "replace")
            self._left_out = 1 if words else 0
        if self._state.mode == "title":
            self.title += text
        else:
            self._say(text)

    def _say(self, words: str) -> None:
        if self._state.mode == BODY and not self._is_hidden():
            self._paragraph.add(self._state.script, words)

    def _is_hidden(self) -> bool:
        state = self._state
        is_on_white = not state.ground and not state.is_shaded and not state.is_in_table
        is_white = is_on_white and self._is_light(state.ink)
        return state.is_hidden or state.is_deleted or state.half_points < HALF_POINTS_MIN or is_white

    def _is_light(self, colour: int) -> bool:
        parts = self._colours[colour] if 0 <= colour < len(self._colours) else []
        return len(parts) == 3 and min(parts) >= LIGHT

    def _word(self, word: str, number: int, *, is_bare: bool) -> None:
        state = self._state
        self._left_out = 0
        if state.is_optional and word not in TABLES:
            state.is_optional = False
            state.mode = SHAPE if word == "shpinst" and state.mode == BODY else SKIP
        elif word in SKIPPED:
            state.mode = SKIP
        elif word in TABLES:
            state.mode = TABLES[word]
        elif word == "title" and state.mode == "info":
            state.mode = "title"
        elif word == "shptxt" and state.mode == SHAPE:
            state.mode = BODY
        elif state.mode in ("font", "colour", "style"):
            self._of_table(state.mode, word, number)
        elif state.mode == BODY:
            self._of_body(word, number, is_bare=is_bare)
        if word == "ansicpg":
            self._code_page = state.code_page = _known(f"cp{number}" if number != UTF_8 else "utf-8")
        elif word == "u":
            self._unicode(number)
        elif word == "uc":
            state.skipped_after = number

    def _unicode(self, number: int) -> None:
        if self._state.mode == "title":
            self.title += chr(number % 65536)
        else:
            self._say(chr(number % 65536))
        self._left_out = self._state.skipped_after

    def _of_table(self, mode: str, word: str, number: int) -> None:
        """A word of the tables in the document's head."""
        if mode == "font" and word == "f":
            self._font = number
        elif mode == "font" and word == "fcharset":
            self._fonts[self._font] = _known(CODE_PAGES.get(number, self._code_page))
        elif mode == "colour" and word in ("red", "green", "blue"):
            self._colours[-1].append(number)
        elif mode == "style" and word == "s":
            self._style = number
        elif mode == "style" and word == "outlinelevel" and number < OUTLINE_LEVELS:
            self._heading_styles.add(self._style)

    def _of_body(self, word: str, number: int, *, is_bare: bool) -> None:
        state = self._state
        is_on = is_bare or number != 0
        if word in SIGNS:
            self._say(SIGNS[word])
        elif word in BREAKS:
            BREAKS[word](self)
        elif word == "pard":
            state.is_in_table = state.is_heading = state.is_shaded = False
        elif word == "plain":
            state.is_hidden = state.is_deleted = False
            state.script = state.ink = state.ground = 0
            state.half_points = 24
        elif word in ("s", "outlinelevel"):
            is_heading = number in self._heading_styles if word == "s" else number < OUTLINE_LEVELS
            state.is_heading = state.is_heading or is_heading
        elif word in FLAGS:
            setattr(state, FLAGS[word], is_on)
        elif word in NUMBERS:
            setattr(state, NUMBERS[word], number)
        elif word in SCRIPTS:
            state.script = SCRIPTS[word] if is_on else 0
        elif word == "f":
            state.code_page = self._fonts.get(number, self._code_page)

    def _begin_note(self) -> None:
        if self._stack and not self._is_in_note:
            self._stack[-1] = (self._stack[-1][0], self._paragraph)
            self._paragraph, self._is_in_note = _Paragraph(), True

    def _number_note(self) -> None:
        self._note += not self._is_in_note
        if not self._is_hidden():
            self._paragraph.add(1, str(self._note))

    def _end_paragraph(self) -> None:
        if self._is_in_note:
            self._paragraph.add(0, "\n")
            return
        text, self._paragraph = self._paragraph.text(), _Paragraph()
        if self._state.is_in_table:
            self._cell.append(text)
            return
        self._end_table()
        (self._writer.heading if self._state.is_heading else self._writer.text)(text)
        self._writer.gap()

    def _end_cell(self) -> None:
        if not self._is_in_note:
            self._row.append(one_line(" ".join([*self._cell, self._paragraph.text()])))
            self._cell, self._paragraph = [], _Paragraph()

    def _end_row(self) -> None:
        if any(self._row):
            self._rows.append(Line(self._row))
            self._heads += self._is_head and self._heads == len(self._rows) - 1
        self._row = []

    def _begin_row(self) -> None:
        self._is_head = False

    def _mark_head(self) -> None:
        self._is_head = True

    def _end_table(self) -> None:
        if self._rows:
            table = even(self._rows)
            heads = min(self._heads or header_rows(table), len(table) - 1)
            self._writer.table([line.cells for line in table], heads)
        self._rows, self._heads = [], 0

    def _end_page(self) -> None:
        self._state.is_in_table = False
        self._end_paragraph()
        for note in self._notes:
            self._writer.text(note)
        self._notes = []
        if len(self.pages) < PAGES_MAX:
            self.pages.append(self._writer.page())
            self._writer = PageWriter()


BREAKS: dict[str, Callable[[_Reader], None]] = {
    "par": _Reader._end_paragraph,
    "sect": _Reader._end_paragraph,
    "page": _Reader._end_page,
    "cell": _Reader._end_cell,
    "nestcell": _Reader._end_cell,
    "row": _Reader._end_row,
    "nestrow": _Reader._end_row,
    "trowd": _Reader._begin_row,
    "trhdr": _Reader._mark_head,
    "footnote": _Reader._begin_note,
    "chftn": _Reader._number_note,
}
"""Words after which something else begins."""
FLAGS = {"v": "is_hidden", "deleted": "is_deleted", "intbl": "is_in_table"}
NUMBERS = {"cf": "ink", "fs": "half_points", "cb": "ground", "highlight": "ground", "chcbpat": "ground"}
NUMBERS |= {"cbpat": "is_shaded"}
SCRIPTS = {"super": 1, "sub": -1, "nosupersub": 0, "up": 1, "dn": -1}
OUTLINE_LEVELS = 9
"""Of headings; the tenth is the body."""
UTF_8 = 65001


def _known(code_page: str) -> str:
    """A code page that Python has, else that of western Windows."""
    try:
        return codecs.lookup(code_page).name
    except LookupError:
        return "cp1252"
