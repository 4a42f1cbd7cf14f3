"""The HTTP clients inside LangChain's OpenAI classes: for models that our own wire can't ask."""

from typing import Any

import httpx2

from app.core.proxies import proxy_for
from worker.model.openai_wire import OPENAI_URL


def http_clients(url: str | None) -> dict[str, Any]:
    """Arguments for LangChain's OpenAI classes, so that calls to `url` (None: OpenAI's) heed proxies as ours do.

    Left alone, they take loopback through a proxy too, and can't be made where ALL_PROXY is a SOCKS one. Raises
    `ConfigurationError` when the environment names a proxy for `url` that can't be used.
    """
    proxy = proxy_for(url or OPENAI_URL)
    tls = httpx2.create_ssl_context()
    return {
        "http_client": httpx2.Client(transport=httpx2.HTTPTransport(verify=tls, proxy=proxy), follow_redirects=True),
        "http_async_client": httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(verify=tls, proxy=proxy)),
        "openai_proxy": None,  # else OPENAI_PROXY's, which LangChain refuses beside a client, in words that show it
    }
