"""Webhooks: signed, retried, never to a private address, and their secrets nowhere but where they are needed."""

import asyncio
import base64
import json
import socket
import ssl
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpcore2
import httpx
import pytest
from redis import Redis
from rq import SimpleWorker
from rq.job import Job
from rq.registry import FailedJobRegistry, ScheduledJobRegistry
from rq.timeouts import TimerDeathPenalty
from standardwebhooks import Webhook

from app.core.contract import WEBHOOK_QUEUE
from app.core.queue.connections import connect_async
from app.core.queue.records import WEBHOOK_RETRY_SECONDS
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from app.jobs.outbox import Reader
from app.jobs.webhooks import Webhooks
from tests.integration.app.test_waiting import finish, start
from tests.support.acting import ActingWorker, answer
from tests.support.api import serving
from tests.support.contents import everything_in
from tests.support.credentials import api_key, bearer
from tests.support.processes import wait_until
from tests.support.proxy import proxying
from tests.support.tls import make_certificate
from worker import webhooks
from worker.resources import Process, begin, end
from worker.webhooks import ForbiddenAddressError, public_address, send

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()

PUBLIC = "93.184.216.34"


class Receiver(ThreadingHTTPServer):
    """A client's server: answers with `status`, keeps what it got."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 204
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/hook?token=t0ken"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.server.status)
        self.send_header("location", self.server.url)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def settings(valkey: Redis, valkey_url: str) -> Iterator[Settings]:
    settings = Settings(redis_url=valkey_url, webhook_allow_private=True)
    begin(Process(settings))
    yield settings
    end()


@contextmanager
def asked(settings: Settings, url: str, key: str = "none", **hook: str) -> Iterator[tuple[httpx.Client, str]]:
    with serving(settings) as api, httpx.Client(base_url=api, headers=bearer(key)) as client:
        response = client.post("/chat", json={"query": "?", "webhook": {"url": url, "secret": SECRET} | hook})
        assert response.status_code == 202, response.text
        yield client, response.json()["job_id"]


def scheduled(valkey: Redis) -> list[str]:
    ids: Any = valkey.zrange(ScheduledJobRegistry.key_template.format(WEBHOOK_QUEUE), 0, -1)
    return [job_id.decode() for job_id in ids]


def work(valkey: Redis) -> None:
    """A stock worker that does what waits."""

    class Worker(SimpleWorker):
        death_penalty_class = TimerDeathPenalty

    Worker([WEBHOOK_QUEUE], connection=valkey, serializer=PlainSerializer).work(burst=True, logging_level="ERROR")


def delivered(valkey: Redis) -> None:
    wait_until(lambda: valkey.llen(f"rq:queue:{WEBHOOK_QUEUE}"), "the delivery is enqueued")
    work(valkey)


def test_the_news_of_a_finished_job_are_signed_and_hold_its_result(
    settings: Settings, valkey: Redis, receiver: Receiver
) -> None:
    with asked(settings, receiver.url) as (_, job_id):
        start(valkey, job_id)
        finish(valkey, job_id)
        delivered(valkey)
    [(headers, body)] = receiver.got
    news: Any = Webhook(SECRET).verify(body.decode(), headers)
    assert news["type"] == "job.completed"
    assert news["data"]["job_id"] == job_id
    assert news["data"]["result"]["answer"] == "Six."
    assert headers["webhook-id"] == f"msg_{job_id}"


@pytest.mark.parametrize("public_url", [None, "https://host.example/rag"])
def test_the_links_of_the_news_open_their_pages_without_a_key(
    settings: Settings, valkey: Redis, receiver: Receiver, tmp_path: Path, public_url: str | None
) -> None:
    key, entry = api_key("owner", role="admin")
    given = settings.model_dump(exclude_unset=True) | {"public_url": public_url}
    begin(Process(Settings(**given)))
    stated = Settings(**given | {"api_keys": entry, "data_dir": tmp_path, "qdrant_url": "http://127.0.0.1:9"})
    with asked(stated, receiver.url, key=key) as (client, job_id):
        files = {"files": ("a.txt", b"Six.", "text/plain")}
        document_id = client.post("/documents", files=files).json()["documents"][0]["document_id"]
        cited = answer("Six. [1]", pages=[1])
        [citation] = cited.citations
        own = citation.model_copy(update={"document_id": document_id, "url": f"/documents/{document_id}/file#page=1"})
        worker = ActingWorker(valkey)
        worker.start(job_id)
        worker.finish(job_id, cited.model_copy(update={"citations": (own,)}))
        delivered(valkey)
        url = json.loads(receiver.got[0][1])["data"]["result"]["citations"][0]["url"]
        assert url.startswith(f"{public_url or ''}/documents/{document_id}/file?page=1&sig=")
        assert url.endswith("#page=1")
        opened = httpx.get(client.base_url.join(url.removeprefix(public_url or "")))
        assert (opened.status_code, opened.content) == (200, b"Six.")


def test_a_cancelled_job_is_news_too(settings: Settings, valkey: Redis, receiver: Receiver) -> None:
    with asked(settings, receiver.url) as (client, job_id):
        client.post(f"/jobs/{job_id}/cancel")
        delivered(valkey)
    assert json.loads(receiver.got[0][1])["type"] == "job.stopped"


@pytest.mark.parametrize("status", [500, 404, 302])
def test_what_does_not_arrive_is_tried_again_later_and_redirects_are_not_followed(
    settings: Settings, valkey: Redis, receiver: Receiver, status: int
) -> None:
    receiver.status = status
    with asked(settings, receiver.url) as (_, job_id):
        finish(valkey, job_id)
        delivered(valkey)
    delivery = Job.fetch(f"{job_id}-webhook", connection=valkey, serializer=PlainSerializer)
    assert scheduled(valkey) == [delivery.id]
    assert delivery.retries_left == len(WEBHOOK_RETRY_SECONDS) - 1
    assert len(receiver.got) == 1


def test_a_receiver_that_is_gone_is_left_alone(settings: Settings, valkey: Redis, receiver: Receiver) -> None:
    receiver.status = 410
    with asked(settings, receiver.url) as (_, job_id):
        finish(valkey, job_id)
        delivered(valkey)
    assert not scheduled(valkey)
    assert not FailedJobRegistry(WEBHOOK_QUEUE, connection=valkey).get_job_ids()


def test_each_ended_job_is_enqueued_once(
    settings: Settings, valkey: Redis, valkey_url: str, receiver: Receiver
) -> None:
    with asked(settings, receiver.url) as (_, job_id):
        finish(valkey, job_id)
        wait_until(lambda: valkey.llen(f"rq:queue:{WEBHOOK_QUEUE}"), "the delivery is enqueued")

    async def again() -> int:
        async with connect_async(valkey_url) as client:
            return await Reader("webhooks", client, Webhooks(client, settings).enqueue).read()

    assert asyncio.run(again()) == 0
    assert valkey.llen(f"rq:queue:{WEBHOOK_QUEUE}") == 1


def test_url_and_secret_are_in_no_record_and_no_trace(settings: Settings, valkey: Redis, receiver: Receiver) -> None:
    receiver.status = 500
    with asked(settings, receiver.url) as (_, job_id):
        finish(valkey, job_id)
        delivered(valkey)
    keys: Any = valkey.scan_iter()
    kept = {key: _contents(valkey, key) for key in keys if not key.startswith(b"rag:webhook:")}
    assert any(f"{job_id}-webhook".encode() in key for key in kept)
    for contents in kept.values():
        assert b"t0ken" not in contents
        assert SECRET[6:].encode() not in contents


def _contents(valkey: Redis, key: bytes) -> bytes:
    if valkey.type(key) != b"hash":
        return bytes(valkey.dump(key) or b"")
    parts: list[bytes] = []
    fields: Any = valkey.hgetall(key)
    for value in fields.values():
        try:
            parts.append(zlib.decompress(value))
        except zlib.error:
            parts.append(value)
    return b"\n".join(parts)


def test_a_webhook_without_any_secret_is_refused(settings: Settings) -> None:
    with serving(settings) as api, httpx.Client(base_url=api) as client:
        refused = client.post("/chat", json={"query": "?", "webhook": {"url": "https://example.com/"}})
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["pointer"] == "/webhook/secret"


@pytest.mark.parametrize(
    "url",
    ["http://example.com/", "ftp://example.com/", "https://user:pw@example.com/", "https:///x", "https://e x/", "x"],
)
def test_a_url_that_is_none_for_webhooks_is_refused(settings: Settings, url: str) -> None:
    public = settings.model_copy(update={"webhook_allow_private": False})
    with serving(public) as api, httpx.Client(base_url=api) as client:
        refused = client.post("/chat", json={"query": "?", "webhook": {"url": url, "secret": SECRET}})
        assert refused.status_code == 422
        assert url not in refused.text


def test_a_name_that_leads_home_is_refused_when_it_is_connected_to() -> None:
    with pytest.raises(ForbiddenAddressError):
        public_address("localhost", 443)
    with pytest.raises(ForbiddenAddressError):
        send("https://localhost/", b"{}", {}, Settings())


def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    def both(*_: object, **__: object) -> list[Any]:
        return [(2, 1, 6, "", (address, 443)) for address in ("93.184.216.34", "127.0.0.1")]

    monkeypatch.setattr("socket.getaddrinfo", both)
    with pytest.raises(ForbiddenAddressError):
        public_address("example.com", 443)


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def connect(self: object, host: str, **_: object) -> httpcore2.NetworkStream:
        seen.append(host)
        raise httpcore2.ConnectError("not here")

    def one(*_: object, **__: object) -> list[Any]:
        return [(2, 1, 6, "", ("93.184.216.34", 443))]

    monkeypatch.setattr("socket.getaddrinfo", one)
    monkeypatch.setattr(httpcore2.SyncBackend, "connect_tcp", connect)
    with pytest.raises(webhooks.WebhookFailedError):
        send("https://example.com/", b"{}", {}, Settings())
    assert seen == ["93.184.216.34"]


@pytest.fixture
def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver with TLS, as `hook.test`, whose address is a public one."""
    certificate = make_certificate(tmp_path / "hook.pem", "hook.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    resolve: Any = socket.getaddrinfo

    def public(host: Any, port: int, *more: Any, **options: Any) -> Any:
        if host == "hook.test":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (PUBLIC, port))]
        return resolve(host, port, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", public)
    with Receiver() as server:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        server.url = f"https://hook.test:{server.server_address[1]}/hook"
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_through_a_proxy_the_connection_goes_to_the_checked_address_and_tls_asks_for_the_name(
    hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = hook.server_address[1]
    with proxying(credentials=("me", "s3cret")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert send(hook.url, b"{}", {}, Settings()) == 204
    assert proxy.seen == [("CONNECT", f"{PUBLIC}:{port}")]
    [(headers, _)] = hook.got
    assert headers["host"] == f"hook.test:{port}"


def test_a_receiver_whose_certificate_is_for_another_name_gets_nothing(
    hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve: Any = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *more, **how: resolve("hook.test" if host == "x.test" else host, *more, **how),
    )
    with proxying() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(webhooks.WebhookFailedError):
            send(hook.url.replace("hook.test", "x.test"), b"{}", {}, Settings())
    assert proxy.seen
    assert not hook.got


@pytest.mark.parametrize("host", ["localhost", "10.1.2.3", "[fd00::1]", "x.localhost", "unknown.invalid"])
def test_a_proxy_is_not_asked_for_a_host_that_is_private_or_that_we_can_not_resolve(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxying() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(webhooks.WebhookFailedError):
            send(f"https://{host}/", b"{}", {}, Settings())
    assert not proxy.seen


def test_a_proxys_password_is_in_no_record_of_a_delivery_that_failed_by_it(
    settings: Settings, valkey: Redis, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with proxying(credentials=("me", "s3cret"), refuses_with=407) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with asked(settings, "https://hook.test/") as (_, job_id):
            finish(valkey, job_id)
            delivered(valkey)
    assert proxy.seen
    held = everything_in(valkey)
    assert f"{job_id}-webhook".encode() in held
    assert b"s3cret" not in held
    said = "".join(capfd.readouterr())
    assert f"127.0.0.1:{proxy.port}" in said
    assert "s3cret" not in said
