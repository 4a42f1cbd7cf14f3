"""What docker compose and the Makefile name exists: no container engine is needed to know that."""

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.__main__ import RQ_CLASSES
from app.core.settings import Settings
from app.embedded.valkey import HASH_VALUE_BYTES, STREAM_NODE_BYTES
from tests.support import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}


def test_the_file_is_of_the_compose_specification() -> None:
    command = [str(Path(sys.executable).with_name("check-jsonschema")), "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, "docker-compose.yml"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", OURS)
def test_each_variable_is_a_setting(name: str) -> None:
    assert set(OURS[name]["environment"]) <= {field.upper() for field in Settings.model_fields}


def test_valkey_keeps_small_things_small_as_the_embedded_one_does() -> None:
    script = SERVICES["valkey"]["command"][-1]
    for option in (f"stream-node-max-bytes {STREAM_NODE_BYTES}", f"hash-max-listpack-value {HASH_VALUE_BYTES}"):
        assert option in script.splitlines()


@pytest.mark.parametrize("name", OURS)
def test_each_command_exists(name: str) -> None:
    command = OURS[name]["command"]
    if command[0] == "uvicorn":
        module, factory = command[2].split(":")
        assert callable(getattr(import_module(module), factory))
    else:
        assert command[:2] == ["python", "-m"]
        assert (ROOT / command[2] / "__main__.py").exists()


def test_only_the_api_and_the_board_publish_a_port_and_only_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {
        "api": ["127.0.0.1:${PORT:-8000}:8000"],
        "grafana": ["127.0.0.1:${GRAFANA_PORT:-3000}:3000"],
    }


def test_what_watches_starts_when_asked_for_and_needs_no_password_before(tmp_path: Path) -> None:
    grafana = SERVICES["grafana"]
    assert {name for name in SERVICES if SERVICES[name].get("profiles") == ["monitoring"]} == {
        "prometheus", "redis_exporter", "grafana",
    }  # fmt: skip
    assert grafana["environment"]["GF_SECURITY_ADMIN_PASSWORD"] == "${GRAFANA_PASSWORD:-}"
    shell, option, script = grafana["entrypoint"]
    (tmp_path / "run.sh").write_text("#!/bin/sh\necho started\n")
    (tmp_path / "run.sh").chmod(0o700)
    command = [shell, option, script.replace("$$", "$").replace("/run.sh", str(tmp_path / "run.sh"))]
    for password, told, code in (("", "GRAFANA_PASSWORD is not set", 1), ("secret", "started", 0)):
        env = {"PATH": os.environ["PATH"], "GF_SECURITY_ADMIN_PASSWORD": password}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == code
        assert told in done.stdout + done.stderr
        assert "secret" not in done.stdout + done.stderr


def test_the_api_listens_for_all_and_so_is_not_started_without_keys_nor_believes_who_says_to_be_a_proxy() -> None:
    api = SERVICES["api"]
    assert "0.0.0.0" in api["command"]
    assert "--no-proxy-headers" in api["command"]
    required = re.fullmatch(r"\$\{API_KEYS:\?([^}]+)\}", api["environment"]["API_KEYS"])
    assert required
    assert "make key" in required[1]
    assert set(api["environment"]) > set(SERVICES["worker"]["environment"])


def test_images_are_pinned_and_everything_that_runs_on_has_a_health_check() -> None:
    for name, service in SERVICES.items():
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+(@sha256:[0-9a-f]{64})?", service["image"]), name
        assert "healthcheck" in service or "profiles" in service, name
    conditions = [c["condition"] for s in OURS.values() for c in s["depends_on"].values()]
    assert set(conditions) == {"service_healthy"}


@pytest.mark.parametrize("name", SERVICES)
def test_what_breaks_out_of_a_program_finds_nothing_to_write_and_no_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    for mount in service.get("tmpfs", ()):
        assert {"noexec", "nosuid", "nodev"} < set(mount.partition(":")[2].split(","))
        assert "size=" in mount


