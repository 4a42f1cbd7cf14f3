"""The file of settings that docker compose wants: what must be secret is made once, and what stands there stays."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from app.auth.api_keys import make_key
from app.auth.principals import Role
from app.core.contract import DEFAULT_TENANT
from app.core.errors import ConfigurationError
from app.core.private_files import make_private, write_private

SECRET_BYTES = 32
"""As many as a key has. In hexadecimal they need no quotes in the file, and no escapes in a URL."""
KEY_NAME = "admin"
"""What logs call the first key, which may do everything."""

SECRETS: Mapping[str, str] = {
    "VALKEY_PASSWORD": "asked by Valkey of the API, the workers and the exporter",
    "QDRANT_API_KEY": "asked by Qdrant",
    "LINK_SECRET": "signs links of citations, tickets and the page's sessions",
    "GRAFANA_PASSWORD": "of Grafana's admin, for the profile monitoring",
}
"""What is made besides a key, and what it is for."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was done: the names of the lines that were added and of those that were there, and the new key if any."""

    added: tuple[str, ...]
    kept: tuple[str, ...]
    key: str | None


def write_env_file(path: Path, *, rate: str, hexadecimal: Callable[[int], str] = secrets.token_hex) -> Written:
    """Add what is missing to the file, which only its owner can read then. A line without a value counts as missing.

    Raises `ConfigurationError` when the file can't be read or written.
    """
    place = path.resolve()  # a link stays one
    try:
        text = place.read_text(encoding="utf-8") if place.exists() else ""
        there = {name for name, value in dotenv_values(place, interpolate=False).items() if value}
        missing = [name for name in ("API_KEYS", *SECRETS) if name not in there]
        lines = {name: (reason, hexadecimal(SECRET_BYTES)) for name, reason in SECRETS.items() if name in missing}
        key = None
        if "API_KEYS" in missing:
            key, entry = make_key(name=KEY_NAME, tenant=DEFAULT_TENANT, role=Role.ADMIN, rate=rate)
            lines = {"API_KEYS": ("who may use the API; make key name=... makes more", str(entry)), **lines}
        if lines:
            added = "".join(f"# {reason}\n{name}={value}\n" for name, (reason, value) in lines.items())
            write_private(place, text + ("\n" if text and not text.endswith("\n") else "") + added)
        make_private(place)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {getattr(error, 'strerror', None) or 'is not UTF-8'}") from None
    return Written(tuple(lines), tuple(name for name in ("API_KEYS", *SECRETS) if name in there), key)
