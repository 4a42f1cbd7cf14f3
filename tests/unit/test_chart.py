"""The Helm chart: its values, and what it renders in every size and with every switch, held to code and Kubernetes.

What needs no Helm runs everywhere: values against their schema, and every name in them against the code.
"""

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple

import certifi
import jsonschema
import pytest
import yaml
from rq import Queue
from rq.registry import StartedJobRegistry

from app.core.contract import QUERY_QUEUE, QUEUES, AnswerJob
from app.core.queue.answers import SETTINGS as ANSWER_SETTINGS
from app.core.queue.answers import fingerprint
from app.core.sentinel_address import parse_sentinel
from app.core.services import redis_url
from app.core.settings import Settings
from app.core.version import VERSION
from app.embedded.valkey import valkey_command
from app.main import create_app
from tests.support import ROOT
from tests.support.chart_schemas import CUSTOM, custom_problems, defined_problems
from tests.support.helm import CHART, KEDA, MISSING, Object, helm, objects, rendered, run, values_file

SIZES = ("", "small", "medium", "large")
VALUES: Object = yaml.safe_load(values_file("").read_text())
SCHEMA: Object = json.loads((CHART / "values.schema.json").read_text())
DEFINED: Object = SCHEMA["$defs"]
FIELDS = {name.upper() for name in Settings.model_fields}
THE_CHARTS_OWN = {
    "HOST", "PORT", "DATA_DIR", "VALKEY_MAXMEMORY_MB", "REDIS_URL", "QDRANT_URL", "OPENAI_BASE_URL", "DOCUMENTS_URL",
    "METRICS", "METRICS_PORT", "METRICS_HOST", "TRUSTED_PROXIES", "PUBLIC_URL", "REDIS_CA_FILE",
    "WORKER_PROCESSES",
}  # fmt: skip
"""Settings that have values of their own in the chart, or mean nothing there: a pod has one process."""
OF_LIBRARIES = {"PGPASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
"""Secrets that libpq and s3fs read by themselves."""

VALKEYS = {"REDIS_PASSWORD", "REDIS_SENTINEL_PASSWORD"}

needs_helm = pytest.mark.skipif(helm() is None, reason=MISSING)

SWITCHES: dict[str, tuple[str, ...]] = {
    "nothing at all": (),
    "KEDA": ("-a", KEDA),
    "KEDA with a user of its own, over TLS": (
        "-a", KEDA, "--set", "valkey.tls=true,valkey.caSecret.name=ca,valkey.caSecret.key=ca.crt",
        "--set", "valkey.users.api=api,valkey.users.worker=worker",
        "--set", "keda.usernameSecret.name=k,keda.usernameSecret.key=u",
        "--set", "keda.passwordSecret.name=k,keda.passwordSecret.key=p",
        "--set", "api.secrets.REDIS_PASSWORD.name=api,api.secrets.REDIS_PASSWORD.key=p",
    ),
    "Sentinels": (
        "-a", KEDA, "--set", "valkey.sentinel.master=mymaster,valkey.sentinel.hosts={one:26379,two:26380}",
        "--set", "valkey.tls=true",
        "--set", "secrets.REDIS_SENTINEL_PASSWORD.name=s,secrets.REDIS_SENTINEL_PASSWORD.key=p,valkey.users.api=api",
    ),
    "no autoscaling": (
        "--set", "api.autoscaling.enabled=false",
        "--set", ",".join(f"workers.{name}.autoscaling.type=off" for name in ("questions", "ingest", "webhooks")),
    ),
    "an ingress": ("--set", "ingress.enabled=true,ingress.tlsSecret=tls,ingress.className=nginx"),
    "a route": (
        "--set", "httpRoute.enabled=true,httpRoute.hostnames={rag.example.com},httpRoute.parentRefs[0].name=gateway",
    ),
    "a model": ("--set", "secrets.OPENAI_API_KEY.name=vault,secrets.OPENAI_API_KEY.key=it"),
    "a model of one's own": (
        "--set", "model.baseUrl=http://vllm.models:8000/v1", "--set", "settings.RERANK_URL=https://rank:8443/v1/rerank",
        "--set", "settings.EMBEDDING_MODEL=cohere:embed-v4.0",
    ),
    "a chat log": tuple(
        part for name in ("secrets.DATABASE_URL", "secrets.PGPASSWORD", "chatLog.secrets.DATABASE_URL")
        for part in ("--set", f"{name}.name=vault,{name}.key={name.lower().rpartition('.')[2]}")
    ),
    "object storage": (
        "--set", "documents.url=s3://bucket/path",
        "--set", "secrets.AWS_ACCESS_KEY_ID.name=s,secrets.AWS_ACCESS_KEY_ID.key=i",
        "--set", "secrets.AWS_SECRET_ACCESS_KEY.name=s,secrets.AWS_SECRET_ACCESS_KEY.key=k",
    ),
    "tokens": (
        "--set", "secrets.API_KEYS=null,settings.JWT_JWKS_URL=https://id.example.com/keys,settings.JWT_ISSUER=i",
        "--set", "settings.JWT_AUDIENCE=a", "--set", "secrets.LINK_SECRET.name=l,secrets.LINK_SECRET.key=l",
    ),
    "monitoring": (
        "--set", "monitoring.serviceMonitor.enabled=true,monitoring.serviceMonitor.labels.release=prometheus",
        "--set-file", f"monitoring.board={ROOT}/deploy/monitoring/grafana/rag-queue.json",
        *[
            part for file in sorted((ROOT / "deploy/monitoring/prometheus/rules").glob("*.yml"))
            for part in ("--set-file", f"monitoring.rules.{file.stem}={file}")
        ],
    ),
    "pods of another kind": (
        "--set", "pod.extraEnv[0].name=OTEL_EXPORTER_OTLP_ENDPOINT,pod.extraEnv[0].value=http://collector:4318",
        "--set", "pod.tolerations[0].operator=Exists,pod.priorityClassName=high,pod.nodeSelector.pool=rag",
        "--set", "workers.ingest.priorityClassName=low,workers.ingest.nodeSelector.pool=batch",
        "--set", "pod.extraVolumes[0].name=models,pod.extraVolumes[0].emptyDir.medium=Memory",
        "--set", "pod.extraVolumeMounts[0].name=models,pod.extraVolumeMounts[0].mountPath=/models",
        "--set", "imagePullSecrets[0].name=registry,image.digest=sha256:" + "0" * 64,
        "--set", "serviceAccount.name=mine",
    ),
    "no policies, budgets or Qdrant's key": (
        "--set", "networkPolicy.enabled=false,podDisruptionBudget.enabled=false,secrets.QDRANT_API_KEY=null",
    ),
}  # fmt: skip
"""What can be switched, one by one, as Helm's options."""
CASES: dict[str, tuple[str, ...]] = SWITCHES | {
    f"{size}{' with KEDA' if has_keda else ''}": ("-f", str(values_file(size)), *(("-a", KEDA) if has_keda else ()))
    for size in SIZES[1:]
    for has_keda in (False, True)
}
cases = pytest.mark.parametrize("options", CASES.values(), ids=CASES)


def merged(values: Object, more: Object) -> Object:
    """As Helm merges values: maps into each other, all else in place."""
    both = {name: merged(values[name], more[name]) if _maps(values[name], more[name]) else more[name]
            for name in values.keys() & more.keys()}  # fmt: skip
    return values | more | both


def _maps(*values: object) -> bool:
    return all(isinstance(value, dict) for value in values)


def problems(values: Object, schema: Object = SCHEMA) -> list[str]:
    found = jsonschema.Draft7Validator(schema).iter_errors(values)
    return [f"{'.'.join(map(str, error.path))}: {error.message}" for error in found]


# -- Without Helm


@pytest.mark.parametrize("size", SIZES)
def test_the_values_of_every_size_are_of_the_schema(size: str) -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert problems(merged(VALUES, yaml.safe_load(values_file(size).read_text()))) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("settings.TOPK", 8),
        ("settings.OPENAI_API_KEY", "sk-1"),
        ("settings.REDIS_URL", "redis://h"),
        ("workers.questions.settings.TOP_K", 8),
        ("api.settings.CHAT_MODEL", "m"),
        ("secrets.REDIS_PASSWORD", "hunter2"),
        ("secrets.HOST", {"name": "a", "key": "b"}),
        ("secrets.OPENAI_API_KEY", {"name": "a"}),
        ("workers.questions.queues", ["rag_question"]),
        ("workers.questions.queues", []),
        ("workers.questions.autoscaling.min", 0),
        ("workers.questions.autoscaling.type", False),
        ("workers.Questions", {}),
        ("workers.other", {"enabled": True}),
        ("api.replica", 3),
        ("valkey.host", "redis://valkey"),
        ("valkey.sentinel.hosts", ["sentinel"]),
        ("valkey.host", "user:secret@valkey"),
        ("qdrant.url", "qdrant:6333"),
        ("image.digest", "sha256:1"),
        ("httpRoute.enabled", True),
        ("networkPolicies", {}),
    ],
)
def test_a_slip_in_the_values_is_refused(path: str, value: object) -> None:
    more: Object = {}
    *above, last = path.split(".")
    place = more
    for name in above:
        place = place.setdefault(name, {})
    place[last] = value
    assert problems(merged(VALUES, more)) != []


