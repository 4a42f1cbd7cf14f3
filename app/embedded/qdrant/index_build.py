"""The building of a shard's indexes, in a child process."""

import asyncio
import logging
import sys
from pathlib import Path

log = logging.getLogger(__name__)


async def build_indexes(path: Path) -> bool:
    """Optimize the shard at `path` in a child process; False when that failed."""
    # It gets none of our own streams: outliving us, it would keep them open.
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.embedded.qdrant.optimize", str(path)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, said = await child.communicate()
        if child.returncode:
            log.error(
                "building indexes failed with exit code %s: %s", child.returncode, said.decode(errors="replace")
            )
        return child.returncode == 0
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
