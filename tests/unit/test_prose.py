"""Every file and every dotted name that docstrings, comments and documents name between backticks exists."""

import ast
import re
import tokenize
from importlib import import_module
from pathlib import Path

import pytest

from tests.support import ROOT

PACKAGES = ("app", "worker", "ingest", "benchmarks", "tests")
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
SOURCES = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]

QUOTED = re.compile(r"`([^`\s]+)`")
PATH = re.compile(rf"(?:{'|'.join((*PACKAGES, 'docs', 'data'))})/[\w./-]*")
DOTTED = re.compile(rf"(?:{'|'.join(PACKAGES)})(?:\.\w+)+")
MODULE_RUN = re.compile(rf"python -m ((?:{'|'.join(PACKAGES)})(?:\.[a-z_]+)*)")


def _prose(path: Path) -> str:
    """A document as it is; of code its docstrings, the strings beneath names, and its comments."""
    text = path.read_text()
    if path.suffix != ".py":
        return text
    strings = [
        node.value.value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    with path.open("rb") as source:
        comments = [token.string for token in tokenize.tokenize(source.readline) if token.type == tokenize.COMMENT]
    return "\n".join([*strings, *comments])


def _exists(dotted: str) -> bool:
    """Whether it is a module, or a name (of a name) in one."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:cut])
        if place.with_suffix(".py").exists() or (place / "__init__.py").exists():
            found: object = import_module(".".join(parts[:cut])) if cut < len(parts) else None
            for name in parts[cut:]:
                fields = getattr(found, "__annotations__", {}) | getattr(found, "model_fields", {})
                if not hasattr(found, name) and name not in fields:
                    return False
                found = getattr(found, name, None)
            return True
    return False


def _missing(path: Path) -> list[str]:
    prose = _prose(path)
    quoted = QUOTED.findall(prose)
    paths = [name for name in quoted if PATH.fullmatch(name)]
    names = [name for name in quoted if DOTTED.fullmatch(name) and not name.endswith(".py")]
    runs = MODULE_RUN.findall(prose)
    wrong = [name for name in paths if not (ROOT / name).exists()]
    return wrong + [name for name in [*names, *runs] if not _exists(name)]


@pytest.mark.parametrize("path", [*DOCUMENTS, *SOURCES], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_prose_names_exists(path: Path) -> None:
    assert _missing(path) == []


def test_a_name_that_is_none_is_found(tmp_path: Path) -> None:
    text = "`app/nowhere.py` and `worker.jobs.nothing`, `app.core.contract.Label`, `python -m app.nowhere`"
    (tmp_path / "x.md").write_text(text)
    assert _missing(tmp_path / "x.md") == ["app/nowhere.py", "worker.jobs.nothing", "app.nowhere"]
