"""Which embedding model the settings mean: by key, base URLs, chat model and EMBEDDING_MODEL."""

from itertools import product
from typing import Any

import pytest

from app.core import chosen_model
from app.core.settings import AUTO, OPENAI_EMBEDDINGS, Settings

KEYS = (None, "sk-1")
BASE_URLS = (None, "https://api.openai.com/v1", "https://eu.api.openai.com/v1/", "http://localhost:11434/v1")
EMBEDDING_URLS = (None, "https://API.openai.com/v1", "http://tei:80/v1")
CHAT_MODELS = ("gpt-4.1", "anthropic:claude-haiku-4-5", "qwen3:4b")
NAMED = {
    "none": None,
    "None": None,
    "local": "local:BAAI/bge-small-en-v1.5",
    "local:x": "local:x",
    "cohere:embed-v4.0": "cohere:embed-v4.0",
    "openai:text-embedding-3-large": "text-embedding-3-large",
    "nomic-embed-text": "nomic-embed-text",
}
WHERE = [
    # key, base URL, EMBEDDING_BASE_URL, the model
    *((key, None, None, OPENAI_EMBEDDINGS if key else None) for key in KEYS),
    *((key, url, None, OPENAI_EMBEDDINGS) for key, url in product(KEYS, BASE_URLS[1:3])),
    *((key, BASE_URLS[3], None, AUTO) for key in KEYS),
    *((key, url, EMBEDDING_URLS[1], OPENAI_EMBEDDINGS) for key, url in product(KEYS, BASE_URLS)),
    *((key, url, EMBEDDING_URLS[2], AUTO) for key, url in product(KEYS, BASE_URLS)),
]


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMBEDDING_MODEL")


def stated(key: str | None, base: str | None, embedding: str | None, chat: str, **more: Any) -> dict[str, Any]:
    given = {"openai_api_key": key, "openai_base_url": base, "embedding_base_url": embedding, "chat_model": chat}
    return {name: value for name, value in (given | more).items() if value is not None}


def test_the_table_has_every_place() -> None:
    assert {row[:3] for row in WHERE} == set(product(KEYS, BASE_URLS, EMBEDDING_URLS))
    assert len(WHERE) == len(KEYS) * len(BASE_URLS) * len(EMBEDDING_URLS)


@pytest.mark.parametrize(("key", "base", "embedding", "model"), WHERE)
def test_without_a_name_the_place_says_which(
    key: str | None, base: str | None, embedding: str | None, model: str | None
) -> None:
    for chat in CHAT_MODELS:
        settings = Settings(**stated(key, base, embedding, chat))
        assert settings.embedding_model == model
        assert not settings.is_embedding_model_named
        assert Settings(**stated(key, base, embedding, chat, embedding_model="auto")) == settings


@pytest.mark.parametrize("name", NAMED)
def test_a_name_stays_what_it_is(name: str) -> None:
    for (key, base, embedding, _), chat in product(WHERE, CHAT_MODELS):
        settings = Settings(**stated(key, base, embedding, chat, embedding_model=name))
        assert settings.embedding_model == NAMED[name]
        assert settings.is_embedding_model_named


@pytest.mark.parametrize(
    "url", ["https://api.openai.com.evil.test/v1", "https://xapi.openai.com/v1", "http://h/api.openai.com"]
)
def test_only_openais_own_hosts_are_openais(url: str) -> None:
    assert Settings(openai_base_url=url).embedding_model == AUTO


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBEDDING_MODEL", "")
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert Settings().embedding_model == OPENAI_EMBEDDINGS


def test_a_copy_with_other_places_has_the_same_model() -> None:
    settings = Settings(openai_api_key="k")
    copy = settings.model_copy(update={"qdrant_url": "http://h"})
    assert (copy.embedding_model, copy.is_embedding_model_named) == (OPENAI_EMBEDDINGS, False)


NO_NAMES: list[object] = [
    None, 7, "", "x" * 201, "a\nb", "a\x1b[2J", "a\ud800", "none", "None", "auto", "local:x", "local:", "cohere:e",
    "huggingface:x/y", "openai:x", "openai/*", ["x"],
]  # fmt: skip


@pytest.mark.parametrize("name", NO_NAMES, ids=repr)
def test_what_a_server_says_starts_no_package_and_is_no_word_of_ours(name: object) -> None:
    assert not chosen_model.is_name(name)
    if isinstance(name, str) and name.isprintable():
        assert chosen_model.read(name.encode()) is None


@pytest.mark.parametrize("kept", [b"", None, b"\xff", b"x" * 801, b"a\0b", b"local:x"])
def test_what_stands_in_valkey_is_checked(kept: bytes | None) -> None:
    assert chosen_model.read(kept) is None


def test_each_server_has_a_choice_of_its_own() -> None:
    keys = {chosen_model.key_of(Settings(openai_base_url=url)) for url in ("http://a/v1", "http://b/v1")}
    embeds = Settings(openai_base_url="http://a/v1", embedding_base_url="http://b/v1")
    assert len(keys) == 2
    assert chosen_model.key_of(embeds) in keys
    assert chosen_model.read("modèle-é".encode()) == "modèle-é"
