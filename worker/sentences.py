"""Sentences of a page's text: what an extractive answer is made of, and what a citation quotes."""

import re

QUOTE_MAX_CHARACTERS = 400
SHORT_LINE = 0.7
"""A line shorter than this share of the longest one was ended by the author, not by the page's width."""

_ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|No|Nos|Fig|vs|etc|approx|Inc|Ltd|Co|Corp|e\.g|i\.e))\.$"
)
_END = re.compile(r"[.!?。！？]+[\"'”’)\]]*(?=\s|$)|[。！？]+")  # noqa: RUF001  full-width stops of CJK texts
_END_OF_ALL = re.compile(r"[.!?;:。！？][\"'”’)\]]*$")  # noqa: RUF001
_STARTS_ANEW = re.compile(r"[A-Z0-9\"“(•▪‣*·–-]|[^\x00-\x7f]")  # noqa: RUF001  the dashes and bullets of real lists
_BULLET = re.compile(r"^[•▪‣*·–-]\s+")  # noqa: RUF001


def split_sentences(text: str) -> list[str]:
    """The sentences of `text` in reading order, each on one line with single spaces; headings stand alone."""
    return [sentence for block in _blocks(text) for sentence in _sentences_of(block)]


def is_whole(sentence: str) -> bool:
    """Whether `sentence` ends as sentences do, unlike headings, footers and rows of tables."""
    return bool(_END_OF_ALL.search(sentence))


def squeeze(text: str) -> str:
    """`text` with every run of white space as one space."""
    return " ".join(text.split())


def clip(sentence: str) -> str:
    """The beginning of `sentence`, at most `QUOTE_MAX_CHARACTERS`, cut between words: still words of its page."""
    if len(sentence) <= QUOTE_MAX_CHARACTERS:
        return sentence
    head, _, _ = sentence[: QUOTE_MAX_CHARACTERS + 1].rpartition(" ")
    return head or sentence[:QUOTE_MAX_CHARACTERS]


def _blocks(text: str) -> list[str]:
    """Lines joined as far as the page's width broke them; a paragraph's or a heading's end keeps blocks apart."""
    lines = [line.strip() for line in text.splitlines()]
    width = max((len(line) for line in lines), default=0)
    blocks: list[list[str]] = [[]]
    for line, following in zip(lines, [*lines[1:], ""], strict=False):
        blocks[-1].append(line)
        ended_early = len(line) < SHORT_LINE * width and _STARTS_ANEW.match(following)
        if not following or ended_early or _BULLET.match(following):
            blocks.append([])
    return [joined for block in blocks if (joined := squeeze(" ".join(block)))]


def _sentences_of(block: str) -> list[str]:
    block = _BULLET.sub("", block)
    sentences, start = [], 0
    for end in _END.finditer(block):
        candidate = block[start : end.end()]
        if _ABBREVIATION.search(candidate) and end.end() < len(block):
            continue
        sentences.append(candidate.strip())
        start = end.end()
    rest = block[start:].strip()
    return [*filter(None, sentences), rest] if rest else [*filter(None, sentences)]
