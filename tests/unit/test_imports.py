"""Which way imports run: what the API's process loads, and that the contracts for import-linter miss no part."""

import subprocess
import sys
import tomllib

import pytest

from tests.support import ROOT

OF_THE_WORKER = {"qdrant_client", "qdrant_edge", "openai", "pypdf", "pypdfium2"}
"""Libraries of index, model and documents; none is for the process that answers HTTP. Beside all of LangChain's."""

HEAVY_FOR_A_QUESTION = {
    *("langchain", "langchain_core", "langchain_openai", "openai", "qdrant_client", "httpx", "httpx2", "requests"),
    *("langchain_community", "langchain_qdrant", "numpy", "pypdfium2", "fastapi"),
}
"""Each takes from a tenth of a second to two of CPU to import."""

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


@pytest.mark.parametrize(("metrics", "is_loaded"), [("false", False), ("true", True)])
def test_the_api_imports_what_counts_for_prometheus_only_where_it_counts(metrics: str, is_loaded: bool) -> None:
    code = (
        "import sys, app.main\n"
        "from app.core.settings import Settings\n"
        f"settings = Settings(_env_file=None, redis_url='redis://127.0.0.1:9', metrics={metrics!r})\n"
        "app.main.create_app(settings).openapi()\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ("prometheus_client" in done.stdout.split()) is is_loaded


def test_what_watches_worker_processes_imports_nothing_that_works() -> None:
    code = "import sys, worker.__main__; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "worker.processes" in loaded
    assert not set(loaded) & {*HEAVY_FOR_A_QUESTION, "rq", "redis", "prometheus_client", "uvicorn"}


@pytest.mark.parametrize("url", ["", "sqlite:////tmp/never-made.sqlite3"])
def test_no_start_waits_for_the_chat_logs_library(url: str) -> None:
    code = (
        "import sys, app.main, app.embedded.service\n"
        "from app.core.settings import Settings\n"
        f"settings = Settings(_env_file=None, redis_url='redis://127.0.0.1:9', database_url={url!r} or None)\n"
        "app.main.create_app(settings).openapi()\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = done.stdout.split()
    assert ("app.chat_log.log" in loaded) is bool(url)
    assert not {"sqlalchemy", "alembic", "psycopg"} & set(loaded)


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


def test_a_question_imports_neither_langchain_nor_a_providers_client() -> None:
    """A stock worker forks for each question, and what is imported after that is imported again for the next."""
    code = (
        "import sys, worker.jobs\n"
        "from app.core.settings import Settings\n"
        "from worker.resources import Process, open_answering\n"
        "given = dict(openai_api_key='k', embedding_model='e', qdrant_url='http://127.0.0.1:1')\n"
        "open_answering(Process(Settings(_env_file=None, **given), on_response=print))\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "worker" in loaded
    assert not loaded & HEAVY_FOR_A_QUESTION


def test_the_check_of_the_models_at_a_workers_start_imports_nothing_heavy() -> None:
    code = "import sys, worker.model.check_at_start; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not {name.partition(".")[0] for name in done.stdout.split()} & HEAVY_FOR_A_QUESTION


def test_a_stock_worker_told_of_our_jobs_has_all_that_a_question_needs_before_it_forks() -> None:
    code = "import sys, worker; worker.OwnJob; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "worker.jobs" in done.stdout.split()
