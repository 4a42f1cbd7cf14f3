"""Alerts, board, configuration and docs/operating.md name metrics and labels that there are, and one another."""

import json
import re
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.core.contract import QUEUES
from app.core.metrics.families import QUEUE_FAMILIES, ApiFamilies, WorkerFamilies
from tests.support import ROOT
from tests.support.prometheus import MISSING, tool
from tests.support.promql import labels_left, read

MONITORING = ROOT / "deploy/monitoring"
OPERATING = (ROOT / "docs/operating.md").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
BOARD: dict[str, Any] = json.loads((MONITORING / "grafana/rag-queue.json").read_text())
PROMETHEUS: dict[str, Any] = yaml.safe_load((MONITORING / "prometheus/prometheus.yml").read_text())
PROMTOOL = tool("promtool")

SCRAPED = frozenset({"job", "instance"})
"""Labels that Prometheus adds to all that it scrapes."""
FOREIGN: dict[str, frozenset[str]] = {
    "up": frozenset(),
    "ALERTS": frozenset({"alertname", "alertstate", "severity"}),
    "redis_up": frozenset(),
    "redis_memory_used_bytes": frozenset(),
    "redis_memory_max_bytes": frozenset(),
}
"""Prometheus's own, and those of redis_exporter."""
GRAFANAS_OWN = {"__all", "__rate_interval"}


def rules(file: str) -> list[dict[str, Any]]:
    [group] = yaml.safe_load((MONITORING / "prometheus/rules" / file).read_text())["groups"]
    return list(group["rules"])


ALERTS = rules("alerts.yml")
RECORDED = {rule["record"]: rule["expr"] for rule in rules("recording.yml")}


def families() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Kind and labels of each family, by the name that Prometheus knows it by."""
    found = {}
    for registry in (ApiFamilies().registry, WorkerFamilies().registry):
        for family in registry._collector_to_names:
            kind, labels = family._type, family._labelnames  # type: ignore[attr-defined]
            name = family._name + ("_total" if kind == "counter" else "")  # type: ignore[attr-defined]
            found[name] = (kind, tuple(labels))
    for name, (_, labels) in QUEUE_FAMILIES.items():
        found[name] = ("counter" if name.endswith("_total") else "gauge", tuple(labels))
    return found


FAMILIES = families()


def series() -> dict[str, frozenset[str]]:
    """Everything that can be asked for, and its labels."""
    known = dict(FOREIGN)
    for name, (kind, labels) in FAMILIES.items():
        if kind == "histogram":
            known |= {f"{name}_{suffix}": frozenset(labels) for suffix in ("sum", "count")}
            known[f"{name}_bucket"] = frozenset((*labels, "le"))
        else:
            known[name] = frozenset(labels)
    known = {name: labels | SCRAPED for name, labels in known.items()}
    for name, expression in RECORDED.items():
        left = labels_left(expression)
        known[name] = known[next(iter(read(expression).metrics))] if left is None else left
    return known


SERIES = series()
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
SHOWN = [(panel["title"], target) for panel in PANELS for target in panel["targets"]]
ASKED = {
    **{f"alert {rule['alert']} {rule['labels']['severity']}": rule["expr"] for rule in ALERTS},
    **{f"record {name}": expression for name, expression in RECORDED.items()},
    **{f"{title} {target['refId']}": target["expr"] for title, target in SHOWN},
}


@pytest.mark.parametrize("expression", ASKED.values(), ids=ASKED)
def test_a_query_names_metrics_that_there_are_and_labels_that_they_have(expression: str) -> None:
    query = read(expression)
    assert query.metrics
    for name, matched in query.metrics.items():
        assert name in SERIES
        assert matched <= SERIES[name], name
    assert query.grouped <= frozenset().union(*(SERIES[name] for name in query.metrics))


def test_a_query_that_names_none_or_a_label_that_is_none_is_found() -> None:
    assert read("vector(0) or 1").metrics == {}
    query = read('sum by (le, x) (rate(a_b{c=~"$d", e!="}{f="}[$__rate_interval])) / on (g) (h:i > 0) unless on () 5')
    assert query.metrics == {"a_b": {"c", "e"}, "h:i": set()}
    assert query.grouped == {"le", "x", "g"}
    assert read("count(up == 0) or vector(0)").metrics == {"up": set()}
    assert labels_left("sum by (queue, status) (x)") == frozenset({"queue", "status"})
    assert labels_left("sum(max by (name) (x))") == frozenset()
    assert labels_left("x / (y > 0)") is None


def test_every_number_that_is_counted_is_on_the_board() -> None:
    named = {name for _, target in SHOWN for name in read(target["expr"]).metrics}
    for _ in range(2):  # a rule may read one that reads a rule
        named |= {below for name in named & set(RECORDED) for below in read(RECORDED[name]).metrics}
    assert {
        name for name in FAMILIES if not any(re.fullmatch(rf"{name}(_bucket|_sum|_count)?", n) for n in named)
    } == set()


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_how_bad_it_is_and_where_its_runbook_is(rule: dict[str, Any]) -> None:
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert all(rule["annotations"].values())
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"]["runbook_url"] == f"docs/operating.md#{rule['alert'].lower()}"
    written = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
    assert written <= frozenset().union(*(SERIES[name] for name in read(rule["expr"]).metrics))


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    runbooks = OPERATING.partition("\n## Runbooks\n")[2]
    headings = re.findall(r"^### (\w+)$", runbooks, re.M)
    assert len(headings) == len(set(headings))
    assert set(headings) == {rule["alert"] for rule in ALERTS}
    for runbook in re.split(r"^### \w+$", runbooks, flags=re.M)[1:]:
        assert re.findall(r"^\*\*(.+?)\*\*", runbook, re.M) == ["It means", "Check", "Do"]


def test_every_alert_is_tried_by_promtool_both_ways() -> None:
    cases = yaml.safe_load((MONITORING / "tests/alerts.yml").read_text())["tests"]
    tried = [(check["alertname"], bool(check["exp_alerts"])) for case in cases for check in case["alert_rule_test"]]
    assert set(tried) == {(rule["alert"], fires) for rule in ALERTS for fires in (True, False)}


def test_every_row_of_the_tables_is_a_metric_and_every_metric_has_its_row() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (counter|gauge|histogram) \| ([`\w, ]*)\| .+ \|$", OPERATING, re.M)
    assert len(rows) == len({name for name, *_ in rows})
    assert {name: (kind, tuple(re.findall(r"\w+", labels))) for name, kind, labels in rows} == FAMILIES


def test_every_metric_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`((?:rag|rq|gen_ai|redis)_\w+)`", OPERATING))
    labels = {label for _, labels in FAMILIES.values() for label in labels}
    assert named - labels - set(QUEUES) - {"redis_exporter"} <= set(SERIES) | set(FAMILIES)


def test_panels_are_of_the_kinds_that_last_and_lie_beside_one_another() -> None:
    assert {panel["type"] for panel in BOARD["panels"]} == {"row", "stat", "timeseries"}
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    assert all(panel["title"] and panel["description"] for panel in PANELS)
    places = [panel["gridPos"] for panel in BOARD["panels"]]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        beneath = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or beneath, (one, other)


def test_the_rows_are_those_of_the_page() -> None:
    rows = [panel["title"].lower() for panel in BOARD["panels"] if panel["type"] == "row"]
    listed = ", ".join(rows[:-1]).replace("api", "API")
    assert f"{listed}, API" in re.sub(r"\s+", " ", OPERATING)


def test_every_variable_exists_and_is_used_and_takes_its_values_from_a_label_that_there_is() -> None:
    variables = {variable["name"]: variable for variable in BOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(BOARD)))
    assert used == set(variables) | GRAFANAS_OWN
    assert {"queue", "model"} < set(variables)
    for variable in variables.values():
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
            assert found
            assert found[2] in SERIES[found[1]]


def test_a_legend_shows_labels_that_are_left() -> None:
    for title, target in SHOWN:
        query = read(target["expr"])
        left = query.grouped or frozenset().union(*(SERIES[name] for name in query.metrics))
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= left, title


def test_every_query_goes_to_the_source_that_is_chosen() -> None:
    for panel in PANELS:
        for place in (panel, *panel["targets"]):
            assert place["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def _mounts(service: str) -> dict[str, Path]:
    """Where the service sees which of the repository's files; all of them are read-only."""
    found = {}
    for volume in COMPOSE["services"][service]["volumes"]:
        source, target, *options = volume.split(":")
        if source.startswith("./"):
            assert options == ["ro"]
            assert (ROOT / source).exists()
            found[target] = (ROOT / source).resolve()
    return found


