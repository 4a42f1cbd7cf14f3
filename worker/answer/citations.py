"""Citations: marks in an answer, the sources they point at, and the check that a quote stands where it says."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from app.core.contract import Citation, page_url
from worker.answer.markup import Scanner
from worker.answer.sentences import clip, is_whole, last_sentence, split_sentences, squeeze
from worker.page_layout import LAYOUT
from worker.table_rows import as_printed, is_row
from worker.vectors import Hit, terms

QUOTED_MIN_CHARACTERS = 20
"""What is shorter may be a name or a term between quotation marks, and is not checked as a quote."""
SENTENCES_CACHE_CHUNKS = 256
"""A few kilobytes each."""

PAGE_END = "\f"
"""In a chunk's text, where it goes over a page's end."""
_BETWEEN_FIGURES = re.compile(r"(?<=\d)[\s|\u00ad\u2010-]+(?=\d)")
"""Two numbers beside one another are no third one."""
_APART = "\0"
_RAISED = "\u00b9\u00b2\u00b3\u2070\u2074-\u207f\u1d43-\u1d5b\u02b0-\u02b8"
_MARKED = re.compile(rf"([^\W{_RAISED}]{{0,40}})([{_RAISED}]+)")
_UNIT_CHARACTERS_MAX = 2
"""A raised figure behind so few letters, or behind a 10, is part of them (m\u00b2); else it is a footnote's mark."""
_EXPONENT = re.compile(r"\^(-?\d+)")
_TO_RAISED = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")
_QUOTED = re.compile(r"“([^“”]+)”|„([^„“”]+)[“”]|«([^«»]+)»|「([^「」]+)」|\"([^\"]+)\"")
_ELLIPSIS = re.compile(r"\s*(?:…|\.\.\.|\[[^\]]*\])\s*")
_WORDS = re.compile(r"\w+")
_APART_FIGURES = re.compile(r"(?<=\d)[^\w.,]+(?=\d)")


PageNumbers = dict[tuple[str, int], int]
"""The number of each page that an answer cites, by document and page: in their order, without gaps."""


@dataclass(frozen=True, slots=True)
class CitedAnswer:
    """An answer fit to be shown, and where its statements stand.

    `grounded`: it has a citation, and every mark that points at a source passed the check. `kept` and `dropped` count
    what the marks say of a source, each once: what stands there, and what does not.
    """

    text: str
    citations: tuple[Citation, ...]
    grounded: bool
    kept: int = 0
    dropped: int = 0


class Sentence(NamedTuple):
    """A sentence and its terms as BM25 sees them."""

    text: str
    terms: frozenset[int]


@lru_cache(maxsize=SENTENCES_CACHE_CHUNKS)
def sentences(text: str) -> tuple[Sentence, ...]:
    """The sentences of a chunk. Remembered, since the same chunks answer many questions."""
    return tuple(Sentence(sentence, terms(sentence)) for sentence in split_sentences(text))