def test_the_schema_knows_every_setting_and_each_in_one_place() -> None:
    settings, secrets = set(DEFINED["settings"]["properties"]), set(DEFINED["secrets"]["properties"])
    assert settings | secrets | THE_CHARTS_OWN == FIELDS | OF_LIBRARIES
    assert len(settings) + len(secrets) + len(THE_CHARTS_OWN) == len(FIELDS | OF_LIBRARIES)
    hidden = {name.upper() for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert hidden - THE_CHARTS_OWN <= secrets


def test_what_makes_an_answer_is_the_same_for_all() -> None:
    """The API looks kept answers up by a hash of these settings, which workers make as well."""
    answers = {name.upper() for name in ANSWER_SETTINGS}
    assert set(DEFINED["ownSettings"]["properties"]) == set(DEFINED["settings"]["properties"]) - answers


def test_the_schema_lets_nothing_pass_that_it_does_not_know() -> None:
    def closed(schema: object) -> Iterator[Object]:
        if isinstance(schema, dict):
            if "properties" in schema and "type" in schema:
                yield schema
            for part in schema.values():
                yield from closed(part)
        elif isinstance(schema, list):
            for part in schema:
                yield from closed(part)

    found = list(closed(SCHEMA))
    assert len(found) > 20
    assert [schema for schema in found if schema.get("additionalProperties") is not False] == []


def test_the_chart_knows_the_queues_that_there_are() -> None:
    assert set(DEFINED["worker"]["anyOf"][1]["properties"]["queues"]["items"]["enum"]) == set(QUEUES)
    checks = (CHART / "templates" / "_checks.tpl").read_text()
    [listed] = re.findall(r"range list ((?:\"rag_\w+\" ?)+)", checks)
    assert set(re.findall(r"\w+", listed)) == set(QUEUES)


def test_every_variable_in_the_templates_is_a_setting() -> None:
    text = "\n".join(file.read_text() for file in sorted((CHART / "templates").iterdir()))
    named = set(re.findall(r"- name: ([A-Z][A-Z0-9_]+)$", text, re.M)) | set(re.findall(r'"([A-Z]+_[A-Z_]+)"', text))
    assert {"REDIS_URL", "API_KEYS", "TRUSTED_PROXIES", "SHUTDOWN_GRACE_SECONDS"} < named
    assert named - FIELDS - OF_LIBRARIES == set()


def test_numbers_that_the_templates_repeat_are_the_codes() -> None:
    text = "\n".join(file.read_text() for file in sorted((CHART / "templates").iterdir()))
    said = dict(re.findall(r'"name" "([A-Z_]+)"\) \| default "(\d+)"', text))
    assert {name: float(value) for name, value in said.items()} == {
        name: Settings.model_fields[name.lower()].default
        for name in ("SHUTDOWN_GRACE_SECONDS", "MODEL_TIMEOUT_SECONDS")
    }


def test_the_chart_is_of_this_version_and_no_secret_stands_in_its_values() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == VERSION
    assert "dependencies" not in chart
    assert all(set(where) == {"name", "key"} for where in VALUES["secrets"].values())


def test_the_valkey_of_the_how_to_is_set_as_the_embedded_one(tmp_path: Path) -> None:
    """But for its memory, its place and its password, which the chart of Valkey sees to."""
    [given] = re.findall(r"valkeyConfig: \|\n((?:  .+\n)+)", (ROOT / "docs/how-to/kubernetes.md").read_text())
    shown = dict(line.split(maxsplit=1) for line in given.splitlines())
    written = Path(valkey_command(tmp_path, 1)[1]).read_text()
    ours = {name: value.strip('"') for name, value in (line.split(maxsplit=1) for line in written.splitlines())}
    of_the_machine = {"port", "bind", "dir", "logfile", "maxmemory"}
    assert {name: value.strip('"') for name, value in shown.items() if name != "maxmemory"} == {
        name: value for name, value in ours.items() if name not in of_the_machine
    }


# -- With Helm


@needs_helm
@pytest.mark.parametrize("size", SIZES)
def test_helm_finds_nothing_to_say(size: str) -> None:
    done = run("lint", "--strict", str(CHART), "-f", str(values_file(size)))
    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout


@cache
def _is_of_kubernetes(text: str, version: str) -> bool:
    """Whether an object, as JSON, is one of that version. Raises what is wrong with it."""
    import kubernetes_validate
    from kubernetes_validate import utils

    if not hasattr(utils.schema_contents, "cache_info"):
        utils.schema_contents = cache(utils.schema_contents)  # 2 MB of definitions, for each object anew
    kubernetes_validate.validate(json.loads(text), version, strict=True)
    return True


@needs_helm
@pytest.mark.parametrize("version", ["1.30", "1.37"])
@cases
def test_every_object_is_what_kubernetes_expects(options: tuple[str, ...], version: str) -> None:
    for found in rendered(*options):
        if found["kind"] in CUSTOM:
            assert custom_problems(found) == [], found["metadata"]["name"]
        else:
            assert _is_of_kubernetes(json.dumps(found), version)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({}, []),
        ({"maxReplicas": 3}, ["fields that ScaledObject does not have"]),
        ({"maxReplicaCount": "many"}, ["spec.maxReplicaCount: "]),
        ({"scaleTargetRef": {}}, ["spec.scaleTargetRef.name: "]),
    ],
)
def test_an_operators_definition_tells_a_slip(spec: Object, said: list[str]) -> None:
    triggers = [{"type": "redis", "metadata": {"address": "valkey:6379"}}]
    spec = {"scaleTargetRef": {"name": "rag-queue"}, "triggers": triggers} | spec
    found = defined_problems({"apiVersion": KEDA, "kind": "ScaledObject", "metadata": {"name": "a"}, "spec": spec})
    assert len(found) == len(said)
    assert all(part in line for part, line in zip(said, found, strict=True))


