"""Webhook deliveries: a client's server is told that its job has ended, as Standard Webhooks has it.

The specification: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md. The URL
is hostile: its host is looked up once, every address that comes back must be public, and the connection goes to that
address, also through a proxy: a proxy that were told the name would look it up again, and its network has private
addresses too. Redirects are not followed, and nothing that the other side answers is kept.
"""

import base64
import hashlib
import hmac
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from time import monotonic, time
from typing import Any

import httpcore2
import httpx2
import orjson
from redis import Redis

from app.core.contract import JobStatus, WebhookJob
from app.core.errors import ConfigurationError, ErrorCode
from app.core.link_secret import kept_secret
from app.core.links import NEWS_NAME, NEWS_SECONDS, Links
from app.core.logging import get_logger
from app.core.proxies import proxy_for, shown
from app.core.queue.producer import fetch_view, webhook_key
from app.core.queue.records import JobView
from app.core.settings import Settings
from worker.http.public_addresses import is_public
from worker.resources import this_process
from worker.runtime.boundary import Failure, boundary, failure_of
from worker.runtime.deadlines import CallLimit
from worker.runtime.interrupts import own_calls
from worker.runtime.measures import measures

TIMEOUT_SECONDS = 15.0
"""For a whole delivery: to look up the host, connect, send, and read the answer; the specification names 15 to 30."""
SECONDS_MIN = 0.1
OPENED = ("connect_tcp.complete", "start_tls.complete")
"""The steps of which httpcore's `trace` tells that give a connection another socket."""
GONE = 410
"""The receiver wants no more of these (Standard Webhooks, "Responses")."""

log = get_logger(__name__)


class WebhookFailedError(Exception):
    """The delivery has failed; RQ tries again later. Says nothing of URL or secret."""


class ForbiddenAddressError(WebhookFailedError):
    """The URL leads to an address that is not public."""


def prepare() -> None:
    """Open what this module's jobs share: nothing, a delivery needs the settings alone."""


def deliver(payload: Mapping[str, Any]) -> str:
    """Deliver the `WebhookJob` in `payload`; returns what came of it.

    Raises `JobFailedError` when it did not arrive: then RQ tries again, as its record says.
    """
    with boundary("webhook", payload, backoff=None, classify=_failure_of, on_failed=_not_delivered) as record:
        assert record is not None
        job = WebhookJob.model_validate(payload)
        hook: Any = record.connection.hgetall(webhook_key(job.job_id))
        view = fetch_view(record.connection, job.job_id, tenant=job.tenant)
        if not hook or view is None:
            log.info("webhook_dropped", reason="the job was removed")
            measures().webhook("dropped")
            return "dropped"
        body = news(view, _links(record.connection, job.tenant))
        headers = signed_headers(job.job_id, body, hook[b"secret"].decode(), at=int(time()))
        status = send(hook[b"url"].decode(), body, headers, this_process().settings)
        log.info("webhook_delivered", status=status)
        measures().webhook(outcome := "refused" if status == GONE else "delivered")
        return outcome


def _not_delivered(failure: Failure | None, *, is_tried_again: bool) -> None:
    if failure is not None:  # else it was told to end
        measures().webhook("failed")


def _failure_of(error: BaseException) -> Failure:
    """The words of a delivery's own errors name neither URL nor secret, so that the record may have them."""
    if isinstance(error, WebhookFailedError):
        return Failure(ErrorCode.INTERNAL, "webhook_failed", str(error))
    return failure_of(error)


def _links(connection: Redis, tenant: str) -> Links:
    """Links of the news: absolute where PUBLIC_URL is set, and signed where the API asks for keys."""
    settings = this_process().settings
    return Links(
        settings.public_url or "", kept_secret(connection, settings), tenant, NEWS_NAME, seconds=NEWS_SECONDS
    )


def news(view: JobView, links: Links) -> bytes:
    """The body: what happened, when, and what `/result` would show."""
    result = links.shown(view.result)
    kind = "completed" if view.status is JobStatus.FINISHED else view.status.value
    return orjson.dumps(
        {
            "type": f"job.{kind}",
            "timestamp": (view.ended_at or datetime.now(UTC)).isoformat(),
            "data": {
                "job_id": view.job_id,
                "status": view.status.value,
                "result": result.model_dump(mode="json") if result else None,
                "error": view.error.model_dump(mode="json") if view.error else None,
            },
        }
    )


def signed_headers(job_id: str, body: bytes, secret: str, *, at: int) -> dict[str, str]:
    """The headers of the specification. `secret` is base64 after `whsec_`; `at` is in seconds since 1970.

    The signature is over "id.timestamp.body" by HMAC-SHA256. The id is the same for each try, so that a receiver
    knows a message that it has had.
    """
    message_id = f"msg_{job_id}"
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = hmac.new(key, f"{message_id}.{at}.".encode() + body, hashlib.sha256).digest()
    return {
        "content-type": "application/json",
        "user-agent": "rag-queue",
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }


