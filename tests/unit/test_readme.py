"""What README and CONTRIBUTING say of routes, settings, commands and files is so."""

import re

import pytest
from pydantic import SecretStr

from app.core.errors import ErrorCode
from app.core.settings import Settings
from app.main import create_app
from app.problems.table import TABLE
from tests.support import ROOT

README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
PROSE = re.sub(r"```.*?```", "", README, flags=re.S)

NOT_SETTINGS = {
    "SIGTERM",
    "BM25",
    "FOLDER",
    "JOB_ID",
    "BEIR",
    "PDF",
    "HTML",
    "HTTP",
    "JSON",
    "REST",
    "MIT",
    "JWT",
    "ANTHROPIC_API_KEY",
    "HTTPS_PROXY",
    "RQ_JOB_CLASS",
    "RQ_WORKER_CLASS",
    "HTTP_PROXY",
    "NO_PROXY",
}


def test_the_table_of_routes_is_the_applications() -> None:
    table = README.partition("## Every route")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `([A-Z]+) (/\S*)` \|", table, re.M)
    assert len(listed) == len(set(listed))
    paths = create_app(Settings(redis_url=SecretStr("redis://nowhere"))).openapi()["paths"]
    served = {(method.upper(), path) for path, operations in paths.items() for method in operations}
    assert set(listed) == served


def test_every_setting_that_is_named_exists() -> None:
    named = set(re.findall(r"\b([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\b", PROSE)) - NOT_SETTINGS
    assert len(named) > 10
    assert named <= {name.upper() for name in Settings.model_fields}


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for text in (README, CONTRIBUTING):
        assert set(re.findall(r"\bmake ([a-z-]+)\b(?!…)", text)) - {"PYTHON"} <= targets | {"it"}


def test_every_problem_and_code_that_is_named_exists() -> None:
    assert set(re.findall(r"urn:problem:([a-z-]+)", README)) <= {row.kind for row in TABLE}
    assert "index_mismatch" in {code.value for code in ErrorCode}


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_every_link_to_a_file_leads_somewhere(text: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (ROOT / target).exists(), target


def test_every_folder_of_the_three_packages_is_explained() -> None:
    folders = {
        path.parent.relative_to(ROOT).as_posix() + "/"
        for package in ("app", "worker", "ingest")
        for path in (ROOT / package).rglob("__init__.py")
    }
    explained = set(re.findall(r"`((?:app|worker|ingest)/[\w/]*)`", CONTRIBUTING))
    missing = {folder for folder in folders if not any(folder.startswith(known) for known in explained)}
    direct = {folder for folder in folders if folder.count("/") <= 2}
    assert not missing
    assert direct <= explained


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs/decisions"
    index = set(re.findall(r"\]\(([\w-]+\.md)\)", (folder / "README.md").read_text()))
    assert index == {path.name for path in folder.glob("*.md")} - {"README.md"}


def test_every_option_of_a_command_that_is_named_exists() -> None:
    sources = "".join((ROOT / package / "__main__.py").read_text() for package in ("app", "worker", "ingest"))
    for option in set(re.findall(r"`(--[a-z-]+)`", PROSE)) - {"--no-proxy-headers"}:  # uvicorn's own
        assert f'"{option}"' in sources, option
