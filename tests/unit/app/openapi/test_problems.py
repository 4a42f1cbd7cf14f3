"""/docs shows every type of problem that there is, with its status and meaning."""

import re
from http import HTTPStatus
from typing import Any

import pytest
from markdown_it import MarkdownIt

from app.connections import REJECTIONS
from app.core.settings import Settings
from app.main import create_app
from app.problems.table import TABLE
from tests.support import ROOT

ALL: tuple[Any, ...] = (*TABLE, *REJECTIONS)
TYPES = {f"urn:problem:{row.kind}" for row in ALL}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(Settings(redis_url="redis://127.0.0.1:9/0")).openapi()


def test_the_description_is_a_table_of_every_type(document: dict[str, Any]) -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(document["info"]["description"])
    cells = [token.content for token in tokens if token.type == "inline"][-3 * len(TYPES) :]
    shown = list(zip(cells[::3], cells[1::3], cells[2::3], strict=True))
    assert sum(token.type == "tr_open" for token in tokens) == 1 + len(TYPES)
    assert {(kind.strip("`"), status) for kind, status, _ in shown} == {
        (f"urn:problem:{row.kind}", f"{row.status} {HTTPStatus(row.status).phrase}") for row in ALL
    }
    meanings = {kind.strip("`"): meaning for kind, _, meaning in shown}
    for row in ALL:
        assert row.detail in meanings[f"urn:problem:{row.kind}"]


def test_the_type_of_a_problem_is_one_of_them(document: dict[str, Any]) -> None:
    types = document["components"]["schemas"]["Problem"]["properties"]["type"]["enum"]
    assert len(types) == len(TYPES)
    assert set(types) == TYPES


def test_the_code_names_no_other_type() -> None:
    named = {
        name for path in (ROOT / "app").rglob("*.py") for name in re.findall(r"urn:problem:[\w'-]+", path.read_text())
    }
    assert named <= TYPES
