"""`make demo`: the whole service on a free port and in a folder of its own, asked a few questions over HTTP."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic, sleep

from app.auth.api_keys import make_key
from app.auth.principals import Role
from app.cli.ask import AskError, ask, show
from app.core.contract import DEFAULT_TENANT
from app.core.services import running

QUESTIONS = (
    "What do I put in the tank to descale?",
    "When is the boathouse open?",
    "When may I book premium economy?",
    "On how many nights was aurora seen in 2025?",
    "What is the membership fee for students?",
    "How many litres does the water tank hold?",
    "How much may a hotel in Tokyo cost?",
)
START_SECONDS_MAX = 120
STOP_SECONDS_MAX = 60


def demo(documents: Path, port: int) -> int:
    """Exit code: 0 when every answer has a citation, else 1."""
    with tempfile.TemporaryDirectory(prefix="rag-demo-") as data_dir:
        key, entry = make_key(
            name="demo", tenant=DEFAULT_TENANT, role=Role.ASK, rate=None
        )  # .env may have set others
        environment = {
            **os.environ,
            "DATA_DIR": data_dir,
            "PORT": "0",
            "LOG_LEVEL": "warning",
            "API_KEYS": str(entry),
        }
        service = subprocess.Popen([sys.executable, "-m", "app", "--ingest", str(documents)], env=environment)  # noqa: S603  our own command
        try:
            url = _wait(service, Path(data_dir))
            cited = [show(question, ask(url, question, key=key)) for question in QUESTIONS]
        except AskError as error:
            print(f"demo: {error}", file=sys.stderr)
            return 1
        finally:
            service.terminate()
            service.wait(STOP_SECONDS_MAX)
    print(f"\n{sum(cited)} of {len(cited)} answers have citations")
    print(f"To ask on a page, with the cited one beside it: make run, then open http://localhost:{port}/")
    return 0 if all(cited) else 1


def _wait(service: subprocess.Popen[bytes], data_dir: Path) -> str:
    """The service's address, once it is ready and its documents are indexed."""
    give_up = monotonic() + START_SECONDS_MAX
    while monotonic() < give_up:
        if service.poll() is not None:
            raise AskError(f"the service ended with exit code {service.returncode}")
        found = running(data_dir)
        if found is not None and found.is_ready:
            return found.http_url
        sleep(0.1)
    raise AskError(f"the service was not ready within {START_SECONDS_MAX} s")
