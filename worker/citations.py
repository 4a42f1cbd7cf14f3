"""Citations: marks in an answer, the sources they point at, and the check that a quote stands where it says."""

import re
from collections.abc import Sequence

from app.core.contract import Citation
from worker.index import Hit, terms
from worker.sentences import clip, split_sentences

CLAIM_MAX_CHARACTERS = 2_000
"""How far back a claim may begin: keeps the work linear in an answer of many marks."""

_MARKS = re.compile(r"[ \t]*\[ *\d{1,18}(?: *[,;] *\d{1,18})* *\]")
_NUMBER = re.compile(r"\d+")
_LAYOUT = re.compile(r"[\s\u00ad\u2010-]+")
"""White space and hyphens: a page breaks its lines and words where its width says."""


def cite(text: str, hits: Sequence[Hit]) -> tuple[str, tuple[Citation, ...]]:
    """The answer without marks that point at no source, and a citation for each source that it marks.

    A citation quotes the source's sentence that shares most with what the answer says before the mark. Marks count
    from 1 in the order of `hits`.
    """
    claims: dict[int, list[str]] = {}
    for mark in _MARKS.finditer(text):
        claim = _last_claim(text[: mark.start()])
        for n in _numbers(mark):
            if 1 <= n <= len(hits):
                claims.setdefault(n, []).append(claim)
    cited: dict[int, Citation] = {}
    for n in sorted(claims):
        found = citation(n, hits[n - 1], _best_sentence(hits[n - 1].text, " ".join(claims[n])))
        if found is not None:
            cited[n] = found

    def kept(mark: re.Match[str]) -> str:
        numbers = [n for n in _numbers(mark) if n in cited]
        return " " + "".join(f"[{n}]" for n in numbers) if numbers else ""

    return _MARKS.sub(kept, text).strip(), tuple(cited.values())


def citation(n: int, hit: Hit, quote: str) -> Citation | None:
    """A citation of `hit`, or None when `quote` does not stand in its text."""
    quote = clip(quote)
    if not stands_in(quote, hit.text):
        return None
    return Citation(
        n=n, document_id=hit.document_id, filename=hit.filename, page=hit.page, quote=quote, score=hit.score
    )


def stands_in(quote: str, text: str) -> bool:
    """Whether `text` holds the words of `quote` in a row, white space and hyphens aside."""
    wanted = _LAYOUT.sub("", quote)
    return bool(wanted) and wanted in _LAYOUT.sub("", text)


def _numbers(mark: re.Match[str]) -> list[int]:
    return list(dict.fromkeys(int(number) for number in _NUMBER.findall(mark.group())))


def _last_claim(said: str) -> str:
    """The last sentence before a mark, other marks aside."""
    sentences = split_sentences(_MARKS.sub("", said[-CLAIM_MAX_CHARACTERS:]))
    return sentences[-1] if sentences else ""


def _best_sentence(text: str, claim: str) -> str:
    wanted = terms(claim)
    sentences = split_sentences(text)
    return max(sentences, key=lambda sentence: len(wanted & terms(sentence)), default="")