@cache
def _paths() -> set[str]:
    """Those that the API serves."""
    return set(create_app(Settings(redis_url="redis://h", qdrant_url="http://q")).openapi()["paths"])


def _of(options: tuple[str, ...], *kinds: str) -> list[Object]:
    return [found for found in rendered(*options) if found["kind"] in kinds]


def _pods(options: tuple[str, ...]) -> dict[str, Object]:
    """The template of each Deployment and Job, by its name without the release's."""
    return {
        found["metadata"]["name"].removeprefix("rag-queue-"): found["spec"]["template"]
        for found in _of(options, "Deployment", "Job")
    }


def _lasting(options: tuple[str, ...]) -> dict[str, Object]:
    """Those of Deployments."""
    return {name: pod for name, pod in _pods(options).items() if name != "migrate"}


def _container(pod: Object) -> Object:
    [container] = pod["spec"]["containers"]
    return dict(container)


class Where(NamedTuple):
    """A secret's place."""

    secret: str
    key: str


def _environment(options: tuple[str, ...], pod: Object) -> dict[str, str | Where]:
    """Variables of a pod; of a secret where it is."""
    given: dict[str, str | Where] = {}
    for source in _container(pod).get("envFrom", ()):
        [found] = [f for f in _of(options, "ConfigMap") if f["metadata"]["name"] == source["configMapRef"]["name"]]
        given |= found["data"]
    for variable in _container(pod)["env"]:
        where = variable.get("valueFrom", {}).get("secretKeyRef")
        given[variable["name"]] = Where(where["name"], where["key"]) if where else variable["value"]
    return given


