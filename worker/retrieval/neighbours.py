"""The words around a hit: which chunks stand beside it, and how they are joined. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from worker.vectors import Hit, point_id

BYTES_PER_TOKEN = 4
"""Of UTF-8, about: an English token has four letters, and a Han character is three bytes."""
OVERLAP_MAX = 2_000
"""As many characters neighbouring chunks may share, CHUNK_OVERLAP's limit."""
ANCHOR = 16
"""Characters of a beginning that are looked for at once: few places of a text have them, and a search for them is
hundreds of times as fast as trying every length."""

Sides = tuple[str | None, str | None]


def own_id(hit: Hit, *, tenant: str, collection: str, step: int = 0) -> str:
    """The id of the hit's point, or of the one `step` chunks after it."""
    return point_id(
        tenant=tenant,
        collection=collection,
        document_id=hit.document_id,
        version=hit.version,
        chunk_index=hit.chunk_index + step,
    )


def sides(hit: Hit, *, tenant: str, collection: str) -> Sides:
    """The ids of the points before and after `hit`; None before the first. There may be none after the last."""
    before = own_id(hit, tenant=tenant, collection=collection, step=-1) if hit.chunk_index else None
    return before, own_id(hit, tenant=tenant, collection=collection, step=1)


def with_context(hits: Sequence[Hit], beside: Sequence[Sides], texts: Mapping[str, str], tokens: int) -> list[Hit]:
    """`hits` with their neighbours' `texts` in `context`, the best first, until all sources together have `tokens`.

    A neighbour is given to one hit only, and what a hit says itself is never repeated.
    """
    left = tokens * BYTES_PER_TOKEN - sum(len(hit.text.encode()) for hit in hits)
    texts, joined = dict(texts), []
    for hit, ids in zip(hits, beside, strict=True):
        before, after = (texts.pop(point, "") if point else "" for point in ids)
        wanted = len(before.encode()) + len(after.encode())
        if not wanted or wanted > left:
            joined.append(hit)
            continue
        left -= wanted
        joined.append(replace(hit, context=_joined(_joined(before, hit.text), after)))
    return joined


def _joined(first: str, second: str) -> str:
    """Two neighbouring texts as one, what they share once."""
    if not first or not second:
        return first or second
    size = _shared(first[-OVERLAP_MAX:], second)
    return first + second[size:] if size else f"{first}\n{second}"


def _shared(first: str, second: str) -> int:
    """How many characters at the end of `first` are the beginning of `second`, at most."""
    anchor = second[:ANCHOR]
    at = first.find(anchor)
    while at >= 0:
        if second.startswith(first[at:]):
            return len(first) - at
        at = first.find(anchor, at + 1)
    for size in range(min(len(anchor) - 1, len(first)), 0, -1):  # shorter than the anchor
        if first.endswith(anchor[:size]):
            return size
    return 0
