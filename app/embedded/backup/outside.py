"""What a service has outside of DATA_DIR, and which of the configured services are the embedded ones after all."""

from app.core.services import Services
from app.core.settings import Settings

PAGE = "docs/how-to/backup.md says how that is backed up"


def outside(settings: Settings, running: Services | None) -> list[str]:
    """The settings that name what is not in DATA_DIR; after `eval "$(python -m app env)"` two name what is."""
    own_valkey = running.redis_url.get_secret_value() if running is not None else None
    own_qdrant = running.qdrant_url if running is not None else None
    named = {
        "REDIS_URL": settings.redis_url is not None and settings.redis_url.get_secret_value() != own_valkey,
        "QDRANT_URL": settings.qdrant_url is not None and settings.qdrant_url.rstrip("/") != own_qdrant,
        "DOCUMENTS_URL": settings.documents_url is not None,
        "DATABASE_URL": settings.database_url is not None,
    }
    return [name for name, is_named in named.items() if is_named]
