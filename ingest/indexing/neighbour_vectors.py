"""A chunk's dense vector, moved towards those around it: a paragraph alone often does not say what it is about."""

from collections.abc import Sequence

NEIGHBOURS = 4
"""Chunks to either side that are around one: two pages or so, and all of a short document."""
SHARE = 0.5
"""Of their mean, against 1 for the chunk's own. Twice as much blurs what the chunk says."""


def in_context(vectors: Sequence[Sequence[float]]) -> Sequence[Sequence[float]]:
    """The vectors of a document's chunks, in order, each with `SHARE` of the mean of it and those around it added.

    Their lengths mean nothing: the index compares angles.
    """
    import numpy

    own = numpy.asarray(vectors, dtype=numpy.float32)
    around = [own[max(0, at - NEIGHBOURS) : at + NEIGHBOURS + 1].mean(axis=0) for at in range(len(own))]
    return own + SHARE * numpy.stack(around)  # type: ignore[return-value]