def send(url: str, body: bytes, headers: Mapping[str, str], settings: Settings) -> int:
    """POST `body`; returns the status, 2xx or 410. Raises `WebhookFailedError` for all else."""
    if not settings.webhook_allow_private and not url.startswith("https://"):
        raise ForbiddenAddressError("only https is allowed")
    try:
        proxy = proxy_for(url)
    except ConfigurationError as error:
        raise WebhookFailedError(str(error)) from None
    try:
        status = _post(url, body, headers, proxy=proxy, allow_private=settings.webhook_allow_private)
    except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
        if proxy is not None:
            log.warning("webhook_failed_by_proxy", proxy=shown(proxy), reason=_reason(error))
        raise WebhookFailedError(f"no answer: {type(error).__name__}") from None
    if not 200 <= status < 300 and status != GONE:
        raise WebhookFailedError(f"answered {status}")
    return status


def public_address(host: str, port: int) -> str:
    """An address of `host`. Raises `ForbiddenAddressError` unless all of its addresses are public."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise WebhookFailedError("the host has no address") from None
    addresses = [str(address[0]) for *_, address in found]
    if not addresses or not all(is_public(address) for address in addresses):
        raise ForbiddenAddressError("the host has an address that is not public")
    return addresses[0]


def _post(url: str, body: bytes, headers: Mapping[str, str], *, proxy: str | None, allow_private: bool) -> int:
    give_up, wire = monotonic() + TIMEOUT_SECONDS, Wire()
    transport = httpx2.HTTPTransport(proxy=proxy)
    with (
        own_calls().waiting(wire),
        CallLimit(wire, TIMEOUT_SECONDS) as limit,
        httpx2.Client(transport=transport, trust_env=False) as client,
    ):
        request = client.build_request("POST", url, content=body, headers=dict(headers))
        if not allow_private:
            _in_time(TIMEOUT_SECONDS, lambda: _pin(request))
        # A connection opens in two steps, TCP's and TLS's, of which each may take so long; then it can be shut.
        connect_seconds = max(SECONDS_MIN, (give_up - monotonic()) / 2)
        request.extensions["timeout"] = httpx2.Timeout(TIMEOUT_SECONDS, connect=connect_seconds).as_dict()
        request.extensions["trace"] = wire.see
        try:
            with closing(client.send(request, stream=True, follow_redirects=False)) as answer:
                return answer.status_code
        except httpx2.HTTPError:
            if limit.has_fired:
                raise WebhookFailedError(f"no answer in {TIMEOUT_SECONDS:g} s") from None
            raise


class Wire:
    """The connection of one delivery, as httpcore's `trace` shows it; another thread may shut it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None
        self._is_shut = False

    def see(self, event: str, info: Mapping[str, Any]) -> None:
        """A step was taken: when it has opened the connection, or begun TLS over it, that is the socket now."""
        stream = info.get("return_value")
        if event.endswith(OPENED) and isinstance(stream, httpcore2.NetworkStream):
            with self._lock:
                self._sock = stream.get_extra_info("socket")
                if self._is_shut:
                    self._shut()

    def shut(self) -> None:
        """End all waiting for it, now and later."""
        with self._lock:
            self._is_shut = True
            self._shut()

    def _shut(self) -> None:
        if self._sock is not None:
            with suppress(OSError):  # the other side was first
                # A TLS socket's own would forget its session meanwhile.
                socket.socket.shutdown(self._sock, socket.SHUT_RDWR)


def _in_time(seconds: float, act: Callable[[], None]) -> None:
    """Do `act`, and raise what it raises; `WebhookFailedError` when it takes longer, and is left behind.

    A resolver has time-outs of its own, beyond ours, and nothing else ends a look-up.
    """
    done: SimpleQueue[Exception | None] = SimpleQueue()

    def try_it() -> None:
        try:
            act()
        except Exception as error:  # the caller's to see
            done.put(error)
        else:
            done.put(None)

    threading.Thread(target=try_it, name="look-up", daemon=True).start()
    try:
        error = done.get(timeout=seconds)
    except Empty:
        raise WebhookFailedError("the host was not found in time") from None
    if error is not None:
        raise error


def _pin(request: httpx2.Request) -> None:
    """Send `request` to an address of its host that is checked; TLS and the Host header still say the host's name."""
    host = request.url.raw_host.decode("ascii")
    address = public_address(host, request.url.port or 443)
    request.url = request.url.copy_with(host=address)
    request.extensions["sni_hostname"] = host


def _reason(error: Exception) -> str:
    """What to log of it: a proxy's refusal begins with its status."""
    return str(error).partition(" ")[0] if isinstance(error, httpx2.ProxyError) else type(error).__name__
