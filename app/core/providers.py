"""Which provider a model's name begins with: `anthropic` of `anthropic:claude-haiku-4-5`.

Only a word that LangChain's `init_chat_model` or `init_embeddings` knows is a provider; other names have colons of
their own, as Ollama's `qwen3:4b`. The words are read from LangChain's source, since importing its registry takes a
process 60 MB and most of a second, and the settings are everybody's.
"""

import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

OPENAI = "openai"
"""The provider whose protocol we speak ourselves, and that a name without another one stands for."""

LOCAL = "local"
"""Before the name of a model of fastembed's, which embeds in the worker; alone it stands for the first ..."""
LOCAL_DEFAULT = f"{LOCAL}:BAAI/bge-small-en-v1.5"
"""... of those: English, the smallest to download (67 MB), and needs no words of its own before a question."""

Kind = Literal["chat_models", "embeddings"]
"""LangChain's packages of the two registries."""


def provider_of(model: str, kind: Kind) -> str | None:
    """The provider that `model` begins with; None when it is OpenAI's protocol that it is asked over."""
    prefix, colon, _ = model.partition(":")
    return prefix if colon and prefix != OPENAI and prefix in known_providers(kind) else None


def local_model(model: str) -> str | None:
    """What fastembed calls `model`; None when it is another's."""
    prefix, colon, name = model.partition(":")
    return name if colon and prefix == LOCAL else None


@cache
def known_providers(kind: Kind) -> frozenset[str]:
    """The keys of LangChain's registry. Raises `LookupError` when the installed LangChain has none where we look."""
    spec = find_spec("langchain")
    for folder in (spec and spec.submodule_search_locations) or ():
        module = ast.parse((Path(folder) / kind / "base.py").read_text(encoding="utf-8"))
        for statement in module.body:
            match statement:
                case ast.AnnAssign(target=ast.Name(id="_BUILTIN_PROVIDERS"), value=ast.Dict(keys=keys)):
                    return frozenset(str(key.value) for key in keys if isinstance(key, ast.Constant))
    raise LookupError(f"langchain.{kind}.base has no registry of providers any more")
