"""The OpenAPI document, with the one shape that every error has."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.schemas import ChatRequest, Problem


def install(app: FastAPI) -> None:
    """Make `app` describe its errors as the problem documents that they are."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
            )
            components = document.setdefault("components", {}).setdefault("schemas", {})
            for model in (Problem, ChatRequest):
                schema = model.model_json_schema(ref_template="#/components/schemas/{model}", by_alias=True)
                components |= schema.pop("$defs", {}) | {model.__name__: schema}
            for unused in ("HTTPValidationError", "ValidationError"):
                components.pop(unused, None)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
