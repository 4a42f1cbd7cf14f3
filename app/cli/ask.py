"""A client of the service, as anyone would write it: post, poll, result."""

from time import monotonic, sleep
from typing import Any

import httpx

from app.core.proxies import proxy_for
from app.core.services import running
from app.core.settings import Settings

POLL_SECONDS_MIN = 0.02
POLL_SECONDS_MAX = 1.0


class AskError(Exception):
    """The service could not be asked, or did not answer. The message says why."""


def service_url(settings: Settings) -> str:
    """The running service: the one that published itself in DATA_DIR, else HOST and PORT."""
    found = running(settings.data_dir)
    return found.http_url if found else f"http://{settings.host}:{settings.port}"


def ask(url: str, question: str, *, key: str | None = None, timeout_seconds: float = 120) -> dict[str, Any]:
    """The body of `/result` for `question`, asked with an API key when the service wants one.

    Raises `AskError`, and `ConfigurationError` when the environment names a proxy for `url` that can't be used.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else None
    transport = httpx.HTTPTransport(proxy=proxy_for(url))
    with httpx.Client(transport=transport, base_url=url, headers=headers, timeout=10) as client:
        try:
            accepted = client.post("/chat", json={"query": question})
            if accepted.status_code != httpx.codes.ACCEPTED:
                raise AskError(_reason(accepted))
            return _poll(client, accepted.json()["urls"]["result"], timeout_seconds)
        except httpx.HTTPError as error:
            raise AskError(f"no service at {url} ({type(error).__name__}); start it with `make run`") from error


def show(question: str, outcome: dict[str, Any]) -> bool:
    """Print an answer with its citations; whether it has any."""
    print(f"\nQ: {question}")
    if outcome["result"] is None:
        print(f"   {outcome['status']}: {(outcome['error'] or {}).get('message', '')}")
        return False
    result = outcome["result"]
    print(f"A: {printable(result['answer'])}   ({result['mode']}, {result['timings_ms']['total']:.0f} ms)")
    for citation in result["citations"]:
        source = printable(citation["filename"])
        print(f'   [{citation["n"]}] {source}, page {citation["page"]}: "{printable(citation["quote"])}"')
    return bool(result["citations"])


def printable(text: str) -> str:
    """`text` on one line without control characters: what stands in a document must not drive a terminal."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))


def _poll(client: httpx.Client, path: str, timeout_seconds: float) -> dict[str, Any]:
    give_up, wait = monotonic() + timeout_seconds, POLL_SECONDS_MIN
    while True:
        answer = client.get(path)
        if answer.status_code == httpx.codes.OK:
            return dict(answer.json())
        if answer.status_code != httpx.codes.ACCEPTED:
            raise AskError(_reason(answer))
        if monotonic() > give_up:
            raise AskError(f"no answer within {timeout_seconds:g} s; it will be at {client.base_url.join(path)}")
        sleep(wait)
        wait = min(1.5 * wait, POLL_SECONDS_MAX)


def _reason(answer: httpx.Response) -> str:
    try:
        problem = answer.json()
        fields = "; ".join(f"{e['pointer'] or e['in']}: {e['detail']}" for e in problem.get("errors", []))
        return " ".join(filter(None, [problem["detail"], fields]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"the service answered {answer.status_code}"
