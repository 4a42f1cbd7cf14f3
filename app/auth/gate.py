"""Who is let in: whoever shows a key or a token, or, where none are configured, this machine."""

from typing import TYPE_CHECKING, Protocol

from starlette.requests import Request

from app.auth.api_keys import KeyRing
from app.auth.credential_gate import CredentialGate
from app.auth.loopback import is_local, is_local_origin
from app.auth.principals import ANONYMOUS, NotLocalError, Principal
from app.auth.rate_limits import RateLimits
from app.core.errors import ConfigurationError
from app.core.link_secret import LinkSecret
from app.core.logging import get_logger
from app.core.loopback import is_loopback
from app.core.queue.pipelined import Link
from app.core.settings import Settings
from app.core.signed import Purpose

if TYPE_CHECKING:
    from app.auth.jwt import TokenVerifier

log = get_logger(__name__)


class Gate(Protocol):
    """Tells who sends a request."""

    secret: LinkSecret | None
    """What signs links and tickets; None where nobody needs one."""

    async def admit(self, request: Request, by: Purpose | None = None) -> Principal:
        """The request's principal. `by`: a token in the address will do, of this purpose.

        Raises one of the errors of `app.auth.principals`, or `RateLimitedError`.
        """

    async def sign_in(self, request: Request, key: bytes) -> tuple[str | None, Principal]:
        """Who has this key or token, and what their browser shows from now on; None where nobody need show anything.

        Raises as `admit`.
        """

    def is_shown_nothing(self, request: Request) -> bool:
        """Whether something must be shown here and the request shows nothing, so that a page asks for it at once."""


class LocalGate:
    """Without credentials: everyone on this machine is the same admin."""

    secret: LinkSecret | None = None

    async def admit(self, request: Request, by: Purpose | None = None) -> Principal:
        """`ANONYMOUS`. Raises `NotLocalError`."""
        if not is_local(request.scope):
            raise NotLocalError
        return ANONYMOUS

    async def sign_in(self, request: Request, key: bytes) -> tuple[str | None, Principal]:
        """`ANONYMOUS`, whatever `key` is. Raises `NotLocalError`."""
        return None, await self.admit(request)

    def is_shown_nothing(self, request: Request) -> bool:
        """Never: nothing need be shown."""
        return False


def open_gate(settings: Settings, link: Link) -> Gate:
    """The gate that `settings` ask for. Raises `ConfigurationError` when API_KEYS has a wrong form."""
    if not settings.has_credentials:
        log.info("no_credentials", serves="this machine alone", hint="API_KEYS or JWTs let others in")
        _warn_of_origins(settings)
        return LocalGate()
    ring, secret = KeyRing(settings.api_keys or ()), LinkSecret(link, settings)
    return CredentialGate(ring, _verifier(settings), RateLimits(link), secret, settings)


def _warn_of_origins(settings: Settings) -> None:
    """Pages of other sites may not call a service that asks nobody for a key, whatever CORS_ORIGINS says."""
    shut_out = [origin for origin in settings.cors_origins or () if not is_local_origin(origin.encode())]
    if shut_out:
        log.warning(
            "cors_origins_without_effect", origins=shut_out, hint="without keys only pages of this machine may call"
        )


def _verifier(settings: Settings) -> "TokenVerifier | None":
    if settings.jwt_secret is None and settings.jwt_jwks_url is None:
        return None
    from app.auth.jwt import open_verifier  # PyJWT and cryptography take 0.1 s

    return open_verifier(settings)


def check_address(host: str, settings: Settings) -> None:
    """Raises `ConfigurationError` when `host`, an IP address, is not for a service without credentials."""
    if not settings.has_credentials and not is_loopback(host):
        raise ConfigurationError(
            f"without keys the service serves this machine alone, and HOST is {host}: set API_KEYS (`make key` makes "
            "a key and its entry) or JWTs, or HOST=127.0.0.1"
        )
