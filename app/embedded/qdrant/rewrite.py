"""Write one shard anew: `python -m app.embedded.qdrant.rewrite PATH`, a child of the embedded Qdrant.

A deleted point's payload and vectors stay in its segment until that is vacuumed, which Edge does for large ones only,
and in Edge's log, which is cut in pieces of 32 MB. In a shard made of the points that are there, nothing else is.
PATH is a copy that nobody else has open; the shard that takes its place is whole or is not there.
"""

import os
import shutil
import sys
from pathlib import Path

import orjson
import qdrant_edge as q

from app.embedded.qdrant.edge.collection_config import edge_config, schema_of
from app.embedded.qdrant.edge.payload_indexes import create_index, index_info
from app.embedded.qdrant.index_build import UNFINISHED
from app.embedded.qdrant.optimize import NICENESS

BATCH = 500
"""Points in one step: some 4 kB each."""


def rewrite(path: Path) -> None:
    """Put a shard of the same points, and their indexes, in the place of the one at `path`."""
    config = orjson.loads((path.parent / "collection.json").read_bytes())["config"]
    made, old = path.with_name(path.name + UNFINISHED), q.EdgeShard.load(str(path))
    new = q.EdgeShard.create(str(made), edge_config(config))
    for field, info in old.info().payload_schema.items():
        described = index_info(info)
        body = {"field_name": field, "field_schema": described.get("params", described["data_type"])}
        new.update(create_index(body, schema_of(config)).operation)
    offset = None
    while True:
        found, offset = old.scroll(q.ScrollRequest(limit=BATCH, offset=offset, with_payload=True, with_vector=True))
        if found:
            points = [q.Point(point.id, point.vector or {}, point.payload) for point in found]
            new.update(q.UpdateOperation.upsert_points(points))
        if offset is None:
            break
    new.optimize()
    new.flush()
    new.close()
    old.close()
    shutil.rmtree(path)
    made.rename(path)


if __name__ == "__main__":
    os.nice(NICENESS)
    rewrite(Path(sys.argv[1]))
