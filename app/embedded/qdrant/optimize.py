"""Build the indexes of one shard: `python -m app.embedded.qdrant.optimize PATH`, a child of the embedded Qdrant.

A process of its own because `EdgeShard.optimize()` keeps Python's global lock until it is done, 7 s for
20,000 points: called in the server, it would stop every read and write for that long.
"""

import os
import sys

import qdrant_edge

NICENESS = 10  # queries go first

if __name__ == "__main__":
    os.nice(NICENESS)
    shard = qdrant_edge.EdgeShard.load(sys.argv[1])
    shard.optimize()
    shard.flush()
    shard.close()
