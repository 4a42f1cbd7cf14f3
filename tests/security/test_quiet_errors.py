"""Whoever reads the logs: what a client sent, a question, an address or a secret, is not in the words of an error."""

# ruff: noqa: RUF001  tables of hostile text

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from app.core.contract import Webhook
from app.core.settings import Settings
from app.schemas import ChatRequest, WebhookRequest
from tests.support import ROOT
from tests.support.api import serving

HINT = "hunter2"


def _modules() -> Iterator[Any]:
    """Those that have to do with models; others may be programs, which run when they are imported."""
    for package in ("app", "worker", "ingest"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if re.search("pydantic|QuietModel|Frozen", path.read_text()) and path.stem != "__main__":
                yield import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


MODULES = list(_modules())
MODELS = {
    one
    for module in MODULES
    for _, one in inspect.getmembers(module, inspect.isclass)
    if issubclass(one, BaseModel) and one.__module__.partition(".")[0] in ("app", "worker", "ingest")
}
OWN_CHANGES = {"_CHANGES"}
"""A dictionary of what our own code changes, from no request; pydantic hides no input of its kind."""
ADAPTERS = {
    f"{module.__name__}.{name}": one
    for module in MODULES
    for name, one in vars(module).items()
    if isinstance(one, TypeAdapter) and name not in OWN_CHANGES
}


@pytest.mark.parametrize("model", sorted(MODELS, key=str), ids=str)
def test_no_models_error_says_what_it_was_given(model: type[BaseModel]) -> None:
    assert model.model_config.get("hide_input_in_errors") is True


def test_all_models_are_among_them() -> None:
    assert {Settings, Webhook, WebhookRequest, ChatRequest} <= MODELS
    assert len(MODELS) > 60


@pytest.mark.parametrize("name", ADAPTERS)
def test_no_adapters_error_says_what_it_was_given(name: str) -> None:
    for given in (f"{HINT} {HINT}", {"status": HINT, "pages": HINT}, [HINT]):
        with pytest.raises(ValidationError) as caught:
            ADAPTERS[name].validate_python(given)
        assert HINT not in str(caught.value)


def test_what_is_wrong_with_a_request_is_said_still(valkey_url: str) -> None:
    with serving(Settings(redis_url=valkey_url)) as url:
        answer = httpx.post(f"{url}/chat", json={"query": HINT, "top_k": 1_000, "collection": "a b"})
    assert answer.status_code == 422
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/top_k", "/collection"}
    assert all(error["detail"] for error in answer.json()["errors"])
    assert HINT not in answer.text


@pytest.mark.parametrize("scheme", ["https", "HTTPS", "Https", "hTTpS"])
def test_a_webhook_s_scheme_may_be_written_in_any_case(
    scheme: str, valkey_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    hook = {"url": f"{scheme}://Receiver.example/{HINT}?Q=A", "secret": "whsec_" + "A" * 32}
    assert WebhookRequest.model_validate(hook).url == f"https://Receiver.example/{HINT}?Q=A"
    with serving(Settings(redis_url=valkey_url)) as url:
        answer = httpx.post(f"{url}/chat", json={"query": "?", "webhook": hook})
    assert answer.status_code == 202
    assert HINT not in caplog.text


@pytest.mark.parametrize("scheme", ["HTTP", "http", "Http"])
def test_http_is_refused_in_any_case(scheme: str, valkey_url: str) -> None:
    hook = {"url": f"{scheme}://receiver.example/", "secret": "whsec_" + "A" * 32}
    with serving(Settings(redis_url=valkey_url)) as url:
        answer = httpx.post(f"{url}/chat", json={"query": "?", "webhook": hook})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/webhook/url"


@pytest.mark.parametrize("colon", ["://", ":/", ":", ":\\\\", ":///"])
@pytest.mark.parametrize("head", ["https", "HTTPS", "\thttps", " https", "httpſ", "ftp", ""])
@pytest.mark.parametrize(
    "host", ["h", "h:443", "h:x", "[::1]", "[", "u@h", "h\n", "h#", "h?", "é", "%", "h..", "-", "h/ a"]
)
def test_what_is_taken_for_a_url_is_one_on_its_way_to_the_worker_too(head: str, colon: str, host: str) -> None:
    try:
        url = WebhookRequest(url=f"{head}{colon}{host}").url
    except ValidationError:
        return
    assert Webhook(url=url).url == url
