"""JSON Web Tokens (RFC 7519) as credentials: `sub`, `tenant` and `exp` are required, `role` is ask unless stated.

Which algorithms are taken follows from the kind of key that is configured, and from nothing in the token (RFC 8725,
section 3.1).
"""

from hashlib import sha256
from typing import Annotated, Protocol

import jwt
from pydantic import ConfigDict, StringConstraints, ValidationError

from app.auth.jwks import JwksKeys
from app.auth.principals import NotAuthenticatedError, Principal, Role
from app.core.contract import Label
from app.core.models import QuietModel
from app.core.settings import Settings

TOKEN_MAX_BYTES = 8192
"""Longer than tokens of identity providers are; what is longer is not looked at."""
PLAIN_SUBJECT_MAX_CHARACTERS = 100
LATEST = 253_402_300_799
"""The last second of the year 9999; a token that expires later is taken to expire then."""

Subject = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class Claims(QuietModel):
    """What a token says, once its signature and time have been checked."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    sub: Subject
    tenant: Label
    role: Role = Role.ASK
    exp: float


class Keys(Protocol):
    """Where the key of a token comes from."""

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The algorithms that the keys are for."""

    async def get(self, key_id: str | None) -> jwt.PyJWK | str | None:
        """The key with this id; None when there is none."""


class SecretKey:
    """One secret shared with whoever issues the tokens."""

    algorithms = ("HS256",)

    def __init__(self, secret: str) -> None:
        self._secret = secret

    async def get(self, key_id: str | None) -> str:
        """The secret, whatever the token calls it."""
        return self._secret


class TokenVerifier:
    """Checks tokens against `keys`; `issuer` and `audience` as well, when they are given."""

    def __init__(self, keys: Keys, *, issuer: str | None, audience: str | None) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience

    async def principal(self, token: bytes) -> Principal:
        """Who the token stands for. Raises `NotAuthenticatedError` or `KeysUnavailableError`."""
        if len(token) > TOKEN_MAX_BYTES:
            raise NotAuthenticatedError(is_wrong=True)
        try:
            key = await self._keys.get(jwt.get_unverified_header(token).get("kid"))
            if key is None:
                raise NotAuthenticatedError(is_wrong=True)
            claims = Claims.model_validate(self._decode(token, key))
        # RecursionError: JSON nested a thousand deep.
        except (jwt.PyJWTError, ValidationError, ValueError, RecursionError) as error:
            raise NotAuthenticatedError(is_wrong=True) from error
        until = int(min(claims.exp, LATEST))
        return Principal(claims.tenant, _name(claims.sub), claims.role, until=until)

    def _decode(self, token: bytes, key: jwt.PyJWK | str) -> dict[str, object]:
        return jwt.decode(
            token,
            key,
            algorithms=list(self._keys.algorithms),
            audience=self._audience,
            issuer=self._issuer,
            # A clock a second ahead of ours is no reason to refuse: `iat` says when, `nbf` and `exp` say whether.
            options={"require": ["exp", "sub"], "verify_iat": False, "enforce_minimum_key_length": True},
        )


def open_verifier(settings: Settings) -> TokenVerifier:
    """What checks tokens by `settings`, which have JWT_SECRET or JWT_JWKS_URL."""
    keys: Keys
    if settings.jwt_secret is not None:
        keys = SecretKey(settings.jwt_secret.get_secret_value())
    else:
        assert settings.jwt_jwks_url is not None
        keys = JwksKeys(settings.jwt_jwks_url)
    return TokenVerifier(keys, issuer=settings.jwt_issuer, audience=settings.jwt_audience)


def _name(subject: str) -> str:
    """The subject as it may stand in logs and keys: itself when it is a plain word, else its hash.

    The colon keeps it apart from the names of API keys, which have none.
    """
    is_plain = subject.isascii() and subject.replace("-", "").replace("_", "").replace(".", "").isalnum()
    if is_plain and len(subject) <= PLAIN_SUBJECT_MAX_CHARACTERS:
        return f"jwt:{subject}"
    return f"jwt-sha256:{sha256(subject.encode()).hexdigest()[:32]}"
