"""An issuer's public keys (RFC 7517), fetched from its URL and kept.

PyJWT's own client blocks while it fetches, and asks again for each unknown key id while the issuer is unavailable.
"""

import asyncio
from time import monotonic

import httpx
import jwt

from app.auth.principals import KeysUnavailableError
from app.core.logging import get_logger
from app.core.proxies import proxy_for

FETCH_TIMEOUT_SECONDS = 5.0
JWKS_MAX_BYTES = 256 * 1024
REFRESH_SECONDS = 600.0
"""Age of the keys at which they are fetched again."""
COOLDOWN_SECONDS = 60.0
"""Time between two fetches at least, whatever key ids clients make up."""
KEEP_SECONDS = 3600.0
"""Age above which keys are no longer believed, when the issuer can't be reached."""

log = get_logger(__name__)


class JwksKeys:
    """The signing keys at `url`. Opens no connection before the first `get`.

    Raises `ConfigurationError` when the environment names a proxy for `url` that can't be used.
    """

    algorithms = ("RS256", "ES256")

    def __init__(self, url: str) -> None:
        self._url = url
        self._proxy = proxy_for(url)
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = -KEEP_SECONDS
        self._tried_at = -COOLDOWN_SECONDS
        self._fetch: asyncio.Task[None] | None = None

    async def get(self, key_id: str | None) -> jwt.PyJWK | None:
        """The key with this id; None when the issuer has none. Raises `KeysUnavailableError`.

        Known keys are served at once, while older ones are renewed behind.
        """
        age = monotonic() - self._fetched_at
        if age > KEEP_SECONDS:
            self._keys = {}
        key = self._keys.get(key_id) if key_id is not None else None
        if key is None or age > REFRESH_SECONDS:
            self._fetch_if_due()
        if key is None and self._fetch is not None:
            await asyncio.shield(self._fetch)
            if not self._keys:
                raise KeysUnavailableError
            key = self._keys.get(key_id) if key_id is not None else None
        return key

    def _fetch_if_due(self) -> None:
        if monotonic() - self._tried_at >= COOLDOWN_SECONDS:
            self._tried_at = monotonic()
            self._fetch = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        try:
            found = jwt.PyJWKSet.from_json(await asyncio.to_thread(_read, self._url, self._proxy))
        except (httpx.HTTPError, jwt.PyJWTError, ValueError, AttributeError, RecursionError) as error:
            log.warning("jwks_unavailable", reason=type(error).__name__)
            return
        usable = [key for key in found if key.public_key_use in ("sig", None)]
        self._keys = {key.key_id: key for key in usable if isinstance(key.key_id, str)}
        self._fetched_at = monotonic()


def _read(url: str, proxy: str | None) -> str:
    """The document at `url`. Raises `httpx.HTTPError`, or `ValueError` when it is too large."""
    with (
        httpx.Client(transport=httpx.HTTPTransport(proxy=proxy), timeout=FETCH_TIMEOUT_SECONDS) as client,
        client.stream("GET", url, follow_redirects=False) as answer,
    ):
        answer.raise_for_status()
        body = bytearray()
        for piece in answer.iter_bytes():
            body += piece
            if len(body) > JWKS_MAX_BYTES:
                raise ValueError("the key set is too large")
    return body.decode()