class CitedStream:
    """An answer as it comes, its marks checked and numbered, without links and images; however it is cut.

    The model's marks count `hits` from 1. Shown are numbers of pages by their first appearance, without gaps, since
    clients read [n] as the nth source. A mark holds when the source's sentence that shares most with what is said
    before it, or the words that the answer puts between quotation marks there, stands in the source; others go.
    """

    def __init__(self, hits: Sequence[Hit], question: str = "") -> None:
        self._hits = hits
        self._question = question
        self._scanner = Scanner(self._numbers)
        self._pages: PageNumbers = {}
        self._cited: dict[tuple[int, int], _Cited] = {}
        """By number and source."""
        self._known: dict[tuple[int, str], int] = {}
        """The number for a source and a claim: a model may repeat itself ten thousand times."""
        self._has_failed = False
        self._text = ""
        self._gap = ""
        """White space that came last: an answer neither begins nor ends with any."""

    def feed(self, piece: str, *, final: bool = False) -> str:
        """What of the answer can be shown by now; with `final`, the rest."""
        text = self._gap + "".join(map(str, self._scanner.scan(piece, final=final)))
        text = text if self._text else text.lstrip()
        shown = text.rstrip()
        self._gap = text[len(shown) :]
        self._text += shown
        return shown

    def answer(self) -> CitedAnswer:
        """The whole answer, once its rest was fed."""
        citations = tuple(cited.whole(self._question) for cited in self._cited.values())
        kept = sum(map(bool, self._known.values()))
        grounded = bool(citations) and not self._has_failed
        return CitedAnswer(self._text, citations, grounded, kept=kept, dropped=len(self._known) - kept)

    def _numbers(self, sources: Sequence[int], said: str) -> Sequence[int]:
        claim = last_sentence(said.rstrip().rpartition("\n")[2])
        existing = [n for n in sources if 1 <= n <= len(self._hits)]
        found = [self._number(n, claim) for n in dict.fromkeys(existing)]
        self._has_failed |= not all(found)
        return [*dict.fromkeys(filter(None, found))]

    def _number(self, source: int, claim: str) -> int:
        """The number of the page on which `source` says what is claimed; 0 when it does not."""
        known = self._known.get((source, claim))
        if known is None:
            known = self._known[source, claim] = self._checked(source, claim)
        return known

    def _checked(self, source: int, claim: str) -> int:
        hit = self._hits[source - 1]
        found = _cited(hit, [claim], self._question)
        if found is None:
            return 0
        found = numbered(found, self._pages)
        self._cited.setdefault((found.n, source), _Cited(hit, found)).claims.append(claim)
        return found.n


@dataclass(slots=True)
class _Cited:
    """What is cited of one source on one page, at first, and all that was claimed of it."""

    hit: Hit
    first: Citation
    claims: list[str] = field(default_factory=list)

    def whole(self, question: str) -> Citation:
        """The citation with the words that all claims together rest on, where these stand on that page."""
        again = _cited(self.hit, self.claims, question) if len(self.claims) > 1 else None
        if again is None or again.page != self.first.page:
            return self.first
        return again.model_copy(update={"n": self.first.n})


def _cited(hit: Hit, claims: Sequence[str], question: str) -> Citation | None:
    quote = _quote(hit, claims, question)
    return citation(1, hit, quote) if quote else None


def check(text: str, hits: Sequence[Hit], question: str = "") -> CitedAnswer:
    """The model's whole answer as `CitedStream` shows it."""
    stream = CitedStream(hits, question)
    stream.feed(text, final=True)
    return stream.answer()


def numbered(cited: Citation, pages: PageNumbers) -> Citation:
    """`cited` with the number of its page in `pages`, where that gets the next one if it has none yet."""
    number = pages.setdefault((cited.document_id, cited.page), len(pages) + 1)
    return cited.model_copy(update={"n": number})


def citation(n: int, hit: Hit, quote: str) -> Citation | None:
    """A citation of `hit`, a row quoted as its page has it; None when `quote` does not stand in its text."""
    quote = clip(squeeze(as_printed(quote)) if is_row(quote) else quote)
    if not stands_in(quote, hit.text):
        return None
    page, last_page = _pages(hit, quote)
    return Citation(
        n=n,
        document_id=hit.document_id,
        filename=hit.filename,
        page=page,
        last_page=last_page if last_page != page else None,
        page_label=_label(hit, page, last_page),
        quote=quote,
        score=hit.score,
        url=page_url(hit.document_id, page),
    )


def _pages(hit: Hit, quote: str) -> tuple[int, int]:
    """The page on which `quote` begins, and the one on which it ends."""
    above, _, below = hit.text.partition(PAGE_END)
    if hit.page == hit.last_page or stands_in(quote, above):
        return hit.page, hit.page
    return (hit.last_page if stands_in(quote, below) else hit.page), hit.last_page


