"""The embedding model that workers have chosen where none is named, as it stands in Valkey for all who ask.

Under a hash of its server's address, so that another server's is never taken for it. Written by whoever was first
(`worker.model.choice`); the API, which asks no model's server, reads it.
"""

import hashlib

from app.core.providers import OPENAI, local_model, provider_of
from app.core.settings import AUTO, NO_MODEL, Settings

NAME_CHARACTERS_MAX = 200
BYTES_MAX = 4 * NAME_CHARACTERS_MAX
"""Of the key, what is read."""


def key_of(settings: Settings) -> str:
    """The key of the model that was chosen at the server of `settings`."""
    return "rag:embedding-model:" + hashlib.sha256((settings.embedding_url or "").encode()).hexdigest()[:32]


def is_name(name: object) -> bool:
    """Whether `name`, which a server or Valkey has said, may be asked for there.

    Not a word of ours, and no other provider's: what a server lists must start no package in a worker.
    """
    if not isinstance(name, str) or not 0 < len(name) <= NAME_CHARACTERS_MAX or not name.isprintable():
        return False
    if name.lower() in (NO_MODEL, AUTO) or name.startswith(f"{OPENAI}:") or "*" in name:
        return False
    return local_model(name) is None and provider_of(name, "embeddings") is None


def read(kept: bytes | None) -> str | None:
    """The name that stands in Valkey; None for what is not of our making."""
    try:
        name = (kept or b"").decode()
    except UnicodeDecodeError:
        return None
    return name if is_name(name) else None