def test_grafana_finds_the_board_and_its_source() -> None:
    mounts = _mounts("grafana")
    provisioning = mounts["/etc/grafana/provisioning"]
    [provider] = yaml.safe_load(next(provisioning.glob("dashboards/*.yml")).read_text())["providers"]
    path = provider["options"]["path"]
    assert [file for target, file in mounts.items() if Path(target).parent == Path(path)] == [
        MONITORING / "grafana/rag-queue.json"
    ]
    [source] = yaml.safe_load(next(provisioning.glob("datasources/*.yml")).read_text())["datasources"]
    assert source["type"] == "prometheus"
    assert source["url"] == "http://prometheus:9090"
    assert source["jsonData"]["timeInterval"] == PROMETHEUS["global"]["scrape_interval"]


def test_prometheus_finds_its_configuration_and_every_page() -> None:
    [(target, folder)] = _mounts("prometheus").items()
    assert f"--config.file={target}/prometheus.yml" in COMPOSE["services"]["prometheus"]["command"]
    assert folder == MONITORING / "prometheus"
    for scrape in PROMETHEUS["scrape_configs"]:
        for found in scrape.get("dns_sd_configs", ()):
            [name] = found["names"]
            assert name == scrape["job_name"]
            environment = COMPOSE["services"][name]["environment"]
            assert (environment["METRICS_HOST"], environment["METRICS_PORT"]) == ("0.0.0.0", str(found["port"]))
        for static in scrape.get("static_configs", ()):
            for address in static["targets"]:
                assert address.partition(":")[0] in COMPOSE["services"]
    jobs = {scrape["job_name"] for scrape in PROMETHEUS["scrape_configs"]}
    assert set(re.findall(r'job="(\w+)"', json.dumps(ALERTS).replace('\\"', '"'))) <= jobs


@pytest.mark.skipif(PROMTOOL is None, reason=MISSING)
@pytest.mark.parametrize(
    "arguments",
    [("check", "config", "prometheus/prometheus.yml"), ("test", "rules", "tests/alerts.yml")],
    ids=" ".join,
)
def test_promtool_is_content(arguments: tuple[str, ...]) -> None:
    assert PROMTOOL is not None
    done = subprocess.run(
        [PROMTOOL, *arguments], cwd=MONITORING, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(PROMTOOL is None, reason=MISSING)
def test_promtool_can_read_every_query_of_the_board(tmp_path: Path) -> None:
    assert PROMTOOL is not None
    queries = [re.sub(r"\$__rate_interval", "5m", target["expr"]) for _, target in SHOWN]
    made = [{"record": f"board:{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "board.yml").write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": made}]}))
    done = subprocess.run(
        [PROMTOOL, "check", "rules", str(tmp_path / "board.yml")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
