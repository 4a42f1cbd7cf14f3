"""Sentences of a page's text: what an extractive answer is made of, and what a citation quotes."""

import re

from worker.broken_words import whole
from worker.table_rows import is_row

QUOTE_MAX_CHARACTERS = 400
SHORT_LINE = 0.7
"""A line shorter than this share of the longest one was ended by the author, not by the page's width."""
NARROW = 30
"""Characters; where no line is longer than so, no line was ended by the page's width."""

_CLOSERS = "\"'”’»」』）)]⁰¹²³⁴⁵⁶⁷⁸⁹⁽⁾"  # noqa: RUF001  brackets, typographic quotes and footnotes' marks of real texts
_STOPS = ".!?…؟۔।॥።"  # noqa: RUF001
_WIDE_STOPS = "。！？｡"  # noqa: RUF001
_END = re.compile(f"[{_STOPS}{_WIDE_STOPS}]++[{re.escape(_CLOSERS)}]*+")
_WHOLE_ENDS = frozenset(_STOPS + _WIDE_STOPS + ";:；：")  # noqa: RUF001
_STARTS_ANEW = re.compile(r"[A-Z0-9\"“(•▪‣*·–-]|[^\x00-\x7f]")  # noqa: RUF001  the dashes and bullets of real lists
_BULLET = re.compile(r"[•▪‣●○◦*·–-]\s+")  # noqa: RUF001
_ITEM = re.compile(r"(?:[•▪‣●○◦*·–-]|\(?(?:\d{1,2}|[a-z]|[ivx]{2,4})[.)])\s")  # noqa: RUF001
_MARKUP = re.compile(r"#{1,6} ")
"""A heading's mark in Markdown."""
_FIELD = re.compile(r"[A-Z0-9\"“(]?[^:.!?]{1,60}: ")
"""The beginning of a line "Label: value"."""
_NUMBER_AT_END = re.compile(r"\d[)%]?$")

_TITLES = """
    mr mrs ms dr prof st fig figs vs approx sec art ch vol eq gen col capt lt sgt rev hon gov sen rep messrs mt
    jan feb mar apr jun jul aug sep sept oct nov dec abs nr bzw ca vgl evtl sog sr sra mme mlle av
"""
"""What is followed by more of its sentence, and a capital letter or a figure at that."""
_BEFORE_FIGURES = frozenset(("no", "nos", "p", "pp", "n", "item", "art", "para", "op"))
_MAYBE_LAST = frozenset(
    ("inc", "ltd", "co", "corp", "llc", "plc", "jr", "bros", "etc", "al", "cf", "est", "usw", "dept")
)
"""What may end a sentence as well."""
_STARTERS = """
    The A An This That These Those It Its He She They We You I In On At For From By With As If When While Where Our
    Their His Her Your There Here However But And Or So Such No Not All Any Each Some Both After Before During Under
    Since Because Although To Der Die Das Ein Eine Es Sie Wir Er Im In Le La Les Un Une Il Elle El Los
"""
"""Words whose capital means that a sentence begins, after an abbreviation that may be the last word of another."""

_TITLE_WORDS = frozenset(_TITLES.split())
_STARTER_WORDS = frozenset(_STARTERS.split())


def split_sentences(text: str) -> list[str]:
    """The sentences of `text` in reading order, each on one line; headings and rows stand alone.

    Broken words are whole in them, and one that goes over a page's end is one.
    """
    return [sentence for block in blocks(whole(text)) for sentence in sentences_of(block)]


def is_whole(sentence: str) -> bool:
    """Whether `sentence` ends as sentences do, unlike headings, footers and rows of tables."""
    return sentence.rstrip(_CLOSERS)[-1:] in _WHOLE_ENDS


def last_sentence(text: str) -> str:
    """The last sentence of a single paragraph."""
    return (sentences_of(squeeze(text)) or [""])[-1]


def squeeze(text: str) -> str:
    """`text` with every run of white space as one space."""
    return " ".join(text.split())


