"""The API held to its OpenAPI document: whatever is sent, the answer is one that the document names.

FUZZ_EXAMPLES is how many requests are made up for each operation; `make fuzz` makes many.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import CHECKS
from schemathesis.generation import GenerationMode

from app import schemas as app_schemas
from app.core.settings import Settings
from app.openapi.examples import EXAMPLES
from app.routes import history_schemas, usage_schemas, watch_schemas
from app.routes.openai import schemas as openai_schemas
from tests.support.api import serving

REQUESTS = int(os.environ.get("FUZZ_EXAMPLES", "3"))
CHECKED = (
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "status_code_conformance",
)
STATED_SERVER_ERROR = 503
MODULES = (app_schemas, watch_schemas, usage_schemas, history_schemas, openai_schemas)
"""Where the models of answers are."""
COMPLETIONS = "/v1/chat/completions"
"""The one that waits for its answer, and says so with a 504 when that takes too long."""


@pytest.fixture(scope="module")
def url(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("documents")
    # No worker runs, so that a completion, which waits for its answer, is one that took too long.
    limits: dict[str, Any] = {"model_timeout_seconds": 1, "job_timeout_seconds": 2}
    with serving(Settings(redis_url=valkey_url, qdrant_url="http://127.0.0.1:9", data_dir=folder, **limits)) as url:
        yield url


def test_every_answer_is_one_of_the_document(url: str, subtests: pytest.Subtests) -> None:
    document = schemathesis.openapi.from_url(f"{url}/openapi.json")
    for found in document.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]  # raises for a document that is none
        with subtests.test(operation.label):
            _fuzz(operation)


def _fuzz(operation: Any) -> None:
    """Requests as the document wants them, and requests that break it."""
    _hold_for(operation.as_strategy())
    with suppress(Unsatisfiable):  # nothing can be wrong with a request that takes nothing
        _hold_for(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))


def _hold_for(cases: Any) -> None:
    bounds = settings(
        max_examples=REQUESTS, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    bounds(given(case=cases)(_hold))()


def _hold(case: schemathesis.Case[Any]) -> None:
    if case.headers is not None:
        case.headers.pop("Prefer", None)  # no worker runs, so that a wait would be one to its end
    if case.query:
        case.query.pop("wait", None)
    response = case.call(timeout=20, allow_redirects=False)
    is_late = response.status_code == 504 and case.operation.path == COMPLETIONS
    assert response.status_code < 500 or response.status_code == STATED_SERVER_ERROR or is_late
    checks: list[Any] = [CHECKS.get_one(name) for name in CHECKED]
    case.validate_response(response, checks=checks)


def test_each_example_is_one(url: str) -> None:
    schemas = httpx.get(f"{url}/openapi.json").json()["components"]["schemas"]
    for name, example in EXAMPLES.items():
        assert schemas[name]["examples"] == [example]
        model = next(getattr(module, name) for module in MODULES if hasattr(module, name))
        model.model_validate(example)


def test_each_operation_names_its_errors_and_has_an_example(url: str) -> None:
    document = httpx.get(f"{url}/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            name = f"{method} {path}"
            assert operation["summary"], name
            assert operation["description"], name
            errors = {status for status in operation["responses"] if status >= "400"}
            if path not in ("/", "/healthz"):
                assert errors, name
            answer = next(answer for status, answer in operation["responses"].items() if status.startswith("2"))
            for media_type, content in answer.get("content", {}).items():
                shape = content.get("schema", {}).get("$ref", "").rsplit("/", 1)[-1]
                is_shown = "example" in content or document["components"]["schemas"].get(shape, {}).get("examples")
                assert is_shown or media_type in ("application/octet-stream", "image/png"), name
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if body is not None:
                model = document["components"]["schemas"][body["schema"]["$ref"].rsplit("/", 1)[1]]
                assert "examples" in body or "example" in body or model.get("examples"), name