@needs_helm
@cases
def test_every_variable_and_command_exists_in_the_code(options: tuple[str, ...]) -> None:
    for name, pod in _pods(options).items():
        variables = set(_environment(options, pod))
        assert variables - FIELDS - OF_LIBRARIES <= {"OTEL_EXPORTER_OTLP_ENDPOINT"}, name
        command = _container(pod)["command"]
        if command[0] == "uvicorn":
            from uvicorn.main import main as uvicorn

            parsed = uvicorn.make_context("uvicorn", command[1:]).params
            module, factory = parsed["app"].split(":")
            assert callable(getattr(import_module(module), factory))
            assert parsed["port"] == _ports(pod)["http"]
            assert parsed["proxy_headers"] is parsed["access_log"] is False
        else:
            assert command[:2] == ["python", "-m"]
            assert (ROOT / command[2] / "__main__.py").exists()
        if command[2:3] == ["worker"]:
            assert command[3] == "--queues"
            assert set(command[4:]) <= set(QUEUES)
        if command[2:3] == ["app"]:
            from app.__main__ import _parser

            assert callable(_parser().parse_args(command[3:]).run)


def _ports(pod: Object) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in _container(pod)["ports"]}


@needs_helm
@cases
def test_each_queue_is_served(options: tuple[str, ...]) -> None:
    commands = [_container(pod)["command"] for pod in _pods(options).values()]
    assert {queue for command in commands if command[2:3] == ["worker"] for queue in command[4:]} == set(QUEUES)


