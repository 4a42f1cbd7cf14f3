"""JWTs: what is accepted, and that everything else is refused in the same way."""

import asyncio
from collections.abc import Iterator
from time import monotonic, time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from app.auth import jwks
from app.auth.jwks import JwksKeys
from app.auth.jwt import TOKEN_MAX_BYTES, SecretKey, TokenVerifier, open_verifier
from app.auth.principals import KeysUnavailableError, NotAuthenticatedError, Principal, Role
from app.core.settings import Settings
from tests.support.credentials import AUDIENCE, ISSUER, SECRET, Issuer, serving, token, unsigned_token


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with serving(Issuer()) as issuer:
        yield issuer


def by_secret(issuer: str | None = ISSUER, audience: str | None = AUDIENCE) -> TokenVerifier:
    return TokenVerifier(SecretKey(SECRET), issuer=issuer, audience=audience)


def by_url(issuer: Issuer) -> TokenVerifier:
    return TokenVerifier(JwksKeys(issuer.url), issuer=ISSUER, audience=AUDIENCE)


def who(verifier: TokenVerifier, shown: str | bytes) -> Principal:
    return asyncio.run(verifier.principal(shown if isinstance(shown, bytes) else shown.encode()))


def assert_refused(verifier: TokenVerifier, shown: str | bytes) -> None:
    with pytest.raises(NotAuthenticatedError) as caught:
        who(verifier, shown)
    assert caught.value.is_wrong


def test_a_token_stands_for_its_subject_tenant_and_role() -> None:
    assert who(by_secret(), token(role="ingest")) == Principal("acme", "jwt:user-1", Role.INGEST)


def test_a_token_without_a_role_may_ask() -> None:
    assert who(by_secret(), token(role=None)).role is Role.ASK


@pytest.mark.parametrize("subject", ["auth0|5f7c", "ann@example.com", "x" * 200, "jwt:user-1", "日本"])
def test_a_subject_that_is_no_plain_word_stands_as_its_hash(subject: str) -> None:
    name = who(by_secret(), token(sub=subject)).name
    assert name.startswith("jwt-sha256:")
    assert subject not in name
    assert name == who(by_secret(), token(sub=subject)).name
    assert name != who(by_secret(), token(sub=subject + "x")).name


@pytest.mark.parametrize(
    "wrong",
    [
        {"exp": time() - 1},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": time() + 86_400},  # made when tests are collected, which may be long before
        {"aud": "another-service"},
        {"aud": None},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 300},
        {"sub": "\ud800"},
        {"tenant": None},
        {"tenant": "../other"},
        {"tenant": ["acme"]},
        {"role": "root"},
        {"role": ["admin"]},
        {"key": "another secret of enough bytes, 32"},
        {"algorithm": "HS512", "key": SECRET * 2},
    ],
    ids=str,
)
def test_a_token_that_is_wrong_in_any_way_is_refused(wrong: dict[str, Any]) -> None:
    assert_refused(by_secret(), token(**wrong))


def test_an_unsigned_token_is_refused() -> None:
    assert_refused(by_secret(), unsigned_token(role="admin"))
    assert_refused(by_secret(), token().rsplit(".", 1)[0] + ".")


def test_a_changed_token_is_refused() -> None:
    head, _, signature = token().split(".")
    other = token(role="admin").split(".")[1]
    assert_refused(by_secret(), f"{head}.{other}.{signature}")


def test_a_token_for_another_service_is_refused_where_no_audience_is_configured() -> None:
    verifier = by_secret(issuer=None, audience=None)
    assert who(verifier, token(aud=None, iss=None)).tenant == "acme"
    assert_refused(verifier, token(aud="another-service"))


def head(header: bytes) -> bytes:
    return jwt.utils.base64url_encode(header) + b".e30.x"


@pytest.mark.parametrize(
    "garbage",
    [b"", b"..", b"a.b.c", b"\xff\xfe.\x00.x", b"e30.e30.e30", b"." * 5000, b"x" * (TOKEN_MAX_BYTES + 1),
     head(b"[" * 5000), head(b'{"alg":["HS256"]}'), head(b'{"alg":"HS256","kid":{}}'), head(b"\xff" * 20),
     head(b"5")],
    ids=range(12),
)  # fmt: skip
def test_garbage_is_refused_and_never_an_error(garbage: bytes) -> None:
    assert_refused(by_secret(), garbage)


def test_a_clock_ahead_of_ours_does_not_make_a_token_wrong() -> None:
    assert who(by_secret(), token(iat=time() + 5)).name == "jwt:user-1"


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_a_token_signed_with_a_published_key_is_accepted(issuer: Issuer, kind: str) -> None:
    key = issuer.add_rsa("k1") if kind == "rsa" else issuer.add_ec("k1")
    algorithm = "RS256" if kind == "rsa" else "ES256"
    assert who(by_url(issuer), token(key=key, algorithm=algorithm, kid="k1")).tenant == "acme"


