"""Problem documents (RFC 9457), as tests read them."""

from typing import Any

from httpx2 import Response


def assert_problem(response: Response, status: int, kind: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["type"] == f"urn:problem:{kind}"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    return body
