"""The Dockerfile, read as a list of instructions."""

import json
import re
from typing import NamedTuple

from tests.support import ROOT


class Instruction(NamedTuple):
    """An instruction and what stands behind it, lines joined and comments left out."""

    name: str
    rest: str

    def words(self) -> list[str]:
        """The words of a command in exec form. Raises ValueError for one that a shell would run."""
        _, bracket, words = self.rest.partition("[")
        found: list[str] = json.loads(bracket + words)
        return found


def instructions() -> list[Instruction]:
    """Those of the Dockerfile, in their order."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [Instruction(*line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def command() -> list[str]:
    """What the image runs, when nothing else is said."""
    [found] = [each for each in instructions() if each.name == "CMD"]
    return found.words()


def api_command(address: str, port: int) -> list[str]:
    """The same, listening there: replicas may have the same port on addresses of this machine's own."""
    words = command()
    words[words.index("0.0.0.0")], words[words.index("8000")] = address, str(port)
    return words
