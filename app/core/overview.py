"""What is on, in one line at a process's start: what the settings say, without a secret."""

import os
from urllib.parse import urlsplit

from app.core.settings import Settings
from app.core.tracing.process import collector

OFF = "off"
EMBEDDED = "embedded"


def overview(settings: Settings) -> dict[str, object]:
    """Fields for the log: which models, where index and queue are, who is let in, what is counted.

    Of an address its scheme, host and port alone: the rest may be a secret.
    """
    return {
        "model": settings.chat_model if settings.has_chat_model else "extractive",
        "model_server": place(settings.openai_base_url) or ("its own" if settings.has_chat_model else OFF),
        "embedding": settings.embedding_model or "bm25",
        "index": place(settings.qdrant_url) or EMBEDDED,
        "queue": place(settings.redis_url.get_secret_value() if settings.redis_url else None) or EMBEDDED,
        "auth": _auth(settings),
        "rerank": place(settings.rerank_url) or OFF,
        "caches": _caches(settings),
        "chat_log": _chat_log(settings),
        "metrics": _metrics(settings),
        "traces": "on" if collector(os.environ) is not None else OFF,
        "questions_and_answers": "logged" if settings.log_content else "not logged",
    }


def _caches(settings: Settings) -> str:
    if not settings.answer_cache_ttl_seconds:
        return OFF
    is_semantic = settings.semantic_cache_threshold and settings.embedding_model
    semantic = f", semantic from {settings.semantic_cache_threshold:g}" if is_semantic else ""
    return f"answers for {settings.answer_cache_ttl_seconds} s{semantic}"


def place(url: str | None) -> str | None:
    """Of an address, what may be shown: scheme, host and port; of a socket, that it is one."""
    if url is None:
        return None
    parts = urlsplit(url)
    hosts = parts.netloc.rpartition("@")[2]
    if "," in hosts:  # Sentinels
        return f"{parts.scheme}://{hosts}"
    if not parts.hostname:
        return f"{parts.scheme} socket"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port is not None else "")


def _chat_log(settings: Settings) -> str:
    """Which database, and never where: its address has a password."""
    if settings.database_url is None:
        return OFF
    name = "sqlite" if settings.database_url.get_secret_value().startswith("sqlite") else "postgresql"
    return name + (" with content" if settings.chat_log_content else "")


def _metrics(settings: Settings) -> str:
    if settings.metrics_port is not None:
        return f"on, port {settings.metrics_port or 'free'}"
    return "on" if settings.counts else OFF


def _auth(settings: Settings) -> str:
    """Who is let in: those with keys, with tokens, or this machine alone."""
    ways = {
        "keys": bool(settings.api_keys),
        "jwt": settings.jwt_secret is not None,
        "jwks": settings.jwt_jwks_url is not None,
    }
    return "+".join(way for way, is_on in ways.items() if is_on) or "this machine alone"