def clip(sentence: str) -> str:
    """The beginning of `sentence`, at most `QUOTE_MAX_CHARACTERS`, cut between words: still words of its page."""
    if len(sentence) <= QUOTE_MAX_CHARACTERS:
        return sentence
    head, _, _ = sentence[: QUOTE_MAX_CHARACTERS + 1].rpartition(" ")
    return head or sentence[:QUOTE_MAX_CHARACTERS]


def blocks(text: str) -> list[str]:
    """Lines joined as far as the page's width broke them; paragraphs, headings, items and rows stay apart."""
    longest = max((len(squeeze(line)) for line in text.splitlines() if not is_row(line)), default=0)
    short = SHORT_LINE * longest if longest > NARROW else NARROW + 1
    lines = [squeeze(line) for line in text.replace("\f", " ").splitlines()]
    found, block = [], ""
    for line, following, after in zip(lines, [*lines[1:], ""], [*lines[2:], "", ""], strict=False):
        block = f"{block} {line}" if block and line else block or line
        if block and (
            not following
            or _is_apart(line, following, short)
            or _begins_fields(following, after)
            or _is_heading(line, following, after, short)
        ):
            found.append(block)
            block = ""
    return found


def _is_apart(line: str, following: str, short: float) -> bool:
    """Whether a line that follows does not go on with what `line` says."""
    if is_row(line) or is_row(following) or (len(line) < short and _STARTS_ANEW.match(following)):
        return True
    if _MARKUP.match(line) or _MARKUP.match(following) or (_FIELD.match(following) and _FIELD.match(line)):
        return True
    return bool(
        _ITEM.match(following) or (_NUMBER_AT_END.search(line, len(line) - 2) and _is_row_like(line, following))
    )


def _begins_fields(following: str, after: str) -> bool:
    """Whether what follows is the first of several fields, which a heading is printed right above."""
    return bool(_STARTS_ANEW.match(following) and _FIELD.match(following) and _FIELD.match(after))


def _is_heading(line: str, following: str, after: str, short: float) -> bool:
    """Whether what follows a finished sentence is a line by itself, under which something else begins."""
    return bool(
        len(following) < short
        and is_whole(line)
        and not is_whole(following)
        and _STARTS_ANEW.match(following)
        and _STARTS_ANEW.match(after)
    )


def _is_row_like(line: str, following: str) -> bool:
    """Whether both lines end in a figure and begin anew, as rows of a table do."""
    return bool(_NUMBER_AT_END.search(following, max(0, len(following) - 2)) and _STARTS_ANEW.match(following))


def sentences_of(block: str) -> list[str]:
    """The sentences of a single block; what ends without a stop is the last one."""
    if bullet := _BULLET.match(block):
        block = block[bullet.end() :]
    sentences, start = [], 0
    for end in _END.finditer(block):
        after = end.end()
        if after < len(block) and block[after] != " " and end[0][0] not in _WIDE_STOPS:
            continue
        if end[0] == "." and not _ends(block, start, end.start()):
            continue
        sentences.append(block[start : end.end()].strip())
        start = end.end()
    sentences.append(block[start:].strip())
    return [sentence for sentence in sentences if sentence]


def _ends(block: str, start: int, stop: int) -> bool:
    """Whether the full stop at `stop`, before a space, ends the sentence that began at `start`."""
    following = block[stop + 2 : stop + 20].partition(" ")[0]
    if following[:1].islower():
        return False
    word = block[max(start, stop - 20) : stop].rpartition(" ")[2].lstrip("(\"“'[")
    low = word.lower()
    if low in _TITLE_WORDS or (low in _BEFORE_FIGURES and following[:1].isdigit()):
        return False
    if low in _MAYBE_LAST or "." in word or (len(word) == 1 and word.isalpha() and word.isascii()):
        return _is_dotted(word) and following.strip(_CLOSERS + ",") in _STARTER_WORDS
    return not (word.isdigit() and block[start:stop].strip() == word)


def _is_dotted(word: str) -> bool:
    """Whether an abbreviation may be the last word: U.S. and Inc., but not an initial."""
    return len(word) > 1
