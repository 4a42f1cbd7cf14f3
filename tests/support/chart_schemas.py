"""Objects that the chart makes and Kubernetes does not define: their operators' definitions, and shapes of ours.

KEDA's and prometheus-operator's own definitions come with cloudcoil's models of them, from PyPI. They leave open what
a trigger's values are; nor has PyPI Gateway API's. So there are shapes here, too, written from documentation and
closed: what stands in no shape is a slip. KEDA 2.16's ScaledObject and TriggerAuthentication (keda.sh/docs,
"ScaledObject specification", "Redis Lists", "Authentication"); Gateway API v1's HTTPRoute; prometheus-operator's
ServiceMonitor and PrometheusRule.
"""

from importlib import import_module
from typing import Any

import jsonschema
from pydantic import BaseModel, ValidationError

Schema = dict[str, Any]

TEXT: Schema = {"type": "string", "minLength": 1}
COUNT: Schema = {"type": "integer", "minimum": 1}
NUMERAL: Schema = {"type": "string", "pattern": "^[0-9]+$"}
FLAG: Schema = {"enum": ["true", "false"]}
TEXTS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}


def closed(optional: Schema | None = None, **required: Schema) -> Schema:
    """An object with these properties and no other."""
    properties = required | (optional or {})
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": list(required)}


def some(items: Schema) -> Schema:
    """A list that is not empty."""
    return {"type": "array", "minItems": 1, "items": items}


def thing(api: str, kind: str, spec: Schema) -> Schema:
    """A whole object."""
    metadata = closed({"annotations": TEXTS}, name={"type": "string", "maxLength": 63}, labels=TEXTS)
    return closed(apiVersion={"const": api}, kind={"const": kind}, metadata=metadata, spec=spec)


LENGTH_OF: Schema = {"databaseIndex": NUMERAL, "listName": TEXT, "listLength": NUMERAL, "enableTLS": FLAG}
"""Values of a trigger's metadata are strings, whatever they mean."""


def trigger(kind: str, **place: Schema) -> Schema:
    """A trigger by the length of a list of Redis, which is found at `place`."""
    return closed(
        {"authenticationRef": closed(name=TEXT)},
        type={"const": kind},
        name={"type": "string", "pattern": "^[a-z_]+$"},  # an identifier of the formula
        metadata=closed(**place, **LENGTH_OF),
    )


ADDRESS = "[^:/@,]+:[0-9]+"
REDIS_TRIGGER: Schema = {
    "anyOf": [
        trigger("redis", address={"type": "string", "pattern": f"^{ADDRESS}$"}),
        trigger(
            "redis-sentinel",
            addresses={"type": "string", "pattern": f"^{ADDRESS}(,{ADDRESS})*$"},
            sentinelMaster=TEXT,
        ),
    ]
}
SHRINKING = closed(
    stabilizationWindowSeconds={"type": "integer", "minimum": 0, "maximum": 3600},
    policies=some(closed(type={"enum": ["Pods", "Percent"]}, value=COUNT, periodSeconds={**COUNT, "maximum": 1800})),
)
SCALED_OBJECT = thing(
    "keda.sh/v1alpha1",
    "ScaledObject",
    closed(
        scaleTargetRef=closed(name=TEXT),
        pollingInterval=COUNT,
        cooldownPeriod=COUNT,
        minReplicaCount=COUNT,
        maxReplicaCount=COUNT,
        fallback=closed(failureThreshold=COUNT, replicas=COUNT),
        advanced=closed(
            horizontalPodAutoscalerConfig=closed(behavior=closed(scaleDown=SHRINKING)),
            # A fallback works for averages alone.
            scalingModifiers=closed(formula=TEXT, target=NUMERAL, metricType={"const": "AverageValue"}),
        ),
        triggers=some(REDIS_TRIGGER),
    ),
)
TRIGGER_AUTHENTICATION = thing(
    "keda.sh/v1alpha1",
    "TriggerAuthentication",
    closed(
        secretTargetRef=some(
            closed(parameter={"enum": ["username", "password", "sentinelPassword", "ca"]}, name=TEXT, key=TEXT)
        )
    ),
)
HTTP_ROUTE = thing(
    "gateway.networking.k8s.io/v1",
    "HTTPRoute",
    closed(
        {"hostnames": some(TEXT)},
        parentRefs=some(closed({"namespace": TEXT, "sectionName": TEXT}, name=TEXT)),
        rules=some(
            closed(
                matches=some(closed(path=closed(type={"enum": ["Exact", "PathPrefix"]}, value=TEXT))),
                timeouts=closed(request={"type": "string", "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$"}),
                backendRefs=some(closed(name=TEXT, port=COUNT)),
            )
        ),
    ),
)
SERVICE_MONITOR = thing(
    "monitoring.coreos.com/v1",
    "ServiceMonitor",
    closed(
        jobLabel=TEXT,
        selector=closed(matchLabels=TEXTS),
        endpoints=some(closed(port=TEXT, interval={"type": "string", "pattern": "^[1-9][0-9]*(ms|s|m)$"})),
    ),
)
RULE = closed(
    {"record": TEXT, "alert": TEXT, "for": TEXT, "labels": TEXTS, "annotations": TEXTS, "keep_firing_for": TEXT},
    expr=TEXT,
)
PROMETHEUS_RULE = thing(
    "monitoring.coreos.com/v1",
    "PrometheusRule",
    closed(groups=some(closed({"interval": TEXT}, name=TEXT, rules=some(RULE)))),
)
CUSTOM = {
    shape["properties"]["kind"]["const"]: shape
    for shape in (SCALED_OBJECT, TRIGGER_AUTHENTICATION, HTTP_ROUTE, SERVICE_MONITOR, PROMETHEUS_RULE)
}
"""By kind."""


def custom_problems(found: Schema) -> list[str]:
    """What is wrong with an object of a kind in `CUSTOM`, each in a line."""
    errors = jsonschema.Draft7Validator(CUSTOM[found["kind"]]).iter_errors(found)
    return [*(f"{'.'.join(map(str, e.absolute_path))}: {e.message}" for e in errors), *defined_problems(found)]


_OF_KEDA = "cloudcoil.models.keda.v1alpha1"
_OF_PROMETHEUS = "cloudcoil.models.prometheus_operator.v1"
_DEFINED_IN = {
    "ScaledObject": _OF_KEDA,
    "TriggerAuthentication": _OF_KEDA,
    "ServiceMonitor": _OF_PROMETHEUS,
    "PrometheusRule": _OF_PROMETHEUS,
}
"""Modules, which take seconds to import."""


def defined_problems(found: Schema) -> list[str]:
    """What its operator's definition says against it; none is at hand for a route of the Gateway API."""
    if found["kind"] not in _DEFINED_IN:
        return []
    definition: type[BaseModel] = getattr(import_module(_DEFINED_IN[found["kind"]]), found["kind"])
    try:
        taken = definition.model_validate(found)
    except ValidationError as error:
        return [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
    known = taken.model_dump(by_alias=True, exclude_unset=True, mode="json")
    return [] if known == found else [f"there are fields that {found['kind']} does not have"]
