"""API keys and tokens of the tests' own making."""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from app.auth.api_keys import make_key
from app.auth.principals import Role

LOCAL_URL = "http://127.0.0.1:8000"
"""A TestClient's base_url for a service without keys: it serves its own machine, under a loopback name."""

SECRET = "s" * 32
ISSUER = "https://issuer.example"
AUDIENCE = "rag-queue"


def api_key(
    name: str,
    *,
    tenant: str = "default",
    role: str = "ask",
    rate: str | None = None,
    tokens: str | None = None,
    weight: int = 1,
) -> tuple[str, str]:
    """A key, and its entry for API_KEYS."""
    key, entry = make_key(name=name, tenant=tenant, role=Role(role), rate=rate, tokens=tokens, weight=weight)
    return key, str(entry)


def bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


def claims(**other: Any) -> dict[str, Any]:
    """The claims of a token that is good for a minute; `other` replaces some, None leaves one out."""
    good = {"sub": "user-1", "tenant": "acme", "role": "ask", "exp": time() + 3600, "iss": ISSUER, "aud": AUDIENCE}
    return {name: value for name, value in {**good, **other}.items() if value is not None}


def token(*, key: Any = SECRET, algorithm: str = "HS256", kid: str | None = None, **other: Any) -> str:
    headers = {"kid": kid} if kid else None
    return jwt.encode(claims(**other), key, algorithm=algorithm, headers=headers)


def unsigned_token(**other: Any) -> str:
    """A token with `alg: none`, as an attacker writes it."""

    def part(content: Mapping[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims(**other))}."


class Issuer:
    """An identity provider: keys, and the URL at which it publishes them. `requests` counts who asked."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {}
        self.requests = 0
        self.body: bytes | None = None
        self.status = 200
        self.url = ""

    def add_rsa(self, kid: str) -> Any:
        self.keys[kid] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return self.keys[kid]

    def add_ec(self, kid: str) -> Any:
        self.keys[kid] = ec.generate_private_key(ec.SECP256R1())
        return self.keys[kid]

    def document(self) -> bytes:
        if self.body is not None:
            return self.body
        return json.dumps({"keys": [_public(kid, key) for kid, key in self.keys.items()]}).encode()


@contextmanager
def serving(issuer: Issuer) -> Iterator[Issuer]:
    """`issuer` on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.requests += 1
            body = issuer.document()
            self.send_response(issuer.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing: the test asks `requests`."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        issuer.url = f"http://127.0.0.1:{server.server_port}/jwks.json"
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()


def _public(kid: str, key: Any) -> dict[str, Any]:
    algorithm: Any = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig"}
