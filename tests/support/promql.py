"""What a query of Prometheus names: metrics, and the labels that it asks of each. Enough of PromQL for ours."""

import re
from dataclasses import dataclass

OPERATORS = frozenset(
    {"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring", "group_left", "Inf"}
)

STRING = r'"(?:[^"\\]|\\.)*"'
GROUPING = re.compile(r"\b(by|on)\s*\(([^()]*)\)")
SELECTOR = re.compile(rf"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{{((?:{STRING}|[^{{}}\"])*)\}})?(?!\s*\()")
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
MATCHER = re.compile(rf"([a-zA-Z_][a-zA-Z0-9_]*)\s*(?:=~|!~|!=|=)\s*{STRING}")
AGGREGATION = re.compile(r"(?:sum|max|min|count|avg)\s*(?:by\s*\(([^()]*)\)\s*)?\(")


@dataclass(frozen=True)
class Query:
    """A query's metrics, each with the labels that its selectors match; and the labels that it groups or joins by."""

    metrics: dict[str, frozenset[str]]
    grouped: frozenset[str]


def read(expression: str) -> Query:
    """What `expression` names."""
    grouped = {label for _, labels in GROUPING.findall(expression) for label in _split(labels)}
    rest = re.sub(r"\[[^\]]*\]", " ", GROUPING.sub(" ", expression))
    metrics: dict[str, frozenset[str]] = {}
    at = 0
    while found := NAME.search(rest, at):
        selector = SELECTOR.match(rest, found.start())
        at = found.end()
        if selector is None or selector[1] != found[0] or found[0] in OPERATORS:
            continue
        at = selector.end()
        matched = frozenset(MATCHER.findall(selector[2] or ""))
        metrics[found[0]] = metrics.get(found[0], frozenset()) | matched
    return Query(metrics, frozenset(grouped))


def labels_left(expression: str) -> frozenset[str] | None:
    """The labels of what `expression`, an aggregation, gives; None when it is none, and all are left."""
    found = AGGREGATION.match(expression.strip())
    return frozenset(_split(found[1] or "")) if found else None


def _split(labels: str) -> list[str]:
    return [label.strip() for label in labels.split(",") if label.strip()]