@pytest.mark.parametrize(
    ("name", "variable"), [("valkey", "VALKEY_PASSWORD"), ("qdrant", "QDRANT_API_KEY"), ("api", "API_KEYS")]
)
def test_no_secret_has_a_default_and_each_says_how_to_make_it(name: str, variable: str) -> None:
    required = [value for value in SERVICES[name]["environment"].values() if f"${{{variable}:?" in value]
    assert required
    assert all("openssl rand" in value or "make key" in value for value in required)
    for service in OURS.values():
        assert service["environment"]["REDIS_URL"] == "redis://:${VALKEY_PASSWORD}@valkey:6379/0"
        assert service["environment"]["QDRANT_API_KEY"] == "${QDRANT_API_KEY}"


def test_no_password_stands_on_a_command_line() -> None:
    for name, service in SERVICES.items():
        for word in service.get("entrypoint", []):
            assert not re.search(r"(?<!\$)\$(?!\$)", word), name  # compose would write a value there
        for word in service.get("command", []):
            line, _, given_as_a_file = word.partition("<<")
            assert "PASSWORD" not in line, name
            assert "_KEY" not in word, name
            assert not given_as_a_file or line.startswith("exec "), name  # so that it is told to stop, not its shell


def test_the_image_builds_no_package_from_source() -> None:
    assert "--only-binary=:all:" in (ROOT / "Dockerfile").read_text()


def test_data_outlives_the_containers() -> None:
    kept = {name: {v.split(":")[0] for v in service.get("volumes", ())} for name, service in SERVICES.items()}
    assert {name for name in set.union(*kept.values()) if not name.startswith("./")} == set(COMPOSE["volumes"])
    assert all("documents" in kept[name] for name in OURS)


def test_the_worker_has_longer_to_stop_than_it_gives_running_questions() -> None:
    grace = int(SERVICES["worker"]["stop_grace_period"].removesuffix("s"))
    assert grace > Settings.model_fields["shutdown_grace_seconds"].default


def test_the_image_runs_as_nobody_special_and_holds_all_three_packages() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert [line.split()[1] for line in lines if line.startswith("USER")] == ["rag"]
    assert len([line for line in lines if line.startswith("FROM")]) == 2
    for package in ("app", "worker", "ingest"):
        assert f"COPY {package} {package}" in lines
        assert f"!{package}" in (ROOT / ".dockerignore").read_text().splitlines()


def test_the_image_makes_every_rq_worker_ours() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert "ENV " + " ".join(f"{name}={value}" for name, value in RQ_CLASSES.items()) in lines
    for dotted in RQ_CLASSES.values():
        module, _, name = dotted.rpartition(".")
        assert isinstance(getattr(import_module(module), name), type)


def test_lock_files_name_no_address() -> None:
    for lock in ("requirements.lock", "requirements-dev.lock"):
        assert "://" not in (ROOT / lock).read_text()


def test_each_make_target_is_explained() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in ("install", "run", "demo", "ask", "ingest", "worker", "test", "bench", "lock"):
        assert re.search(rf"^{target}:.*## ", makefile, re.M), target


def test_each_test_is_in_one_half_of_make_test() -> None:
    """One half runs the named folders, the other whatever is elsewhere: a new folder is in one unnamed."""
    makefile = (ROOT / "Makefile").read_text()
    parts = re.findall(r"^PARTS := (.+)$", makefile, re.M)[0].split()
    assert [part for part in parts if not (ROOT / part).is_dir()] == []
    runs = re.findall(r"-m pytest -o cache_dir=\.pytest_cache/\$@ (\S+)", makefile)
    assert runs == ["$(PARTS)", "$(PARTS:%=--ignore=%)"]
    assert re.search(r"\$\(MAKE\) .*-j2 test-parts test-services$", makefile, re.M)