def test_a_public_key_is_no_secret(issuer: Issuer) -> None:
    """Algorithm confusion: a token signed by HMAC with the public key, which everyone has."""
    public = issuer.add_rsa("k1").public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    signer = jwt.PyJWS()
    forged = signer.encode(b"{}", "x" * 32, algorithm="HS256", headers={"kid": "k1"})
    head, payload, _ = token(kid="k1").split(".")
    signature = jwt.utils.base64url_encode(
        jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(f"{head}.{payload}".encode(), pem)
    )
    assert_refused(by_url(issuer), f"{head}.{payload}.{signature.decode()}")
    assert_refused(by_url(issuer), forged)


def test_a_symmetric_key_in_the_set_is_of_no_use(issuer: Issuer) -> None:
    issuer.body = b'{"keys": [{"kty": "oct", "kid": "k1", "k": "c3NzcA"}]}'
    assert_refused(by_url(issuer), token(kid="k1"))


def test_a_token_of_another_algorithm_or_of_another_key_is_refused(issuer: Issuer) -> None:
    rsa_key, ec_key = issuer.add_rsa("k1"), issuer.add_ec("k2")
    verifier = by_url(issuer)
    assert_refused(verifier, token(key=rsa_key, algorithm="RS512", kid="k1"))
    assert_refused(verifier, token(key=rsa_key, algorithm="RS256", kid="k2"))
    assert_refused(verifier, token(key=ec_key, algorithm="ES256", kid="k1"))
    assert_refused(verifier, token(key=rsa_key, algorithm="RS256"))
    assert_refused(verifier, unsigned_token())


def test_keys_are_fetched_once_for_many_tokens(issuer: Issuer) -> None:
    key = issuer.add_rsa("k1")
    verifier, shown = by_url(issuer), token(key=key, algorithm="RS256", kid="k1").encode()

    async def many() -> None:
        await asyncio.gather(*(verifier.principal(shown) for _ in range(20)))

    asyncio.run(many())
    assert issuer.requests == 1


def test_unknown_key_ids_make_no_more_than_one_request_a_minute(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = monotonic()
    monkeypatch.setattr(jwks, "monotonic", lambda: now)
    key = issuer.add_rsa("k1")
    verifier = by_url(issuer)

    async def main() -> None:
        nonlocal now
        await verifier.principal(token(key=key, algorithm="RS256", kid="k1").encode())
        rotated = token(key=issuer.add_rsa("k2"), algorithm="RS256", kid="k2").encode()
        for _ in range(5):
            with pytest.raises(NotAuthenticatedError):
                await verifier.principal(rotated)
        assert issuer.requests == 1
        now += jwks.COOLDOWN_SECONDS
        assert (await verifier.principal(rotated)).tenant == "acme"
        assert issuer.requests == 2

    asyncio.run(main())


@pytest.mark.parametrize("trouble", ["unavailable", "error", "not json", "no keys", "too large", "redirect"])
def test_an_issuer_that_can_not_be_asked_is_our_trouble_and_not_the_tokens(issuer: Issuer, trouble: str) -> None:
    key = issuer.add_rsa("k1")
    bodies = {"not json": b"<html>", "no keys": b'{"keys": []}', "too large": b" " * (jwks.JWKS_MAX_BYTES + 1)}
    issuer.body = bodies.get(trouble)
    issuer.status = {"error": 500, "redirect": 302}.get(trouble, 200)
    if trouble == "unavailable":
        issuer.url = "http://127.0.0.1:9/"
    with pytest.raises(KeysUnavailableError):
        who(by_url(issuer), token(key=key, algorithm="RS256", kid="k1"))


def test_known_keys_serve_on_while_the_issuer_is_away_but_not_for_ever(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = monotonic()
    monkeypatch.setattr(jwks, "monotonic", lambda: now)
    key = issuer.add_rsa("k1")
    verifier = by_url(issuer)

    async def main() -> None:
        nonlocal now
        shown = token(key=key, algorithm="RS256", kid="k1", exp=time() + 9999).encode()
        await verifier.principal(shown)
        issuer.status = 500
        now += jwks.REFRESH_SECONDS + 1
        assert (await verifier.principal(shown)).tenant == "acme"
        now += jwks.KEEP_SECONDS
        with pytest.raises(KeysUnavailableError):
            await verifier.principal(shown)

    asyncio.run(main())


def test_settings_choose_the_kind_of_key(issuer: Issuer) -> None:
    named: dict[str, Any] = {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE}
    shared = open_verifier(Settings(jwt_secret=SECRET, **named))
    published = open_verifier(Settings(jwt_jwks_url=issuer.url, **named))
    signed = token(key=issuer.add_ec("k1"), algorithm="ES256", kid="k1")
    assert who(shared, token()) == who(published, signed)
    assert_refused(shared, signed)
    assert_refused(published, token(kid="k1"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"jwt_secret": "short"}, "32 bytes"),
        ({"jwt_secret": SECRET, "jwt_jwks_url": "https://i.example/k"}, "not both"),
        ({"jwt_jwks_url": "https://i.example/k"}, "JWT_ISSUER and JWT_AUDIENCE"),
        ({"jwt_jwks_url": "file:///etc/passwd", "jwt_issuer": "i", "jwt_audience": "a"}, "jwt_jwks_url"),
    ],
)
def test_settings_that_would_accept_too_much_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings(**settings)
