"""Every way to start a server of ours reads HTTP with `app.server.HttpProtocol`: a new way without it fails here."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from uvicorn.config import HTTP_PROTOCOLS
from uvicorn.importer import import_from_string

from app.main import SERVER
from app.server import HttpProtocol
from tests.support import ROOT

NAME = "app.server:HttpProtocol"
FACTORY = "app.main:from_environment"
KINDS = {".py", ".md", ".yml", ".yaml", ".sh", ".toml", ".service", ".cfg", ""}
OTHERS = {".git", ".venv", ".data", "node_modules"}
ELSEWHERE = {
    "CHANGELOG.md": "history",
    "app/main.py": "defines it",
    "tests/unit/test_ways_to_serve.py": "names it",
    "tests/unit/test_promises.py": "quotes README.md",
    "docker-compose.yml": "runs the image, see below",
    "deploy/helm/rag-queue/templates/api.yaml": "runs the image, see below",
}


def files(folder: Path = ROOT) -> Iterator[Path]:
    """What a person wrote."""
    for path in sorted(folder.iterdir()):
        if path.name in OTHERS or path.name.endswith("_cache"):
            continue
        if path.is_dir():
            yield from files(path)
        elif path.is_file() and path.suffix in KINDS:
            yield path


def naming(text: str) -> list[Path]:
    return [path for path in files() if text.encode() in path.read_bytes()]


def parameters() -> Iterator[object]:
    for path in naming(FACTORY):
        name = path.relative_to(ROOT).as_posix()
        if name not in ELSEWHERE:
            yield pytest.param(path, id=name)


@pytest.mark.parametrize("path", list(parameters()))
def test_a_command_of_uvicorns_names_the_protocol(path: Path) -> None:
    """Beside the factory, or as the image does, in the environment."""
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        if FACTORY in line and "import" not in line and not line.lstrip().startswith("#"):
            near = "\n".join(lines[max(number - 2, 0) : number + 3])
            assert NAME in near or f"ENV UVICORN_HTTP={NAME}" in lines, f"{path.name}:{number + 1}"


def test_what_runs_the_image_leaves_it_as_the_image_sets_it() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for service in (services["api"], services["edge_api"]):
        assert service["build"] == "."
        assert "--http" not in service.get("command", ())
        assert "UVICORN_HTTP" not in service["environment"]
    chart = "".join(path.read_text() for path in (ROOT / "deploy/helm/rag-queue/templates").iterdir())
    assert not re.search(r"--http\b|UVICORN_HTTP", chart)
    dockerfile = (ROOT / "Dockerfile").read_text()
    last = dockerfile.rpartition("\nFROM ")[2]
    assert f"\nENV UVICORN_HTTP={NAME}\n" in last


def of_ours() -> Iterator[tuple[str, ast.Call]]:
    for package in ("app", "worker", "ingest"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                    "uvicorn.Config",
                    "uvicorn.run",
                    "Config",
                ):
                    yield path.relative_to(ROOT).as_posix(), node


@pytest.mark.parametrize(("path", "call"), [pytest.param(*one, id=one[0]) for one in of_ours()])
def test_a_server_in_our_code_is_given_the_protocol(path: str, call: ast.Call) -> None:
    assert {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}["http"] == "HttpProtocol"


def test_there_are_two_of_them_and_no_other_kind_of_server() -> None:
    assert {path for path, _ in of_ours()} == {"app/embedded/service.py", "app/embedded/qdrant/__main__.py"}
    others = re.compile(r"\b(?:start_server|create_server|HTTPServer|hypercorn|granian)\b")
    found = [path for package in ("app", "worker", "ingest") for path in (ROOT / package).rglob("*.py")]
    assert not [path for path in found if others.search(path.read_text())]


def test_the_name_is_one_that_uvicorn_takes() -> None:
    assert NAME not in HTTP_PROTOCOLS
    assert import_from_string(NAME) is HttpProtocol
    assert import_module(SERVER).HttpProtocol is HttpProtocol


def test_make_run_is_a_server_in_our_code() -> None:
    assert "exec $(RUN) -m app --ingest" in (ROOT / "Makefile").read_text()
    assert "uvicorn" not in (ROOT / "Makefile").read_text()
