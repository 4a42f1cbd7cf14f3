"""Settings: defaults, limits that agree, secrets that stay unseen, and .env.example that tells the truth."""

import re

import pytest
from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource

from app.core.settings import Settings, _Variables, explain
from tests.support import ROOT

EXAMPLE = ROOT / ".env.example"


def test_example_and_settings_name_the_same_variables_with_the_same_defaults() -> None:
    shown = dict(re.findall(r"^#([A-Z_]+)=(.*)$", EXAMPLE.read_text(), re.M))
    of_the_tests_own = ("data_dir", "answer_cache_ttl_seconds")
    settings = Settings(**{name: Settings.model_fields[name].default for name in of_the_tests_own})
    actual = {
        name.upper(): "" if getattr(settings, name) is None else f"{getattr(settings, name)}"
        for name in Settings.model_fields
    }
    assert {name: _number(value) for name, value in shown.items()} == {
        name: _number(value) for name, value in actual.items()
    }


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_variable_is_read_as_the_library_reads_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is set is looked at; what comes of it is the same."""
    monkeypatch.setenv(name.upper(), "1")
    assert name in _Variables(Settings)()
    assert _Variables(Settings)() == EnvSettingsSource(Settings)()


def _number(value: str) -> float | str:
    """60.0 in the code is 60 in the file, and False is false."""
    return float(value) if value.replace(".", "", 1).isdigit() else value.lower()


@pytest.mark.parametrize(("model", "job", "result"), [(180, 180, 86_400), (60, 86_400, 86_400), (200, 180, 86_400)])
def test_time_outs_that_contradict_each_other_are_refused(model: int, job: int, result: int) -> None:
    with pytest.raises(ValidationError, match="MODEL_TIMEOUT_SECONDS < JOB_TIMEOUT_SECONDS < RESULT_TTL_SECONDS"):
        Settings(
            model_timeout_seconds=model, job_timeout_seconds=min(job, 7200), result_ttl_seconds=min(result, 7200)
        )


def test_secrets_are_not_printed() -> None:
    settings = Settings(openai_api_key="sk-hunter2", qdrant_api_key="q-hunter2", redis_url="redis://:hunter2@h/0")
    assert "hunter2" not in f"{settings!r} {settings}"


def test_wrong_settings_are_explained_by_name_and_never_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "sk-pasted-into-the-wrong-line")
    monkeypatch.setenv("OPENAI_BASE_URL", "ftp://x")
    with pytest.raises(ValidationError) as caught:
        Settings()
    explained = explain(caught.value)
    assert "PORT: " in explained
    assert "OPENAI_BASE_URL: " in explained
    assert "sk-pasted" not in explained


@pytest.mark.parametrize(
    "url", ["host:6333", "http://host:abc", "http://", "http://host:99999", "file:///etc/passwd"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="qdrant_url"):
        Settings(qdrant_url=url)


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    assert not Settings().has_chat_model


def test_a_base_url_alone_selects_the_model() -> None:
    assert Settings(openai_base_url="http://localhost:11434/v1/").openai_base_url == "http://localhost:11434/v1"
    assert Settings(openai_base_url="http://localhost:11434/v1").has_chat_model


def test_settings_with_prices_are_a_key_as_others_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_PRICES", "a=1/2, b=0/0.5")
    settings = Settings()
    assert settings.model_prices == {"a": (1.0, 2.0), "b": (0.0, 0.5)}
    assert hash(settings) == hash(Settings())