@needs_helm
@cases
def test_processes_start_with_what_they_are_given(options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process's settings are valid, and what makes an answer is the same in all, though not all have keys."""
    secrets = {
        "REDIS_PASSWORD": "p@ss:w/o?r%d&#", "DATABASE_URL": "postgresql://rag@db/rag", "LINK_SECRET": "l" * 32,
        "API_KEYS": "web:acme:ask:60/minute:" + "0" * 64,
    }  # fmt: skip
    answers = set()
    for name, pod in _pods(options).items():
        with monkeypatch.context() as patch:
            for variable in FIELDS:
                patch.delenv(variable, raising=False)
            given = _environment(options, pod)
            for variable, value in given.items():
                patch.setenv(variable, secrets.get(variable, "x") if isinstance(value, Where) else value)
            if "REDIS_CA_FILE" in given:  # which is mounted there
                patch.setenv("REDIS_CA_FILE", certifi.where())
            settings = Settings(_env_file=None)
        if name == "migrate":
            assert settings.database_url is not None
            continue
        assert ":p%40ss%3Aw%2Fo%3Fr%25d%26%23@" in redis_url(settings)
        assert settings.metrics_port == _ports(pod)["metrics"]
        answers.add(fingerprint(AnswerJob(query="What?"), settings))
        if name == "api":
            assert settings.has_credentials
            assert settings.openai_api_key is settings.qdrant_api_key is None
    assert len(answers) == 1


@needs_helm
@cases
def test_a_process_has_the_secrets_alone_that_it_has_a_use_for(options: tuple[str, ...]) -> None:
    files = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    by_queue = {
        "rag_queries": {"QDRANT_API_KEY", "OPENAI_API_KEY", "RERANK_API_KEY"},
        "rag_ingest": {"QDRANT_API_KEY", "OPENAI_API_KEY"} | files,
        "rag_pages": {"QDRANT_API_KEY"} | files,
        "rag_webhooks": {"LINK_SECRET"},
    }
    of_the_api = {"API_KEYS", "JWT_SECRET", "LINK_SECRET", "WEBHOOK_SECRET", "DATABASE_URL", "PGPASSWORD"} | files
    for name, pod in _pods(options).items():
        has = {variable for variable, value in _environment(options, pod).items() if isinstance(value, Where)}
        if name == "migrate":
            assert has <= {"DATABASE_URL", "PGPASSWORD"}
        elif name == "api":
            assert has <= of_the_api | VALKEYS
        else:
            queues = _container(pod)["command"][4:]
            assert has <= VALKEYS.union(*(by_queue[queue] for queue in queues)), name


@needs_helm
@cases
def test_what_breaks_out_of_a_program_finds_nothing_to_write_and_no_rights(options: tuple[str, ...]) -> None:
    assert len(_pods(options)) >= 2
    for name, pod in _pods(options).items():
        spec, container = pod["spec"], _container(pod)
        assert spec["automountServiceAccountToken"] is spec["enableServiceLinks"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
        assert not any("hostPath" in volume for volume in spec["volumes"])
        uid = spec["securityContext"]["runAsUser"]
        assert f"USER {uid}" in (ROOT / "Dockerfile").read_text()
    for account in _of(options, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    assert _of(options, "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "Secret") == []


@needs_helm
@cases
def test_what_is_mounted_is_there_and_files_are_where_they_are_used(options: tuple[str, ...]) -> None:
    claims = {found["metadata"]["name"] for found in _of(options, "PersistentVolumeClaim")}
    for name, pod in _pods(options).items():
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        mounts = {mount["name"]: mount["mountPath"] for mount in _container(pod)["volumeMounts"]}
        assert set(mounts) == set(volumes)
        assert mounts["tmp"] == "/tmp"
        queues = set(_container(pod)["command"][4:])
        if "documents" in volumes:
            assert volumes["documents"]["persistentVolumeClaim"]["claimName"] in claims
            assert _environment(options, pod)["DOCUMENTS_URL"] == mounts["documents"]
        needs_files = name == "api" or bool(queues & {"rag_ingest", "rag_pages"})
        assert ("documents" in volumes) is (needs_files and bool(claims))


@needs_helm
@cases
def test_probes_ask_what_there_is_and_liveness_asks_nothing_else(options: tuple[str, ...]) -> None:
    served = {"http": {"/healthz"}, "metrics": {"/healthz", "/readyz"}}
    for name, pod in _lasting(options).items():
        probes = {kind: _container(pod)[f"{kind}Probe"] for kind in ("startup", "liveness", "readiness")}
        for kind, probe in probes.items():
            asked = probe["httpGet"]
            assert asked["port"] in _ports(pod)
            assert asked["path"] in served[asked["port"]], name
            assert kind == "readiness" or asked["path"] == "/healthz"
        patience = probes["liveness"]["timeoutSeconds"], probes["liveness"]["failureThreshold"]
        assert patience >= (10, 6)  # a minute in which nothing answers


def test_the_paths_of_probes_are_served() -> None:
    assert "/healthz" in _paths()
    page = (ROOT / "worker/runtime/own_page.py").read_text()
    assert {"/healthz", "/readyz"} <= set(re.findall(r'"(/[a-z]+)": health', page))


@needs_helm
@cases
def test_processes_have_longer_to_stop_than_they_give_their_work(options: tuple[str, ...]) -> None:
    for name, pod in _lasting(options).items():
        has = pod["spec"]["terminationGracePeriodSeconds"]
        command = _container(pod)["command"]
        if name == "api":
            gives = int(command[command.index("--timeout-graceful-shutdown") + 1])
            gives += _container(pod)["lifecycle"]["preStop"]["sleep"]["seconds"]
        else:
            gives = Settings.model_fields["shutdown_grace_seconds"].default
        assert has >= gives + 10, name


@needs_helm
def test_a_longer_grace_is_waited_for_and_numbers_are_written_out() -> None:
    options = ("--set", "workers.ingest.settings.SHUTDOWN_GRACE_SECONDS=90.5,settings.MAX_QUEUE_DEPTH=5000000",
               "--set", "settings.SHUTDOWN_GRACE_SECONDS=20")  # fmt: skip
    pods = _pods(options)
    graces = {
        name: pods[f"worker-{name}"]["spec"]["terminationGracePeriodSeconds"] for name in ("ingest", "questions")
    }
    assert graces == {"ingest": 106, "questions": 35}
    given = _environment(options, pods["worker-ingest"])
    assert given["MAX_QUEUE_DEPTH"] == "5000000"
    assert given["SHUTDOWN_GRACE_SECONDS"] == "90.5"


@needs_helm
@cases
def test_every_deployment_is_scaled_by_one_thing_or_by_hand(options: tuple[str, ...]) -> None:
    scaled = [
        found["spec"]["scaleTargetRef"]["name"] for found in _of(options, "HorizontalPodAutoscaler", "ScaledObject")
    ]
    by_hand = [found["metadata"]["name"] for found in _of(options, "Deployment") if "replicas" in found["spec"]]
    assert sorted(scaled + by_hand) == sorted(found["metadata"]["name"] for found in _of(options, "Deployment"))
    if "-a" not in options:
        assert _of(options, "ScaledObject", "TriggerAuthentication") == []


@needs_helm
@pytest.mark.parametrize(
    "options", [options for options in CASES.values() if "-a" in options and "small" not in str(options)]
)
def test_keda_counts_what_waits_and_what_runs_where_rq_keeps_it(options: tuple[str, ...]) -> None:
    found = _of(options, "ScaledObject")
    assert len(found) >= 3
    pods = _pods(options)
    for spec in (each["spec"] for each in found):
        queues = _container(pods[spec["scaleTargetRef"]["name"].removeprefix("rag-queue-")])["command"][4:]
        keys = {trigger["name"]: trigger["metadata"]["listName"] for trigger in spec["triggers"]}
        assert keys == {
            f"{queue}_{what}": key
            for queue in queues
            for what, key in (
                ("waiting", Queue.redis_queue_namespace_prefix + queue),
                ("lined", f"rag:line:{queue}"),
                ("low", f"rag:line:{queue}:low"),
                ("running", StartedJobRegistry.key_template.format(queue)),
            )
        }
        modifiers = spec["advanced"]["scalingModifiers"]
        assert set(modifiers["formula"].split(" + ")) == set(keys)
        assert {trigger["metadata"]["listLength"] for trigger in spec["triggers"]} == {modifiers["target"]}
        behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
        patience = Settings.model_fields["model_timeout_seconds"].default
        assert min(spec["cooldownPeriod"], behavior["stabilizationWindowSeconds"]) > patience
        assert spec["minReplicaCount"] <= spec["fallback"]["replicas"] <= spec["maxReplicaCount"]


@needs_helm
@pytest.mark.parametrize("size", SIZES)
def test_a_process_is_asked_for_less_than_it_takes_at_once(size: str) -> None:
    """So that one more is there before all places of those that are there are taken."""
    options = ("-f", str(values_file(size)), "-a", KEDA)
    pods = _pods(options)
    for found in _of(options, "ScaledObject"):
        name = found["spec"]["scaleTargetRef"]["name"].removeprefix("rag-queue-")
        if _container(pods[name])["command"][4:] == [QUERY_QUEUE]:
            given = _environment(options, pods[name]).get("WORKER_CONCURRENCY")
            places = int(str(given)) if given else Settings.model_fields["worker_concurrency"].default
            assert int(found["spec"]["advanced"]["scalingModifiers"]["target"]) <= places


@needs_helm
def test_keda_signs_in_as_itself_and_knows_the_authority() -> None:
    options = CASES["KEDA with a user of its own, over TLS"]
    [auth] = _of(options, "TriggerAuthentication")
    assert {(ref["parameter"], ref["name"], ref["key"]) for ref in auth["spec"]["secretTargetRef"]} == {
        ("username", "k", "u"), ("password", "k", "p"), ("ca", "ca", "ca.crt"),
    }  # fmt: skip
    names = {
        trigger["authenticationRef"]["name"]
        for found in _of(options, "ScaledObject")
        for trigger in found["spec"]["triggers"]
    }
    assert names == {auth["metadata"]["name"]}
    pods = _pods(options)
    given = _environment(options, pods["api"])
    assert given["REDIS_URL"] == "rediss://api@valkey:6379/0"
    assert given["REDIS_CA_FILE"] == "/etc/rag-queue/valkey-ca.crt"
    assert given["REDIS_PASSWORD"] == Where("api", "p")
    assert str(_environment(options, pods["worker-ingest"])["REDIS_URL"]).startswith("rediss://worker@valkey:")


@needs_helm
def test_valkey_is_found_by_its_sentinels() -> None:
    options = CASES["Sentinels"]
    pods = _pods(options)
    given = _environment(options, pods["api"])
    assert given["REDIS_URL"] == "rediss+sentinel://api@one:26379,two:26380/mymaster/0"
    assert parse_sentinel(str(given["REDIS_URL"])).hosts == (("one", 26379), ("two", 26380))
    assert all("REDIS_SENTINEL_PASSWORD" in _environment(options, pod) for pod in pods.values())
    for scaled in _of(options, "ScaledObject"):
        for trigger in scaled["spec"]["triggers"]:
            assert trigger["type"] == "redis-sentinel"
            assert trigger["metadata"]["addresses"] == "one:26379,two:26380"
            assert trigger["metadata"]["sentinelMaster"] == "mymaster"
    [auth] = _of(options, "TriggerAuthentication")
    assert {"parameter": "sentinelPassword", "name": "s", "key": "p"} in auth["spec"]["secretTargetRef"]
    assert _reached(options, pods["api"]) == STORES | {DNS, 26379, 26380}


@needs_helm
@cases
def test_a_node_can_be_emptied_one_pod_at_a_time(options: tuple[str, ...]) -> None:
    budgets = _of(options, "PodDisruptionBudget")
    if "podDisruptionBudget.enabled=false" in str(options):
        assert budgets == []
        return
    chosen = [budget["spec"]["selector"]["matchLabels"] for budget in budgets]
    for deployment in _of(options, "Deployment"):
        assert chosen.count(deployment["spec"]["selector"]["matchLabels"]) == 1
    assert {budget["spec"]["unhealthyPodEvictionPolicy"] for budget in budgets} == {"AlwaysAllow"}


def _reached(options: tuple[str, ...], pod: Object) -> set[int]:
    """Ports that a pod may open connections to."""
    labels = pod["metadata"]["labels"].items()
    policies = [
        p["spec"] for p in _of(options, "NetworkPolicy") if p["spec"]["podSelector"]["matchLabels"].items() <= labels
    ]
    assert any("Egress" in policy["policyTypes"] for policy in policies)
    assert any("Ingress" in policy["policyTypes"] for policy in policies)
    return {port["port"] for policy in policies for rule in policy.get("egress", ()) for port in rule["ports"]}


VALKEY, QDRANT, DNS, HTTPS, POSTGRES = 6379, 6333, 53, 443, 5432
STORES = {VALKEY, QDRANT}
REACHED: dict[str, dict[str, set[int]]] = {
    "nothing at all": {
        "api": STORES, "worker-questions": STORES, "worker-ingest": STORES,
        "worker-webhooks": {VALKEY, HTTPS},
    },
    "a model": {"api": STORES, "worker-questions": STORES | {HTTPS}, "worker-ingest": STORES | {HTTPS}},
    "a model of one's own": {
        "api": STORES, "worker-questions": STORES | {8000, 8443, HTTPS}, "worker-webhooks": {VALKEY, HTTPS},
    },
    "a chat log": {"api": STORES | {POSTGRES}, "worker-questions": STORES, "migrate": {POSTGRES}},
    "object storage": {
        "api": STORES | {HTTPS}, "worker-questions": STORES, "worker-ingest": STORES | {HTTPS},
    },
    "tokens": {"api": STORES | {HTTPS}},
}  # fmt: skip
"""By switch and process, the ports that it may open connections to, beside looking names up."""


@needs_helm
@pytest.mark.parametrize("switch", REACHED)
def test_a_process_reaches_what_it_needs_and_nothing_else(switch: str) -> None:
    pods = _pods(SWITCHES[switch])
    for name, ports in REACHED[switch].items():
        assert _reached(SWITCHES[switch], pods[name]) == ports | {DNS}, name


@needs_helm
@cases
def test_nobody_comes_in_but_to_the_api_and_to_read_the_numbers(options: tuple[str, ...]) -> None:
    rules = [
        (policy["metadata"]["name"], sorted(port["port"] for port in rule["ports"]), rule.get("from"))
        for policy in _of(options, "NetworkPolicy")
        for rule in policy["spec"].get("ingress", ())
    ]
    if "networkPolicy.enabled=false" in str(options):
        assert rules == []
        return
    assert [(name, ports) for name, ports, _ in rules] == [("rag-queue", [9464]), ("rag-queue-api", [8000])]
    assert rules[0][2]


@needs_helm
def test_webhooks_go_to_no_private_network() -> None:
    policies = {p["metadata"]["name"]: p["spec"] for p in _of((), "NetworkPolicy")}
    blocks = [
        peer["ipBlock"] for rule in policies["rag-queue-worker-webhooks"]["egress"] for peer in rule.get("to", ())
    ]
    private = (
        "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 169.254.0.0/16 127.0.0.0/8 100.64.0.0/10 fc00::/7 fe80::/10 ::1"
    )
    for network in map(ip_network, private.split()):
        for block in blocks:
            allowed = ip_network(block["cidr"])
            if allowed.version == network.version and allowed.overlaps(network):
                assert any(_holds(ip_network(out), network) for out in block["except"]), network


def _holds(outer: Any, inner: Any) -> bool:
    return bool(inner.subnet_of(outer))


@needs_helm
def test_board_and_alerts_are_those_of_the_repository() -> None:
    options = SWITCHES["monitoring"]
    [board] = [found for found in _of(options, "ConfigMap") if found["metadata"]["name"].endswith("-board")]
    assert board["data"]["rag-queue.json"] == (ROOT / "deploy/monitoring/grafana/rag-queue.json").read_text()
    rules = {
        found["metadata"]["name"].removeprefix("rag-queue-"): found["spec"]
        for found in _of(options, "PrometheusRule")
    }
    files = sorted((ROOT / "deploy/monitoring/prometheus/rules").glob("*.yml"))
    assert rules == {file.stem: yaml.safe_load(file.read_text()) for file in files}
    assert files


@needs_helm
def test_numbers_are_read_of_every_pod_under_the_names_that_the_board_goes_by() -> None:
    options = SWITCHES["monitoring"]
    [monitor] = _of(options, "ServiceMonitor")
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    services = [found for found in _of(options, "Service") if wanted <= found["metadata"]["labels"].items()]
    for name, pod in _lasting(options).items():
        chosen = [s for s in services if s["spec"]["selector"].items() <= pod["metadata"]["labels"].items()]
        assert len(chosen) == 1, name
        assert chosen[0]["metadata"]["labels"][monitor["spec"]["jobLabel"]] == name.partition("-")[0]
        [port] = chosen[0]["spec"]["ports"]
        assert port["name"] == monitor["spec"]["endpoints"][0]["port"]
        assert port["targetPort"] in _ports(pod)
    assert not any(found["metadata"]["name"] == "rag-queue-api" for found in services)


@needs_helm
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("secrets.API_KEYS=null", "it must know who asks"),
        ("workers.webhooks.enabled=false", "no class of workers serves the queue rag_webhooks"),
        ("workers.webhooks=null", "no class of workers serves the queue rag_webhooks"),
        ("keda.cooldownSeconds=60", "above MODEL_TIMEOUT_SECONDS, 60 in"),
        ("settings.MODEL_TIMEOUT_SECONDS=300", "above MODEL_TIMEOUT_SECONDS, 300 in"),
        ("workers.ingest.autoscaling.min=9", "workers.ingest.autoscaling: min is above max"),
        ("api.autoscaling.min=99", "api.autoscaling: min is above max"),
        ("valkey.sentinel.master=mymaster", "valkey.sentinel.hosts must say"),
        ("settings.TOPK=8", "TOPK"),
        ("secrets.REDIS_PASSWORD=hunter2", "REDIS_PASSWORD"),
    ],
)
def test_values_that_contradict_each_other_are_refused(options: str, told: str) -> None:
    done = run("template", "rag-queue", str(CHART), "--kube-version", "1.34", "--set", options)
    assert done.returncode != 0
    assert told in done.stderr
    assert "hunter2" not in done.stderr


@needs_helm
@pytest.mark.parametrize(
    ("options", "url"),
    [
        ((), "http://127.0.0.1:8000"),
        (SWITCHES["an ingress"], "https://rag.example.com"),
        (SWITCHES["a route"], "https://rag.example.com"),
    ],
)
def test_the_notes_say_how_to_ask_the_first_question(options: tuple[str, ...], url: str, tmp_path: Path) -> None:
    """Helm shows them at an install alone, so a copy of the chart has them in an object."""
    copy = tmp_path / "rag-queue"
    shutil.copytree(CHART, copy)
    (copy / "templates" / "NOTES.txt").rename(copy / "notes")
    (copy / "templates" / "notes.yaml").write_text('kind: Notes\nsaid: {{ tpl (.Files.Get "notes") . | toJson }}\n')
    done = run("template", "rag-queue", str(copy), "-n", "here", "--kube-version", "1.34", *options)
    assert done.returncode == 0, done.stderr
    [said] = [found["said"] for found in objects(done.stdout) if found["kind"] == "Notes"]
    assert f"URL={url}\n" in said
    assert "kubectl -n here rollout status deploy/rag-queue-api" in said
    asked = {f"/{path}" for path in re.findall(r"\$URL/(\w+)", said)}
    assert asked == {"/documents", "/chat", "/readyz"}
    assert asked <= _paths()
    assert "answers quote the documents" in said
    assert ("api.trustedProxies is empty" in said) is bool(options)
    assert "install KEDA" in said


@needs_helm
def test_an_install_of_another_name_has_names_that_fit() -> None:
    done = run("template", "x" * 53, str(CHART), "--kube-version", "1.34", "-a", KEDA)
    names = {found["metadata"]["name"] for found in objects(done.stdout)}
    assert len(names) > 5
    assert all(len(name) <= 63 and re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name) for name in names)


@needs_helm
def test_the_commands_of_the_how_to_work_with_the_values_that_it_shows(tmp_path: Path) -> None:
    """Those of the chart; the values of the charts for Valkey and Qdrant are theirs."""
    page = (ROOT / "docs/how-to/kubernetes.md").read_text()
    blocks = dict(re.findall(r"```yaml\n# (\w+\.yaml)\n(.*?)```", page, re.S))
    (tmp_path / "mine.yaml").write_text(blocks["mine.yaml"])
    commands = [
        shlex.split(command.replace("\\\n", " "))
        for command in re.findall(r"^\$ (helm (?:install|upgrade) rag-queue (?:.*\\\n)*.*)$", page, re.M)
    ]
    assert len(commands) == 2
    for _, _, name, chart, *options in commands:
        words = [
            str(tmp_path / word) if word == "mine.yaml" else word for word in options if word != "--reuse-values"
        ]
        paths = [word.partition("=")[2] if "=deploy/" in word else word for word in words if "deploy/" in word]
        assert all((ROOT / path).exists() for path in paths)
        given = [word.replace("deploy/", f"{ROOT}/deploy/") for word in words]
        done = run("template", name, str(ROOT / chart), "--kube-version", "1.34", *given)
        assert done.returncode == 0, done.stderr
    sizes = dict(re.findall(r"^\| `values-(\w+)\.yaml` \|.*\| ([\d,]+(?: to [\d,]+)?) \|", page, re.M))
    assert set(sizes) == set(SIZES[1:])
    for size, said in sizes.items():
        pods = _pods(("-f", str(values_file(size)), "-a", KEDA))
        places = _environment(("-f", str(values_file(size)), "-a", KEDA), pods["worker-questions"]).get(
            "WORKER_CONCURRENCY"
        )
        each = int(str(places)) if places else Settings.model_fields["worker_concurrency"].default
        scaled = {
            s["metadata"]["name"]: s["spec"] for s in _of(("-f", str(values_file(size)), "-a", KEDA), "ScaledObject")
        }
        found = scaled.get("rag-queue-worker-questions", {"minReplicaCount": 1, "maxReplicaCount": 1})
        numbers = sorted({each * found["minReplicaCount"], each * found["maxReplicaCount"]})
        assert said == " to ".join(f"{number:,}" for number in numbers)
