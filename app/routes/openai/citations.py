"""An answer's citations as OpenAI's annotations: where each mark [n] stands, and what it points at."""

import re
from collections.abc import Iterable
from urllib.parse import quote

from app.core.contract import Citation
from app.routes.openai.schemas import UrlCitation

_MARK = re.compile(r"\[(\d{1,9})\]")


def annotations(text: str, citations: Iterable[Citation], base_url: str) -> list[UrlCitation]:
    """An annotation for each mark in `text` that a citation belongs to, in the text's order.

    Indices count Unicode code points; the end is exclusive, as in OpenAI's own answers. `base_url` is this service's,
    as its client knows it.
    """
    cited: dict[str, Citation] = {}
    for citation in citations:
        cited.setdefault(str(citation.n), citation)  # others of this number are of the same page
    return [
        UrlCitation(
            start_index=mark.start(),
            end_index=mark.end(),
            url=_url(cited[mark[1]], base_url),
            title=f"{cited[mark[1]].filename}, {_pages(cited[mark[1]])}",
        )
        for mark in _MARK.finditer(text)
        if mark[1] in cited
    ]


def _pages(citation: Citation) -> str:
    """Where a quote stands as people say it: page 3, pages 3-4, page iv (4)."""
    last = citation.last_page or citation.page
    numbers = f"{citation.page}" if last == citation.page else f"{citation.page}-{last}"
    named = f"{citation.page_label} ({numbers})" if citation.page_label else numbers
    return f"page{'' if last == citation.page else 's'} {named}"


def _url(citation: Citation, base_url: str) -> str:
    """The page in the document's file; where the file is not kept here, the document, as a URL is required."""
    base, url = base_url.rstrip("/"), citation.url
    if url is not None and url.startswith(f"{base}/documents/"):
        return url
    if url is None or not url.startswith("/"):
        url = f"/documents/{quote(citation.document_id, safe='')}#page={citation.page}"
    return base + url
