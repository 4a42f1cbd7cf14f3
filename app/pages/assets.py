"""The page's static files, under an address that changes with their content: a browser keeps them for good.

One hash names them all, as a folder: so a module finds its neighbours by their plain names. What a module says of
itself stays here: a browser gets its lines of comment empty, so that every other line keeps its number.
"""

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

FOLDER = Path(__file__).parent / "static"
MEDIA_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
HASH_CHARACTERS = 16
COMMENT = re.compile(rb"^ *(?://.*|/\*(?:[^*]|\*(?!/))*\*/)$", re.MULTILINE)
"""Of a module: whole lines. What stands behind code on its line is sent."""
IMPORTED = re.compile(rb'(?:^import|from) "\./(\w+\.js)"', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent, plain and gzipped."""

    media_type: str
    plain: bytes
    gzipped: bytes


@dataclass(frozen=True, slots=True)
class Assets:
    """All of them by name, and the hash of all."""

    digest: str
    files: Mapping[str, Asset]

    def find(self, digest: str, name: str) -> Asset | None:
        """The file, if it is one of this version's: what another version had is not made up."""
        return self.files.get(name) if digest == self.digest else None

    def imports(self, name: str) -> list[str]:
        """All modules that `name` needs, and that those need: a browser would find each behind the one before."""
        found = [name]
        for module in found:  # grows
            found += [other for other in _imported(self.files[module]) if other not in found]
        return found[1:]


def _imported(asset: Asset) -> list[str]:
    return list(dict.fromkeys(match.decode() for match in IMPORTED.findall(asset.plain)))


def _sent(path: Path) -> bytes:
    content = path.read_bytes()
    return COMMENT.sub(lambda found: b"\n" * found[0].count(b"\n"), content) if path.suffix == ".js" else content


@cache
def load() -> Assets:
    """Read the files that come with this package; once."""
    contents = {path.name: _sent(path) for path in sorted(FOLDER.iterdir()) if path.suffix in MEDIA_TYPES}
    whole = sha256()
    for name, content in contents.items():
        whole.update(b"%b %d\n%b" % (name.encode(), len(content), content))
    files = {
        name: Asset(MEDIA_TYPES[Path(name).suffix], content, gzip.compress(content, 9, mtime=0))
        for name, content in contents.items()
    }
    return Assets(whole.hexdigest()[:HASH_CHARACTERS], files)
