"""Who is let in where keys or tokens are configured: by the request's headers, its address, or its cookie."""

from collections.abc import Awaitable
from dataclasses import replace
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.types import Scope

from app.auth.api_keys import KeyRing
from app.auth.origins import SAFE_METHODS, check_no_other_page, check_own_page
from app.auth.principals import NotAuthenticatedError, Principal, Role
from app.auth.rate_limits import RateLimitedError, RateLimits
from app.auth.sessions import Marks, cookie_of, open_session, whose_session
from app.auth.signed import BadLinkError, grant_of
from app.core.link_secret import LinkSecret
from app.core.loopback import one_client
from app.core.settings import Settings
from app.core.signed import Purpose

if TYPE_CHECKING:
    from app.auth.jwt import TokenVerifier

KEY_POLICY = "default"
ADDRESS_POLICY = "address"


class CredentialGate:
    """With API_KEYS or JWTs: whoever shows one of them, within the key's rate."""

    def __init__(
        self,
        ring: KeyRing,
        verifier: "TokenVerifier | None",
        limits: RateLimits,
        secret: LinkSecret,
        settings: Settings,
    ) -> None:
        self.secret: LinkSecret | None = secret
        self._secret = secret
        self._ring = ring
        self._verifier = verifier
        self._limits = limits
        self._marks = Marks(ring, _token_secret(settings) if verifier is not None else None)
        self._rate = settings.rate_limit
        self._public_url = settings.public_url
        self._address_rate = settings.address_rate_limit

    async def admit(self, request: Request, by: Purpose | None = None) -> Principal:
        """The principal that the request's key or token stands for; without one, for whom its address was signed, or
        whose session its cookie is.

        Raises `NotAuthenticatedError`, `OtherSiteError`, `KeysUnavailableError`, `RateLimitedError` or one of
        `VALKEY_UNAVAILABLE`.
        Valkey is asked only where a rate applies, once.
        """
        shown = credential(request.scope)
        return await self._counted(request, self._unshown(request, by) if shown is None else self._identify(shown))

    async def sign_in(self, request: Request, key: bytes) -> tuple[str | None, Principal]:
        """Who has this key or token, and the session that it opens. Raises as `admit`."""
        check_no_other_page(request, self._public_url)
        principal = await self._counted(request, self._identify(key))
        return await open_session(principal, self._marks, self._secret)

    def is_shown_nothing(self, request: Request) -> bool:
        """Whether there is neither key nor token nor cookie; what they are worth is not asked."""
        return credential(request.scope) is None and cookie_of(request) is None

    async def _counted(self, request: Request, found: Awaitable[Principal]) -> Principal:
        """Who is found, the request counted by them; or by its address, when what it has shown is wrong."""
        try:
            principal = await found
        except NotAuthenticatedError as error:
            if error.is_wrong and not error.is_over:
                await self._count_wrong(request.scope)
            raise
        await self._count(request, principal)
        return principal

    async def _identify(self, shown: bytes) -> Principal:
        found = self._ring.find(shown)
        if found is not None:
            return found
        if self._verifier is None or shown.count(b".") != 2:
            raise NotAuthenticatedError(is_wrong=True)
        return await self._verifier.principal(shown)

    async def _unshown(self, request: Request, by: Purpose | None) -> Principal:
        """A link says more than a cookie, which goes along with each request; an old one is no reason to refuse."""
        cookie = cookie_of(request)
        if cookie is None:
            return await self._signed(request, by)
        try:
            return await self._signed(request, by)
        except NotAuthenticatedError:
            principal = await whose_session(cookie, self._marks, self._secret)
        request.state.principal = principal  # for the log, should the next line refuse
        if request.method not in SAFE_METHODS:
            check_own_page(request, self._public_url)
        return principal

    async def _signed(self, request: Request, by: Purpose | None) -> Principal:
        """Whose link or ticket it is, who must still have a key of that name; they may read, and no more."""
        grant = await grant_of(request, by, self._secret) if by is not None else None
        if grant is None:
            raise NotAuthenticatedError(is_wrong=False)
        principal = Principal(grant.tenant, grant.name, Role.ASK)
        if ":" in grant.name:  # of a token, which ends by itself, or of the service's own news
            return principal
        owner = self._ring.named(principal.key)
        if owner is None:
            raise BadLinkError(is_over=False)
        return replace(owner, role=Role.ASK)

    async def _count(self, request: Request, principal: Principal) -> None:
        rate = principal.rate or self._rate
        if rate is None:
            return
        standing = await self._limits.hit(KEY_POLICY, rate, principal.key)
        request.state.standing = standing
        if not standing.is_within:
            raise RateLimitedError(standing)

    async def _count_wrong(self, scope: Scope) -> None:
        """Wrong credentials are counted by address. Right ones are let in even from an address that has tried too
        many: else anyone could shut out those who share an address with them.
        """
        standing = await self._limits.hit(ADDRESS_POLICY, self._address_rate, _address(scope))
        if not standing.is_within:
            raise RateLimitedError(standing)


def credential(scope: Scope) -> bytes | None:
    """What the request shows: X-API-Key, else the bearer token of Authorization (RFC 6750); None when neither."""
    bearer = None
    for name, value in scope["headers"]:
        if name == b"x-api-key":
            return bytes(value.strip())
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            bearer = bytes(value[7:].strip())
    return bearer


def _token_secret(settings: Settings) -> bytes:
    """Empty with JWT_JWKS_URL: there the issuer alone has a secret."""
    return b"" if settings.jwt_secret is None else settings.jwt_secret.get_secret_value().encode()


def _address(scope: Scope) -> str:
    """As whose a wrong credential counts; a Unix socket, or what a trusted proxy passed on, may have no address."""
    client = scope.get("client")
    return one_client(client[0] if client else "") or "unknown"
