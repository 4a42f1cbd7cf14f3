"""The one line at a start: what is on, and no secret."""

from typing import Any

import pytest
from pydantic import SecretStr

from app.core.overview import overview, place
from app.core.settings import Settings
from tests.support.credentials import api_key

SECRET = "hunter2hunter2hunter2hunter2hunter2"


def test_nothing_set_is_everything_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert overview(Settings()) == {
        "model": "extractive",
        "model_server": "off",
        "embedding": "bm25",
        "index": "embedded",
        "queue": "embedded",
        "auth": "this machine alone",
        "rerank": "off",
        "caches": "off",
        "chat_log": "off",
        "metrics": "off",
        "traces": "off",
        "questions_and_answers": "not logged",
    }


def test_all_that_is_set_is_shown_without_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://user:{SECRET}@collector:4318")
    url = f"http://user:{SECRET}@host:1/{SECRET}?key={SECRET}#{SECRET}"
    shown = overview(
        Settings(
            openai_api_key=SecretStr(SECRET), openai_base_url=url, embedding_base_url=url, embedding_model="e",
            chat_model="m", qdrant_url=url, qdrant_api_key=SecretStr(SECRET), rerank_url=url,
            rerank_api_key=SecretStr(SECRET),
            redis_url=SecretStr(f"rediss://user:{SECRET}@[::1]:6380/0?x={SECRET}"), jwt_secret=SecretStr(SECRET),
            api_keys=api_key("web")[1], link_secret=SecretStr(SECRET), metrics_port=9100, log_content=True,
            answer_cache_ttl_seconds=60, semantic_cache_threshold=0.95,
        )
    )  # fmt: skip
    assert shown == {
        "model": "m",
        "model_server": "http://host:1",
        "embedding": "e",
        "index": "http://host:1",
        "queue": "rediss://[::1]:6380",
        "auth": "keys+jwt",
        "rerank": "http://host:1",
        "caches": "answers for 60 s, semantic from 0.95",
        "chat_log": "off",
        "metrics": "on, port 9100",
        "traces": "on",
        "questions_and_answers": "logged",
    }


@pytest.mark.parametrize(
    ("variables", "is_on"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_traces_are_what_opentelemetrys_own_variables_say(
    variables: dict[str, str], is_on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert overview(Settings())["traces"] == ("on" if is_on else "off")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (None, None),
        ("unix:///run/valkey.sock?password=x", "unix socket"),
        ("redis://:p@h/0", "redis://h"),
        ("https://h.example/path", "https://h.example"),
    ],
)
def test_of_an_address_only_scheme_host_and_port_are_shown(url: Any, shown: Any) -> None:
    assert place(url) == shown
