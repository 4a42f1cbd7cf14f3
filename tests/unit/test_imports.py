"""Which way imports run: what the API's process loads, and that the contracts for import-linter miss no part."""

import subprocess
import sys
import tomllib

import pytest

from tests.support import ROOT

OF_THE_WORKER = {"qdrant_client", "qdrant_edge", "openai", "pypdf", "pypdfium2"}
"""Libraries of index, model and documents; none is for the process that answers HTTP. Beside all of LangChain's."""

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
PARTS_OF_THE_API = {
    f"app.{path.stem}"
    for path in (ROOT / "app").iterdir()
    if (path.suffix == ".py" or (path / "__init__.py").exists()) and path.stem not in ("__init__", "core")
}


def test_the_api_holds_neither_index_nor_model_nor_documents_library() -> None:
    code = "import sys, app.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    roots = {name.partition(".")[0] for name in loaded}
    assert "fastapi" in roots
    assert not roots & OF_THE_WORKER
    assert not [name for name in roots if name.startswith("langchain")]


@pytest.mark.parametrize("package", ["worker", "ingest"])
def test_of_the_api_only_the_kernel_may_be_imported(package: str) -> None:
    forbidden = {
        module
        for contract in CONTRACTS
        if contract["type"] == "forbidden" and contract["source_modules"] == [package]
        for module in contract["forbidden_modules"]
    }
    assert forbidden >= PARTS_OF_THE_API


def test_the_api_may_import_neither_worker_nor_ingest() -> None:
    [contract] = [one for one in CONTRACTS if one["type"] == "forbidden" and one["source_modules"] == ["app"]]
    assert {"worker", "ingest"} <= set(contract["forbidden_modules"])
