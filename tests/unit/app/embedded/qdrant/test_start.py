"""What the embedded Qdrant imports when it starts: its start is a part of the service's."""

import subprocess
import sys

SLOW = {"app.core.settings", "pydantic", "fastapi", "httpx", "numpy", "qdrant_client", "structlog", "redis"}
"""Each costs 20 ms or more, and none is needed to serve."""


def test_it_imports_nothing_slow() -> None:
    code = "import sys, app.embedded.qdrant.__main__; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "app.embedded.qdrant.server" in loaded
    assert not SLOW & set(loaded)
