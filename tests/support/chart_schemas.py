"""Shapes of the objects that the chart makes and Kubernetes does not define itself, as far as the chart uses them.

Written from their documentation, closed: what stands in no shape here is a slip. KEDA 2.16's ScaledObject and
TriggerAuthentication (keda.sh/docs, "ScaledObject specification", "Redis Lists", "Authentication"); Gateway API v1's
HTTPRoute; prometheus-operator's ServiceMonitor and PrometheusRule.
"""

from typing import Any

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
