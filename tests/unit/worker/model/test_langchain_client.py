"""How a provider's client is made: by the class's own names for things, and with a word on what is missing."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from langchain.chat_models import base as chat_models
from langchain.embeddings import base as embeddings
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from app.core.errors import ConfigurationError
from app.core.settings import Settings
from worker.model.chat import ChatModel
from worker.model.embeddings import ProviderEmbeddings, open_embeddings
from worker.model.langchain_chat import LangchainChatModel
from worker.model.langchain_client import options_of
from worker.model.langchain_embeddings import LangchainEmbeddings
from worker.model.opening import open_chat_model


def _missing(registry: dict[str, Any]) -> list[str]:
    return sorted(name for name, (module, *_) in registry.items() if find_spec(module.partition(".")[0]) is None)


@pytest.mark.parametrize("provider", _missing(chat_models._BUILTIN_PROVIDERS))
def test_a_chat_provider_without_its_package_is_an_error_that_names_it(provider: str) -> None:
    package = chat_models._BUILTIN_PROVIDERS[provider][0].partition(".")[0].replace("_", "-")
    with pytest.raises(ConfigurationError, match=f"CHAT_MODEL={provider}:m needs .* pip install {package}"):
        open_chat_model(Settings(chat_model=f"{provider}:m"))


@pytest.mark.parametrize("provider", _missing(embeddings._BUILTIN_PROVIDERS))
def test_an_embedding_provider_without_its_package_is_an_error_that_names_it(provider: str) -> None:
    package = embeddings._BUILTIN_PROVIDERS[provider][0].partition(".")[0].replace("_", "-")
    with pytest.raises(ConfigurationError, match=f"EMBEDDING_MODEL={provider}:m needs .* pip install {package}"):
        open_embeddings(Settings(embedding_model=f"{provider}:m"))


def test_ollama_is_not_served_by_the_retired_client_of_langchain_community(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "langchain_ollama", None)
    with pytest.raises(ConfigurationError, match="pip install langchain-ollama"):
        open_chat_model(Settings(chat_model="ollama:qwen3:4b"))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("gpt-4.1", ChatModel),
        ("openai:gpt-4.1", ChatModel),
        ("llama3.1:8b", ChatModel),
        ("anthropic:c", LangchainChatModel),
        ("ollama:qwen3:4b", LangchainChatModel),
    ],
)
def test_openais_protocol_is_spoken_by_us_and_every_other_by_langchain(name: str, kind: type) -> None:
    model = open_chat_model(Settings(chat_model=name, openai_api_key=SecretStr("k")))
    model.close()
    assert type(model) is kind


@pytest.mark.parametrize(
    ("name", "kind"), [("m", ProviderEmbeddings), ("nomic:v1", ProviderEmbeddings), ("ollama:m", LangchainEmbeddings)]
)
def test_embeddings_likewise(name: str, kind: type) -> None:
    model = open_embeddings(Settings(embedding_model=name, openai_api_key=SecretStr("k")))
    assert model is not None
    model.close()
    assert type(model) is kind


def test_a_provider_that_does_not_start_is_an_error_without_its_values() -> None:
    azure = Settings(chat_model="azure_openai:m", openai_api_key=SecretStr("sk-hunter2"))
    with pytest.raises(ConfigurationError, match=r"^CHAT_MODEL=azure_openai:m: ") as raised:
        open_chat_model(azure)
    assert "hunter2" not in str(raised.value)


def test_a_providers_key_may_stand_in_env_beside_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "")
    monkeypatch.delenv("ANTHROPIC_API_KEY")  # so that what is read below is undone
    (tmp_path / ".env").write_text("ANTHROPIC_API_KEY=sk-of-env\n")
    monkeypatch.setitem(Settings.model_config, "env_file", str(tmp_path / ".env"))
    model = open_chat_model(Settings(chat_model="anthropic:c"))
    assert isinstance(model, LangchainChatModel)
    assert model._model.anthropic_api_key.get_secret_value() == "sk-of-env"  # type: ignore[attr-defined]


class Anthropics(BaseModel):
    """A field with an alias: Groq's and Fireworks' time-out likewise."""

    model_config = ConfigDict(populate_by_name=True)
    default_request_timeout: float | None = Field(None, alias="timeout")
    max_retries: int = 2


class Googles(BaseModel):
    """The alias is not what the others say, the field's name is."""

    model_config = ConfigDict(populate_by_name=True)
    timeout: float | None = Field(None, alias="request_timeout")
    max_retries: int = Field(6, alias="retries")


class Mistrals(BaseModel):
    """Whole seconds."""

    timeout: int = 120
    max_retries: int = 5


class Coheres(BaseModel):
    """Another name, and nothing about retries."""

    timeout_seconds: float = 300.0


class Ollamas(BaseModel):
    """Nothing but what its HTTP client is made with; refuses what it does not know."""

    model_config = ConfigDict(extra="forbid")
    client_kwargs: dict[str, Any] = {}


class Amazons(BaseModel):
    """None of it."""

    model_config = ConfigDict(extra="forbid")


@pytest.mark.parametrize(
    ("client", "made"),
    [
        (Anthropics, {"default_request_timeout": 3, "max_retries": 0}),
        (Googles, {"timeout": 3, "max_retries": 0}),
        (Mistrals, {"timeout": 3, "max_retries": 0}),
        (Coheres, {"timeout_seconds": 3}),
        (Ollamas, {"client_kwargs": {"timeout": 3}}),
        (Amazons, {}),
    ],
)
def test_each_provider_is_told_its_time_out_and_not_to_retry_in_its_own_words(
    client: type[BaseModel], made: dict[str, object]
) -> None:
    """The classes have the fields that LangChain's have, each package's in its version of November 2026."""
    assert client(**options_of(client, 2.5)).model_dump() == made


def test_a_class_that_is_no_pydantic_model_is_told_nothing() -> None:
    assert options_of(object, 2.5) == {}
