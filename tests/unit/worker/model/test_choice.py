"""Which model of a server's list is to embed: the forms that servers give their lists, and what is none."""

from typing import Any

import orjson
import pytest

from app.core.settings import Settings
from worker.model.choice import NAMES_READ, clear_choice, embedding_names, read_list

URL = "http://h:1/v1"


def listing(*models: str | dict[str, Any], **more: Any) -> bytes:
    items = [{"id": each, "object": "model"} | more if isinstance(each, str) else each for each in models]
    return orjson.dumps({"object": "list", "data": items})


def of(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1, **more}


TABLE: dict[str, tuple[bytes, str | None]] = {
    "Ollama": (
        listing("qwen3:4b", "llama3.2:latest", "nomic-embed-text:latest", owned_by="library"),
        "nomic-embed-text:latest",
    ),
    "Ollama, bge": (listing("bge-m3:latest", "qwen3:4b"), "bge-m3:latest"),
    "Ollama, minilm": (listing("all-minilm:22m", "gemma3"), "all-minilm:22m"),
    "Ollama, two": (listing("nomic-embed-text:latest", "mxbai-embed-large:latest", "qwen3:4b"), None),
    "Ollama, none": (listing("qwen3:4b", "llama3.2:latest"), None),
    "LM Studio": (
        listing("qwen2.5-7b-instruct", "text-embedding-nomic-embed-text-v1.5"),
        "text-embedding-nomic-embed-text-v1.5",
    ),
    "LM Studio, its own": (listing(of("a", type="llm"), of("b", type="embeddings"), of("c", type="vlm")), "b"),
    "vLLM": (
        listing(of("intfloat/multilingual-e5-large", owned_by="vllm", root="x", permission=[{}])),
        "intfloat/multilingual-e5-large",
    ),
    "LiteLLM": (
        listing("gpt-4.1", "openai/*", "text-embedding-3-large", "text-embedding-3-small", "rerank-v3.5"),
        "text-embedding-3-small",
    ),
    "LiteLLM, modes": (
        listing(of("fast", mode="chat"), of("vectors", mode="embedding"), of("order", mode="rerank")),
        "vectors",
    ),
    "Infinity": (
        listing(
            of("BAAI/x", capabilities=["embed"], owned_by="infinity"), of("mixedbread/y", capabilities=["rerank"])
        ),
        "BAAI/x",
    ),
    "Xinference": (
        listing(of("one", model_type="LLM"), of("two", model_type="embedding"), of("three", model_type="rerank")),
        "two",
    ),
    "Together": (
        orjson.dumps(
            [
                of("meta/l", type="chat"),
                of("tog/m2", type="embedding"),
                of("s/r", type="rerank"),
                of("f/f", type="image"),
            ]
        ),
        "tog/m2",
    ),
    "Fireworks": (
        listing(of("accounts/f/a", kind="HF_BASE_MODEL"), of("accounts/f/b", kind="EMBEDDING_MODEL")),
        "accounts/f/b",
    ),
    "Azure": (
        listing(
            of("dep-1", capabilities={"chat_completion": True, "embeddings": False}),
            of("dep-2", capabilities={"inference": True, "embeddings": True, "chat_completion": False}),
        ),
        "dep-2",
    ),
    "Copilot": (
        listing(of("m-1", capabilities={"type": "chat"}), of("m-2", capabilities={"type": "embeddings"})),
        "m-2",
    ),
    "Mistral": (
        listing(
            of("mistral-large", capabilities={"completion_chat": True}, type="base"),
            *(
                of(name, capabilities={"completion_chat": False}, type="base")
                for name in ("mistral-embed", "mistral-embed-2312", "codestral-embed", "codestral-embed-2505")
            ),
        ),
        "mistral-embed",
    ),
    "Gemini": (listing("models/gemini-2.5-flash", "models/gemini-embedding-001"), "models/gemini-embedding-001"),
    "llama.cpp": (listing(of("/models/qwen.gguf", owned_by="llamacpp", meta={"n_params": 1})), None),
    "Anthropic": (
        orjson.dumps(
            {"data": [{"type": "model", "id": "claude-haiku-4-5", "display_name": "Haiku"}], "has_more": False}
        ),
        None,
    ),
    "Groq": (listing("llama-3.3-70b-versatile", "whisper-large-v3", "openai/gpt-oss-120b"), None),
    "OpenRouter": (
        listing(of("openai/gpt-4.1", architecture={"modality": "text->text", "output_modalities": ["text"]})),
        None,
    ),
    "a reranker alone": (listing("BAAI/bge-reranker-v2-m3", "cross-encoder/ms-marco-MiniLM-L6-v2"), None),
    "images": (listing("nomic-embed-vision-v1.5", "jina-clip-v2"), None),
    "the chat model": (listing("gte-chat"), None),
    "said not to embed": (listing(of("e5-mistral", type="chat")), None),
    "a version beside": (listing("x-embed", "x-embed:latest", "x-embed-v2"), "x-embed"),
    "byte order mark": (b"\xef\xbb\xbf" + listing("bge-m3"), "bge-m3"),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_one_that_embeds_is_chosen_of_each_servers_list(name: str) -> None:
    body, expected = TABLE[name]
    listed = read_list(body)
    assert listed is not None
    settings = Settings(openai_base_url=URL, chat_model="gte-chat")
    assert clear_choice(listed, settings) == expected
    assert clear_choice(reversed(listed), settings) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (listing("my-model"), "my-model"),
        (listing(of("/models/x.gguf", owned_by="llamacpp")), "/models/x.gguf"),
        (listing("my-model", "another"), None),
        (listing("bge-reranker-base"), None),
        (listing(of("my-model", type="llm")), None),
        (listing("gpt-4.1"), None),
        (listing("gpt-4.1", "my-model"), "my-model"),
        (listing(), None),
    ],
)
def test_a_server_for_embeddings_may_call_its_one_model_as_it_likes(body: bytes, expected: str | None) -> None:
    listed = read_list(body)
    assert listed is not None
    assert clear_choice(listed, Settings(embedding_base_url=URL)) == expected
    if expected == "my-model":
        assert clear_choice(listed, Settings(openai_base_url=URL)) is None


@pytest.mark.parametrize(
    "body", [b"", b"7", b"null", b"<html>", b'{"data":null}', b'{"data":{}}', b'{"models":[]}', b"[" * 100_000]
)
def test_what_is_no_list_is_none(body: bytes) -> None:
    assert read_list(body) is None


def test_odd_models_are_left_out() -> None:
    odd: list[Any] = [
        None, 7, "bge", [], {}, {"id": None}, {"id": ["bge"]}, {"id": ""}, {"id": "bge" * 100}, {"id": "bge\n"},
        {"id": "local:bge"}, {"id": "cohere:embed"}, {"id": "none"}, {"id": "auto"}, {"id": "openai/*-embed"},
    ]  # fmt: skip
    strange = [
        {"id": "a", "type": {"x": [1]}}, {"id": "b", "capabilities": [None, {"embed": True}, 3]},
        {"id": "c", "capabilities": {"embed": "yes", "type": ["embeddings"]}}, {"id": "d", "mode": 1e308},
    ]  # fmt: skip
    listed = read_list(orjson.dumps(odd + strange))
    assert listed is not None
    assert [(each.name, each.embeds) for each in listed] == [(name, None) for name in "abcd"]


def test_of_a_huge_list_only_so_much_is_read() -> None:
    body = listing(*(f"embed-{n}" for n in range(NAMES_READ + 1)), type="x" * 1000)
    assert len(embedding_names(read_list(body) or [])) == NAMES_READ
