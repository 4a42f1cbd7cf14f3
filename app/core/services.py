"""Where Valkey and Qdrant are: what the settings say, else what `python -m app` started in `DATA_DIR`."""

import os
from pathlib import Path

from pydantic import ConfigDict, ValidationError

from app.core.errors import ConfigurationError
from app.core.models import QuietModel
from app.core.settings import Settings


class Services(QuietModel):
    """Where a running `python -m app` (process `pid`) listens, and where its Valkey and Qdrant are.

    `is_ready` once all has started and a first start's documents are indexed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pid: int
    http_url: str
    redis_url: str
    qdrant_url: str
    is_ready: bool = False


def services_file(data_dir: Path) -> Path:
    """The file in which `python -m app` says where its embedded services are."""
    return data_dir / "services.json"


def publish(services: Services, data_dir: Path) -> None:
    """Write `services` so that a reader sees the old or the new file whole."""
    target = services_file(data_dir)
    draft = target.with_suffix(".tmp")
    draft.write_text(services.model_dump_json())
    draft.replace(target)


def running(data_dir: Path) -> Services | None:
    """The embedded services that a live `python -m app` has published in `data_dir`, if there is one."""
    try:
        services = Services.model_validate_json(services_file(data_dir).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None
    return services if _is_alive(services.pid) else None


def redis_url(settings: Settings) -> str:
    """Valkey's address. Raises `ConfigurationError` when none is set and no embedded one runs."""
    if settings.redis_url is not None:
        return settings.redis_url.get_secret_value()
    found = running(settings.data_dir)
    if found is None:
        raise ConfigurationError(_nothing_runs("Valkey", "REDIS_URL", settings.data_dir))
    return found.redis_url


def qdrant_url(settings: Settings) -> str:
    """Qdrant's address. Raises `ConfigurationError` when none is set and no embedded one runs."""
    if settings.qdrant_url is not None:
        return settings.qdrant_url
    found = running(settings.data_dir)
    if found is None:
        raise ConfigurationError(_nothing_runs("Qdrant", "QDRANT_URL", settings.data_dir))
    return found.qdrant_url


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
