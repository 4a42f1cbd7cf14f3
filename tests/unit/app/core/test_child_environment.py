"""What the processes that we start get of our environment."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from app.core.child_environment import QDRANT_KEY_VARIABLE, for_store, for_worker
from app.core.services import Services
from app.core.settings import Settings
from app.embedded.credentials import Credentials
from app.embedded.service import Service
from tests.support import ROOT

NEEDED_BY_ALL = {
    "PATH": "/usr/bin",
    "HOME": "/home/me",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "TMPDIR": "/tmp/me",
    "PYTHONPATH": "/srv",
    "LD_LIBRARY_PATH": "/opt/lib",
    "OMP_NUM_THREADS": "2",
}
NEEDED_BY_WORKERS = {
    "HTTPS_PROXY": "http://proxy:3128",
    "no_proxy": "localhost",
    "SSL_CERT_FILE": "/etc/ca.pem",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
    "NO_COLOR": "1",
    "openai_base_url": "http://127.0.0.1:9/v1",
    **{name.upper(): "a setting" for name in Settings.model_fields if name != "database_url"},
}
THE_APIS = {"DATABASE_URL": "a password", "database_url": "a password"}
NEEDED_BY_NONE = THE_APIS | dict.fromkeys(
    ["AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "ANTHROPIC_API_KEY", "SSH_AUTH_SOCK", "LDAP_PASSWORD", "MY_PATH"], "key"
)
EVERYTHING = NEEDED_BY_ALL | NEEDED_BY_WORKERS | NEEDED_BY_NONE


def environments(monkeypatch: pytest.MonkeyPatch, **given: Any) -> dict[str, dict[str, str]]:
    """What each child of `python -m app` is started with."""
    settings = Settings(redis_url=given.get("redis_url"), qdrant_url=given.get("qdrant_url"))
    secrets = Credentials.new()
    where = {"redis_url": f"redis://:{secrets.valkey_password}@127.0.0.1:1/0", "qdrant_url": "http://127.0.0.1:2"}
    for name, value in EVERYTHING.items():
        monkeypatch.setenv(name, value)
    key = None if settings.qdrant_url else SecretStr(secrets.qdrant_api_key)
    services = Services.model_validate({"pid": 1, "http_url": "http://h", **where, "qdrant_api_key": key})
    service = Service(settings, documents=None)
    found = [*service._stores(services, secrets, 0), *service._workers(services, 0)]
    return {child.name: dict(child._env) for child in found}


def test_stores_get_what_any_program_needs() -> None:
    assert for_store(EVERYTHING) == NEEDED_BY_ALL


def test_workers_get_every_setting_and_what_clients_read() -> None:
    found = for_worker(EVERYTHING, Settings.model_fields, has_packages=False)
    assert found == NEEDED_BY_ALL | NEEDED_BY_WORKERS


def test_workers_get_all_where_a_package_reads_variables_of_its_own() -> None:
    found = for_worker(EVERYTHING, Settings.model_fields, has_packages=True)
    assert found | THE_APIS == EVERYTHING
    assert not found.keys() & THE_APIS.keys()


@pytest.mark.parametrize(
    ("given", "has_packages"),
    [
        ({}, False),
        ({"chat_model": "gpt-4.1", "openai_api_key": "sk"}, False),
        ({"chat_model": "qwen3:4b", "openai_base_url": "http://h/v1"}, False),
        ({"documents_url": "/srv/documents"}, False),
        ({"chat_model": "anthropic:claude-haiku-4-5"}, True),
        ({"embedding_model": "cohere:embed-v4.0"}, True),
        ({"documents_url": "s3://bucket"}, True),
    ],
)
def test_packages_are_those_of_langchains_providers_and_of_stores(given: dict[str, str], has_packages: bool) -> None:
    assert Settings.model_validate(given).has_packages is has_packages


def test_each_child_is_started_with_its_own_secrets_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    found = environments(monkeypatch)
    for name in NEEDED_BY_NONE:
        assert [child for child, held in found.items() if name in held] == []
    assert QDRANT_KEY_VARIABLE not in found["valkey"]
    assert [child for child, held in found.items() if "OPENAI_API_KEY" in held] == ["worker"]
    key = found["qdrant"].pop(QDRANT_KEY_VARIABLE)
    assert found["worker"]["QDRANT_API_KEY"] == key, "not the one that is set: it is another Qdrant's"
    assert found["worker"]["REDIS_URL"].startswith("redis://:")
    secret = found["worker"]["REDIS_URL"].split(":")[2].split("@")[0]
    for store in ("valkey", "qdrant"):
        assert not [value for value in found[store].values() if key in value or secret in value]


def test_a_qdrant_of_the_users_own_keeps_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    found = environments(monkeypatch, qdrant_url="http://qdrant:6333")
    assert set(found) == {"valkey", "worker"}
    assert found["worker"]["QDRANT_API_KEY"] == "a setting"


STARTERS = [f"subprocess.{name}" for name in ("Popen", "run", "call", "check_call", "check_output")]
STARTERS += ["asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell"]


def starts() -> Iterator[tuple[Path, ast.Call]]:
    """Every call in our code that starts a process."""
    for path in (path for package in ("app", "worker", "ingest") for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in STARTERS:
                yield path, node


def test_no_process_is_started_with_whatever_stands_in_our_environment() -> None:
    found = list(starts())
    assert len(found) >= 7
    assert [(path.name, node.lineno) for path, node in found if "env" not in {k.arg for k in node.keywords}] == []