def _label(hit: Hit, page: int, last_page: int) -> str:
    """What the document calls these pages; "" when that is their numbers."""
    labels = {
        hit.page: hit.page_label,
        hit.last_page: hit.last_page_label or hit.page_label * (hit.page == hit.last_page),
    }
    if page == last_page or not (labels[page] or labels[last_page]):
        return labels[page]
    return f"{labels[page] or page}-{labels[last_page] or last_page}"


def stands_in(quote: str, text: str) -> bool:
    """Whether `text` holds the words of `quote` in a row, layout aside: white space, hyphens, bars between cells.

    Numbers are whole: 12 does not stand in 412, nor 4122 in "412 2". Marks of footnotes may be left out.
    """
    if not quote.strip():
        return False
    if _holds(quote, text) or _holds(quote, squeeze(text)):  # almost always, and far cheaper
        return True
    if _holds(_plain(quote), _plain(text)):
        return True
    marks = set(_MARKED.findall(quote))
    return marks <= set(_MARKED.findall(text)) and _holds(_plain(_unmarked(quote)), _plain(_unmarked(text)))


def _holds(wanted: str, text: str) -> bool:
    """Whether `wanted` stands in `text`, its first and last number whole."""
    at = text.find(wanted) if wanted else -1
    while at >= 0:
        end = at + len(wanted)
        is_cut = wanted[0].isdecimal() and text[at - 1 : at].isdecimal()
        if not is_cut and not (wanted[-1].isdecimal() and text[end : end + 1].isdecimal()):
            return True
        at = text.find(wanted, at + 1)
    return False


def _plain(text: str) -> str:
    """`text` without layout, and its exponents raised."""
    return LAYOUT.sub("", _BETWEEN_FIGURES.sub(_APART, _raised(text)))


def _raised(text: str) -> str:
    """`text` with 10^6 as 10\u2076, as a model may write it."""
    return _EXPONENT.sub(lambda exponent: exponent[1].translate(_TO_RAISED), text) if "^" in text else text


def _unmarked(text: str) -> str:
    """`text` without the marks of footnotes behind its words and numbers."""
    return _MARKED.sub(lambda marked: marked[0] if _belongs(marked[1]) else marked[1], text)


def _belongs(before: str) -> bool:
    """Whether what is raised behind a word or a number is part of it."""
    return before == "10" or (before.isalpha() and len(before) <= _UNIT_CHARACTERS_MAX)


def _quote(hit: Hit, claims: Sequence[str], question: str) -> str:
    """The words of `hit` that `claims` rest on; "" when the answer quotes what it does not say."""
    seen = f"{hit.text}\n{hit.context}\n{hit.title}\n{hit.heading}\n{hit.filename}\n{question}"
    quoted = [part for claim in claims for part in _quoted(claim)]
    if quoted:
        known = _letters(seen)
        if not all(_holds(_letters(part), known) for part in quoted):
            return ""
    return _best_sentence(hit.text, " ".join(dict.fromkeys(quoted or claims)), question)


def _quoted(claim: str) -> list[str]:
    """The parts of `claim` that stand between quotation marks and are more than a term."""
    passages = ("".join(groups) for groups in _QUOTED.findall(claim))
    parts = (part for passage in passages for part in _ELLIPSIS.split(passage))
    return [part for part in parts if len(part) >= QUOTED_MIN_CHARACTERS]


def _letters(text: str) -> str:
    """Letters and figures alone: a quote may begin in lower case, and end with another stop."""
    return "".join(_WORDS.findall(_APART_FIGURES.sub("_", _raised(_unmarked(text))))).casefold()


def _best_sentence(text: str, claim: str, question: str) -> str:
    wanted, asked = terms(claim), terms(question) if question else frozenset()

    def fit(sentence: Sentence) -> tuple[int, int, bool]:
        return len(sentence.terms & wanted), len(sentence.terms & asked), is_whole(sentence.text)

    best = max(sentences(text), key=fit, default=None)
    return best.text if best else ""
