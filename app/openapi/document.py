"""The OpenAPI document, with the one shape that every error has and every type of it."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.openapi import problems
from app.openapi.examples import EXAMPLES, HISTORY, OPENAI_STREAM, STREAM
from app.schemas import ChatRequest, Problem


def install(app: FastAPI) -> None:
    """Make `app` describe its errors as the problem documents that they are."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                description=f"{app.description}\n\n{problems.section()}",
                routes=app.routes,
                tags=app.openapi_tags,
                servers=app.servers,
            )
            components = document.setdefault("components", {}).setdefault("schemas", {})
            for model in (Problem, ChatRequest):
                schema = model.model_json_schema(ref_template="#/components/schemas/{model}", by_alias=True)
                components |= schema.pop("$defs", {}) | {model.__name__: schema}
            components["Problem"]["properties"]["type"]["enum"] = problems.types()
            for unused in ("HTTPValidationError", "ValidationError"):
                components.pop(unused, None)
            _add_examples(document)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _add_examples(document: dict[str, Any]) -> None:
    for name, example in EXAMPLES.items():
        document["components"]["schemas"][name]["examples"] = [example]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            content = operation["responses"].get("200", {}).get("content", {})
            if "text/event-stream" in content:
                content["text/event-stream"]["example"] = OPENAI_STREAM if path.startswith("/v1/") else STREAM
            for media_type, shown in content.items():
                if (example := HISTORY.get(media_type.partition(";")[0])) is not None:
                    shown["example"] = example
