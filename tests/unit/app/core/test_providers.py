"""Which names begin with a provider, and which have colons of their own."""

import subprocess
import sys
from collections.abc import Mapping

import pytest
from langchain.chat_models import base as chat_models
from langchain.embeddings import base as embeddings

from app.core.providers import Kind, known_providers, provider_of
from app.core.settings import Settings


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("anthropic:claude-haiku-4-5", "anthropic"),
        ("google_genai:gemini-2.5-flash", "google_genai"),
        ("ollama:qwen3:4b", "ollama"),
        ("bedrock_converse:anthropic.claude-v2:1", "bedrock_converse"),
        ("gpt-4.1", None),
        ("openai:gpt-4.1", None),
        ("claude-haiku-4-5", None),
        ("llama3.1:8b", None),
        ("qwen3:4b", None),
        ("mistral:7b", None),
        ("Anthropic:x", None),
        ("anthropic", None),
        (":anthropic", None),
        ("", None),
        ("ft:gpt-4.1:acme::1", None),
    ],
)
def test_only_a_prefix_that_langchain_knows_is_a_provider(model: str, provider: str | None) -> None:
    assert provider_of(model, "chat_models") == provider


@pytest.mark.parametrize("kind", ["chat_models", "embeddings"])
def test_the_providers_are_those_of_langchains_registry(kind: Kind) -> None:
    """Read from its source as we read it, and imported as it reads it."""
    registries: dict[str, Mapping[str, object]] = {
        "chat_models": chat_models._BUILTIN_PROVIDERS,
        "embeddings": embeddings._BUILTIN_PROVIDERS,
    }
    assert known_providers(kind) == set(registries[kind])


@pytest.mark.parametrize(
    ("chat_model", "has_one"), [("anthropic:c", True), ("openai:gpt-4.1", False), ("qwen3:4b", False)]
)
def test_a_providers_model_answers_without_a_key_for_openais(chat_model: str, has_one: bool) -> None:
    assert Settings(chat_model=chat_model).has_chat_model is has_one


def test_openais_own_prefix_is_no_part_of_a_models_name() -> None:
    """Else an index that `m` has made would be refused to `openai:m`."""
    settings = Settings(chat_model="openai:gpt-4.1", embedding_model="openai:text-embedding-3-small")
    assert (settings.chat_model, settings.embedding_model) == ("gpt-4.1", "text-embedding-3-small")


def test_the_settings_import_no_langchain() -> None:
    code = (
        "import sys; from app.core.settings import Settings; print(Settings(chat_model='anthropic:c').has_chat_model,"
        "*[name for name in sys.modules if name.startswith('langchain')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True\n"
