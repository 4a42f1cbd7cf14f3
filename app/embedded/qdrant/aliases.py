"""Aliases: other names of collections, changed several at a time in one step, as Qdrant has them.

DIR/aliases.json    each alias with its collection's name
"""

from collections.abc import Container
from pathlib import Path

import orjson

from app.embedded.qdrant.edge.errors import BadInputError, ConflictError, NotFoundError
from app.embedded.qdrant.edge.values import Json, Object, fields, one_of, required, sequence, text
from app.embedded.qdrant.files import write_json


class Aliases:
    """The aliases of a data directory. `collections` are the names that collections have now."""

    def __init__(self, path: Path, collections: Container[str]) -> None:
        self._path = path
        self._collections = collections
        self._names: dict[str, str] = {}

    def load(self) -> None:
        """Read what was kept; what names no collection any more is left out: a kill came between the two."""
        if self._path.exists():
            kept: dict[str, str] = orjson.loads(self._path.read_bytes())
            self._names = {alias: name for alias, name in kept.items() if name in self._collections}

    def copy_to(self, folder: Path) -> None:
        """Write them as they are now into another data directory."""
        write_json(folder / self._path.name, self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def resolve(self, name: str) -> str:
        """The name of the collection that `name` stands for; a collection's name stands for itself."""
        return self._names.get(name, name)

    def described(self, collection: str | None = None) -> Object:
        """All aliases, or those of one collection, as Qdrant tells them."""
        told = [
            {"alias_name": alias, "collection_name": name}
            for alias, name in sorted(self._names.items())
            if collection in (None, name)
        ]
        return {"aliases": told}

    def change(self, body: Json) -> None:
        """Carry out a request's actions: all of them, or none when one is refused."""
        given = fields(body, "aliases", ("actions",))
        changed = dict(self._names)
        for action in sequence(required(given, "actions", "aliases"), "actions"):
            one_of(
                action,
                "action",
                {
                    "create_alias": lambda asked: self._create(changed, asked),
                    "delete_alias": lambda asked: changed.pop(_named(asked, "alias_name"), None),
                    "rename_alias": lambda asked: self._rename(changed, asked),
                },
            )
        self._save(changed)

    def forget(self, collection: str) -> None:
        """Drop the aliases of a collection that is deleted."""
        if collection in self._names.values():
            self._save({alias: name for alias, name in self._names.items() if name != collection})

    def _create(self, changed: dict[str, str], asked: Json) -> None:
        collection, alias = (
            _named(asked, "collection_name", "alias_name"),
            _named(asked, "alias_name", "collection_name"),
        )
        if collection not in self._collections:
            raise NotFoundError(f"Collection `{collection}` doesn't exist!")
        self._check_free(alias)
        changed[alias] = collection

    def _rename(self, changed: dict[str, str], asked: Json) -> None:
        old = _named(asked, "old_alias_name", "new_alias_name")
        new = _named(asked, "new_alias_name", "old_alias_name")
        self._check_free(new)
        if old not in changed:
            raise NotFoundError(f"Alias `{old}` doesn't exist!")
        changed[new] = changed.pop(old)

    def _check_free(self, alias: str) -> None:
        if not alias:
            raise BadInputError("an alias must have a name")
        if alias in self._collections:
            raise ConflictError(f"Collection `{alias}` already exists!")

    def _save(self, names: dict[str, str]) -> None:
        write_json(self._path, names)
        self._names = names


def _named(asked: Json, name: str, *others: str) -> str:
    """The field `name` of an action, which has `others` beside."""
    return text(required(fields(asked, "action", (name, *others)), name, "action"), name)
