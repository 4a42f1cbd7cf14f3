"""What docker compose and the Makefile name exists: no container engine is needed to know that."""

import os
import re
import subprocess
import sys
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import import_module
from ipaddress import IPv4Network, ip_address
from pathlib import Path
from threading import Thread
from typing import Any, cast

import pytest
import yaml
from pydantic import SecretStr

from app.__main__ import RQ_CLASSES
from app.cli.env_file import SECRETS
from app.core.settings import Settings
from app.documents.uploads import body_bytes_max
from app.embedded.valkey import HASH_VALUE_BYTES, STREAM_NODE_BYTES
from app.main import create_app
from app.middleware.body_limit import BodyLimitMiddleware
from app.routes.openai import HISTORY_BYTES_MAX
from tests.support import ROOT, image

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
    command = OURS[name].get("command") or image.command()
    if command[0] == "uvicorn":
        module, factory = command[2].split(":")
        assert callable(getattr(import_module(module), factory))
    else:
        assert command[:2] == ["python", "-m"]
        assert (ROOT / command[2] / "__main__.py").exists()


def test_the_api_and_the_board_are_published_on_loopback_and_for_all_only_nginx_where_it_is_asked_for() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {
        "api": ["127.0.0.1:${PORT:-8000}:8000"],
        "grafana": ["127.0.0.1:${GRAFANA_PORT:-3000}:3000"],
        "nginx": ["${EDGE_HTTP_PORT:-80}:8080", "${EDGE_HTTPS_PORT:-443}:8443"],
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
    assert "command" not in api
    assert "0.0.0.0" in image.command()
    assert "--no-proxy-headers" in image.command()
    assert "TRUSTED_PROXIES" not in api["environment"]
    required = re.fullmatch(r"\$\{API_KEYS:\?([^}]+)\}", api["environment"]["API_KEYS"])
    assert required
    assert "make key" in required[1]
    assert set(api["environment"]) > set(SERVICES["worker"]["environment"])


def test_images_are_pinned_and_everything_that_runs_on_has_a_health_check() -> None:
    for name, service in SERVICES.items():
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+(@sha256:[0-9a-f]{64})?", service["image"]), name
        is_the_images = name in OURS and "command" not in service
        assert "healthcheck" in service or is_the_images or "profiles" in service, name
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
    assert all("`make env` makes it" in value for value in required)
    assert variable in ("API_KEYS", *SECRETS)
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
    of_the_host = re.compile(r"\./|\$\{")
    assert {name for name in set.union(*kept.values()) if not of_the_host.match(name)} == set(COMPOSE["volumes"])
    assert all("documents" in kept[name] for name in OURS)


def test_the_worker_has_longer_to_stop_than_it_gives_running_questions() -> None:
    grace = int(SERVICES["worker"]["stop_grace_period"].removesuffix("s"))
    assert grace > Settings.model_fields["shutdown_grace_seconds"].default


def rest(name: str) -> list[str]:
    return [each.rest for each in image.instructions() if each.name == name]


def test_the_image_runs_as_nobody_special_and_holds_all_three_packages() -> None:
    assert rest("USER") == ["10001:10001"]
    assert len(rest("FROM")) == 2
    for package in ("app", "worker", "ingest"):
        assert f"{package} /srv/{package}" in rest("COPY")
        assert f"!{package}" in (ROOT / ".dockerignore").read_text().splitlines()
    assert image.instructions()[-1].name == "CMD"


def test_no_shell_runs_at_any_step_of_the_image() -> None:
    for instruction in image.instructions():
        if instruction.name in ("RUN", "CMD", "ENTRYPOINT"):
            words = instruction.words()
            assert words[0] not in ("sh", "bash", "/bin/sh"), words
        assert instruction.name != "SHELL"


def test_the_images_labels_are_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    [labels] = rest("LABEL")
    found = dict(re.findall(r'org\.opencontainers\.image\.([\w.]+)="([^"]*)"', labels))
    assert found["title"] == project["name"]
    assert found["description"] == project["description"]
    assert found["licenses"] == project["license"]["text"]
    assert f"VERSION={project['version']}" in rest("ARG")
    assert OURS["api"]["image"] == f"{project['name']}:{project['version']}"
    assert found["base.name"].endswith(rest("FROM")[-1])


@pytest.mark.parametrize(("path", "code"), [("/healthz", 0), ("/nothing", 1)])
def test_the_images_health_check_asks_the_api_and_no_proxy(path: str, code: int) -> None:
    """`.env` may have one, which would answer in the API's place, or not at all."""
    [check] = [each for each in image.instructions() if each.name == "HEALTHCHECK"]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == path else 503)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        python, *words = [word.replace("8000", str(server.server_port)) for word in check.words()]
        assert python == "python"
        env = {"PATH": os.environ["PATH"], "HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
        done = subprocess.run([sys.executable, *words], env=env, capture_output=True, timeout=30, check=False)
        thread.join()
    assert done.returncode == code, done.stderr


def test_what_is_no_api_has_another_health_check_than_the_images() -> None:
    for name, service in OURS.items():
        assert ("command" in service) is ("healthcheck" in service), name


# -- The profile edge

EDGE = {"nginx", "edge_api"}


def test_behind_nginx_are_two_replicas_that_publish_nothing_and_believe_it_alone() -> None:
    nginx, replica = SERVICES["nginx"], SERVICES["edge_api"]
    assert {name for name in SERVICES if SERVICES[name].get("profiles") == ["edge"]} == EDGE
    assert "ports" not in replica
    assert replica["deploy"] == {"replicas": 2}
    address = nginx["networks"]["edge"]["ipv4_address"]
    assert replica["environment"]["TRUSTED_PROXIES"] == address
    # Its address is none that a replica, or this machine as the network's gateway, may be given.
    [network] = COMPOSE["networks"]["edge"]["ipam"]["config"]
    given, all_, dynamic = (ip_address(_empty(address)), *map(_network, (network["subnet"], network["ip_range"])))
    assert given in all_
    assert given not in dynamic
    assert given != next(all_.hosts())
    assert dynamic.subnet_of(all_)
    # Everything else of theirs is the API's.
    own = {"profiles", "deploy", "networks", "environment"}
    assert {k: v for k, v in replica.items() if k not in own} == {
        k: v for k, v in SERVICES["api"].items() if k not in ("ports", "environment")
    }
    assert set(replica["environment"]) - set(SERVICES["api"]["environment"]) == {"TRUSTED_PROXIES"}


def test_nginx_reaches_no_store() -> None:
    assert set(SERVICES["nginx"]["networks"]) == {"edge"}
    assert {name for name, service in SERVICES.items() if "edge" in service.get("networks", {})} == EDGE


def test_prometheus_finds_the_replicas_too() -> None:
    prometheus = yaml.safe_load((ROOT / "deploy/monitoring/prometheus/prometheus.yml").read_text())
    [job] = [job for job in prometheus["scrape_configs"] if job["job_name"] == "api"]
    assert job["dns_sd_configs"][0]["names"] == SERVICES["edge_api"]["networks"]["default"]["aliases"]


def test_every_variable_of_nginxs_template_is_set_and_none_besides() -> None:
    template = (ROOT / "deploy/edge/nginx.conf.template").read_text()
    used = set(re.findall(r"\$\{(EDGE_\w+)\}", re.sub(r"#.*", "", template)))
    environment = SERVICES["nginx"]["environment"]
    assert used == {name for name in environment if name.startswith("EDGE_")}
    assert re.compile(environment["NGINX_ENVSUBST_FILTER"]).match("EDGE_API")
    assert not re.search(r"\$\{(?!EDGE_)", template)
    [mount] = [v for v in SERVICES["nginx"]["volumes"] if v.startswith("./")]
    assert mount == "./deploy/edge:/etc/nginx/templates:ro"


def test_nginx_lets_through_what_the_api_takes_and_waits_as_long_as_it() -> None:
    environment = {name: _empty(value) for name, value in SERVICES["nginx"]["environment"].items()}
    settings = Settings()
    assert int(environment["EDGE_BODY_MAX"].removesuffix("m")) * 2**20 == body_bytes_max(settings)
    assert int(environment["EDGE_TIMEOUT"].removesuffix("s")) > settings.job_timeout_seconds
    template = (ROOT / "deploy/edge/nginx.conf.template").read_text()
    assert f"client_max_body_size {HISTORY_BYTES_MAX // 2**20}m;" in template


def test_nginx_knows_every_route_that_asks_the_model_or_takes_a_large_body() -> None:
    template = (ROOT / "deploy/edge/nginx.conf.template").read_text()
    [asks] = re.findall(r'"~\^POST \$\{EDGE_PREFIX\}(\S+)"', template)
    [large] = re.findall(r"location ~ \^\$\{EDGE_PREFIX\}(\(\S+\$)", template)
    app = create_app(Settings(redis_url=SecretStr("redis://nowhere")))
    posts = {path for path, operations in app.openapi()["paths"].items() if "post" in operations}
    assert {path for path in posts if re.fullmatch(asks, path[1:])} == posts - NO_QUESTIONS
    [limit] = [each for each in app.user_middleware if cast(Any, each).cls is BodyLimitMiddleware]
    larger = cast("dict[str, int]", limit.kwargs["larger"])
    assert {path for path in larger if re.match(large, path[1:])} == {
        path for path, size in larger.items() if size > HISTORY_BYTES_MAX
    }


NO_QUESTIONS = {
    "/documents", "/session", "/failed-jobs/requeue", "/failed-jobs/delete", "/jobs/{job_id}/cancel",
    "/jobs/{job_id}/requeue", "/jobs/{job_id}/ticket", "/jobs/{job_id}/feedback", "/v1/conversations",
    "/v1/responses/{response_id}/cancel", "/v1/files", "/v1/batches", "/v1/batches/{batch_id}/cancel",
}  # fmt: skip
"""What is posted and makes nobody answer now, a batch among it: counted as requests alone."""


def _empty(value: str) -> str:
    """What compose makes of `value` where the environment is empty."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


def _network(value: str) -> IPv4Network:
    return IPv4Network(_empty(value))


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


def test_each_explained_make_target_is_phony() -> None:
    """A file of that name would else stand for it."""
    makefile = (ROOT / "Makefile").read_text()
    phony = makefile.partition(".PHONY:")[2].partition("\n\n")[0].replace("\\\n", " ").split()
    targets = re.findall(r"^([a-z-]+):.*## ", makefile, re.M)
    assert [target for target in targets if target not in phony] == []


def test_each_test_is_in_one_group_of_make_test() -> None:
    """Two groups run the named folders, one the chart's files, the last whatever is elsewhere."""
    makefile = (ROOT / "Makefile").read_text()
    named = [re.findall(rf"^{group} := (.+)$", makefile, re.M)[0].split() for group in ("PARTS", "PROCESSES")]
    folders = [folder for group in named for folder in group]
    assert [folder for folder in folders if not (ROOT / folder).is_dir()] == []
    assert not [one for one in folders for other in folders if one != other and one.startswith(other)]
    chart = re.findall(r"^CHART := (.+)$", makefile, re.M)[0].split()
    assert [file for file in chart if not (ROOT / file).is_file()] == []
    runs = re.findall(r"-m pytest -o cache_dir=\.pytest_cache/\$@ (.+?)(?: >|$)", makefile, re.M)
    assert runs == ["$(FOLDERS)", " ".join(f"$({group}:%=--ignore=%)" for group in ("PARTS", "PROCESSES", "CHART"))]
    assert "\ntest-parts test-processes: FOLDERS += $(CHART:%=--ignore=%)\n" in makefile
    assert re.search(r"\$\(MAKE\) .*-j4 test-parts test-processes test-services test-chart$", makefile, re.M)
