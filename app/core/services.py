"""Where Valkey and Qdrant are, and their keys: by the settings, else by what `python -m app` says in DATA_DIR."""

import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, quote, urlencode, urlsplit, urlunsplit

from pydantic import ConfigDict, SecretStr, ValidationError, field_serializer

from app.core.errors import ConfigurationError
from app.core.models import QuietModel
from app.core.private_files import write_private
from app.core.settings import Settings


class Services(QuietModel):
    """Where a running `python -m app` (process `pid`) listens, and where its Valkey and Qdrant are.

    `redis_url` holds the password; `qdrant_api_key` is the embedded Qdrant's, None for another one. `is_ready` once
    all has started and a first start's documents are indexed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pid: int
    http_url: str
    redis_url: SecretStr
    qdrant_url: str
    qdrant_api_key: SecretStr | None = None
    is_ready: bool = False

    @field_serializer("redis_url", "qdrant_api_key", when_used="json")
    def _reveal(self, secret: SecretStr | None) -> str | None:
        return secret.get_secret_value() if secret is not None else None


class QdrantServer(NamedTuple):
    """A Qdrant, and the key that it wants."""

    url: str
    api_key: str | None


def services_file(data_dir: Path) -> Path:
    """The file in which `python -m app` says where its embedded services are."""
    return data_dir / "services.json"


def publish(services: Services, data_dir: Path) -> None:
    """Write `services`, for this user's processes alone."""
    write_private(services_file(data_dir), services.model_dump_json())


def running(data_dir: Path) -> Services | None:
    """The embedded services that a live `python -m app` has published in `data_dir`, if there is one."""
    try:
        services = Services.model_validate_json(services_file(data_dir).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None
    return services if _is_alive(services.pid) else None


def redis_url(settings: Settings) -> str:
    """Valkey's address with its password, so not for a log. REDIS_PASSWORD belongs to REDIS_URL, whose own wins.

    What else the settings say of it, REDIS_CA_FILE and REDIS_SENTINEL_PASSWORD, stands in its query.
    Raises `ConfigurationError` when none is set and no embedded one runs.
    """
    if settings.redis_url is not None:
        return _with_query(_with_password(settings.redis_url.get_secret_value(), settings.redis_password), settings)
    found = running(settings.data_dir)
    if found is None:
        raise ConfigurationError(_nothing_runs("Valkey", "REDIS_URL", settings.data_dir))
    return found.redis_url.get_secret_value()


def qdrant_server(settings: Settings) -> QdrantServer:
    """Qdrant's address and key. QDRANT_API_KEY belongs to QDRANT_URL: the embedded one has a key of its own.

    Raises `ConfigurationError` when no address is set and no embedded one runs.
    """
    url, key = settings.qdrant_url, settings.qdrant_api_key
    if url is None:
        found = running(settings.data_dir)
        if found is None:
            raise ConfigurationError(_nothing_runs("Qdrant", "QDRANT_URL", settings.data_dir))
        url, key = found.qdrant_url, found.qdrant_api_key or key
    return QdrantServer(url, key.get_secret_value() if key is not None else None)


def _with_query(url: str, settings: Settings) -> str:
    """`url` with what the settings say beside it; what it says itself wins."""
    said = {
        "ssl_ca_certs": str(settings.redis_ca_file) if settings.redis_ca_file is not None else None,
        "sentinel_password": settings.redis_sentinel_password and settings.redis_sentinel_password.get_secret_value(),
    }
    parts = urlsplit(url)
    own = parse_qs(parts.query)
    more = urlencode({name: value for name, value in said.items() if value is not None and name not in own})
    return urlunsplit(parts._replace(query="&".join(filter(None, [parts.query, more])))) if more else url


def _with_password(url: str, password: SecretStr | None) -> str:
    """`url` with `password`, percent-encoded, unless it has one."""
    parts = urlsplit(url)
    if password is None or parts.password or "password" in parse_qs(parts.query):
        return url
    user, _, place = parts.netloc.rpartition("@")
    login = f"{user.removesuffix(':')}:{quote(password.get_secret_value(), safe='')}"
    return urlunsplit(parts._replace(netloc=f"{login}@{place}"))


def _nothing_runs(name: str, variable: str, data_dir: Path) -> str:
    return (
        f"no {name} was found: set {variable}, or start the service with `make run` (looked in {data_dir.absolute()})"
    )


def _is_alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
