"""What is wrong with a request that is not as its address takes it, told without any value of the caller's."""

from collections.abc import Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.requests import Request


def is_malformed_json(request: Request, error: RequestValidationError) -> bool:
    """Whether the body is not JSON at all."""
    return any(found["type"] == "json_invalid" for found in error.errors())


def is_other_media_type(request: Request, error: RequestValidationError) -> bool:
    """Whether the request has a body that does not call itself JSON."""
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    subtype = request.headers.get("content-type", "").split(";")[0].strip().lower()
    return has_body and not (subtype == "application/json" or subtype.endswith("+json"))


def described(error: RequestValidationError) -> list[dict[str, str]]:
    """Each thing that is wrong: where (a JSON pointer or a parameter's name) and what; never the value."""
    return [_described(found) for found in error.errors()]


def _described(found: Mapping[str, Any]) -> dict[str, str]:
    where, *path = found["loc"]
    if found["type"] == "extra_forbidden":  # the last step is a name that the caller made up
        return {
            "in": str(where),
            "pointer": _pointer(path[:-1]),
            "detail": "There is a field that is not known here.",
        }
    return {"in": str(where), "pointer": _pointer(path), "detail": str(found["msg"])}


def _pointer(path: list[Any]) -> str:
    return "".join(f"/{step}" for step in path)
