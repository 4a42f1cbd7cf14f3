"""Which of Qdrant's collections is the index: the one that its name stands for, and the one that is to follow it.

The name is an alias; in an index of an earlier release it is the collection's own. While another embedding model's
vectors are made, a second alias stands for the collection that they go to (`docs/decisions/reembedding.md`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.core.index_notes import EMBEDDING_MODEL, LACKS_VECTORS, noted
from worker.http.qdrant import NotFoundError, QdrantHttp
from worker.vectors import dense_size

FOLLOWING = "-next"
"""Behind the index's name: the alias of the collection that is to follow."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One collection that is, was or is to be the index. `info` is Qdrant's description of it.

    `model` names the embedding model of its vectors, "" when it has none; `dense_size` is their size.
    """

    name: str
    info: Mapping[str, Any]

    @property
    def path(self) -> str:
        """Its place in Qdrant's REST API."""
        return f"/collections/{self.name}"

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What we have noted in it."""
        return noted(self.info)

    @property
    def model(self) -> str:
        """The name of the embedding model; empty for none."""
        return str(self.metadata.get(EMBEDDING_MODEL, ""))

    @property
    def dense_size(self) -> int | None:
        """The size of its vectors; None for BM25 alone."""
        return dense_size(self.info)

    @property
    def lacks_vectors(self) -> bool:
        """Whether some of its chunks were written by somebody who did not have its model."""
        return bool(self.metadata.get(LACKS_VECTORS, False))

    @property
    def points(self) -> int:
        """How many chunks it holds, about."""
        return int(self.info.get("points_count") or 0)


@dataclass(frozen=True, slots=True)
class Generations:
    """The collection that is searched, and the one that is being made to follow it; None where there is none."""

    current: Generation | None = None
    following: Generation | None = None

    def __iter__(self) -> Iterator[Generation]:
        return (each for each in (self.current, self.following) if each is not None)


def aliases_of(http: QdrantHttp) -> dict[str, str]:
    """Every alias with its collection."""
    return {each["alias_name"]: each["collection_name"] for each in http.get("/aliases")["aliases"]}


def names_of(http: QdrantHttp, name: str) -> set[str]:
    """The names of the collections that changes of the index `name` go to, whether they exist or not."""
    aliases = aliases_of(http)
    return {aliases.get(name, name)} | {aliases[alias] for alias in (name + FOLLOWING,) if alias in aliases}


def find_generations(http: QdrantHttp, name: str) -> Generations:
    """The collections of the index `name`. Raises as `QdrantHttp.get` does.

    Of a swap that was cut short, which has deleted a plain collection and not yet given its name away, the one that
    was to follow is the index: it was whole before that.
    """
    aliases = aliases_of(http)
    alias = aliases.get(name + FOLLOWING)
    current, following = find(http, aliases.get(name, name)), find(http, alias) if alias is not None else None
    if current is None:
        return Generations(following)
    return Generations(current, following if following is None or following.name != current.name else None)


def find(http: QdrantHttp, collection: str) -> Generation | None:
    """The collection of that name."""
    try:
        return Generation(collection, http.get(f"/collections/{collection}"))
    except NotFoundError:
        return None
