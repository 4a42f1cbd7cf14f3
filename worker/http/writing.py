"""Requests that change what is in Qdrant, beside those that read."""

from typing import Any

import orjson

from worker.http.qdrant import QdrantHttp


class WritingHttp(QdrantHttp):
    """Qdrant's REST API for writes as well; each may be sent twice, as a read may.

    qdrant-client checks each point of a request with pydantic, which costs more than all the rest of a write.
    """

    def put(self, path: str, body: Any) -> Any:
        """The `result` of a PUT; raises as `post` does."""
        return self._result(path, *self._ask("PUT", path, orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)))

    def patch(self, path: str, body: Any) -> Any:
        """The `result` of a PATCH; raises as `post` does."""
        return self._result(path, *self._ask("PATCH", path, orjson.dumps(body)))

    def delete(self, path: str) -> Any:
        """The `result` of a DELETE; raises as `post` does."""
        return self._result(path, *self._ask("DELETE", path, b""))

    def name(self, index: str, collection: str, *, instead_of: frozenset[str]) -> None:
        """Let the alias `index` stand for `collection`, and no alias of `instead_of` for anything, in one step."""
        actions: list[dict[str, Any]] = [{"delete_alias": {"alias_name": alias}} for alias in sorted(instead_of)]
        actions.append({"create_alias": {"alias_name": index, "collection_name": collection}})
        self.post("/collections/aliases", {"actions": actions})
