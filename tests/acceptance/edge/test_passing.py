"""What goes through nginx: uploads, streams that outlive a replica, and who is believed to have asked."""

import hashlib
import os
import socket
import ssl
from collections.abc import Iterable
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import httpx
import pytest

from tests.acceptance.edge.conftest import GAP_SECONDS, KEY, SPARE, WRONG_KEYS, Deployment, Replicas
from tests.support.credentials import bearer
from tests.support.nginx import Edge, needs_nginx
from tests.support.processes import wait_until
from tests.support.sse import ServerSentEvent, events_of

QUESTION = "How is a boat washed?"
UPLOAD_BYTES = 100 * 2**20
"""As large as a file may be, UPLOAD_MAX_MB."""

pytestmark = needs_nginx


def asked(client: httpx.Client, question: str = QUESTION) -> str:
    """Where the events of a new question are."""
    accepted = client.post("/chat", json={"query": question}, headers=bearer(KEY) | {"Cache-Control": "no-cache"})
    assert accepted.status_code == 202, accepted.text
    stream: str = accepted.json()["urls"]["stream"]
    return stream


def test_a_hundred_megabytes_go_up_and_come_back(client: httpx.Client, at_root: Edge) -> None:
    """By way of neither nginx's memory nor its disk: what it has written there is its log."""
    data = b"%PDF-1.7\n" + os.urandom(2**20) * 100
    data = data[:UPLOAD_BYTES]
    files = {"files": ("large.pdf", data, "application/pdf")}
    taken = client.post("/documents", files=files, headers=bearer(KEY), timeout=60)
    assert taken.status_code == 202, taken.text
    [document] = taken.json()["documents"]
    path = f"/documents/{document['document_id']}"
    digest = hashlib.sha256()
    with client.stream("GET", f"{path}/file", headers=bearer(KEY), timeout=60) as answer:
        assert answer.status_code == 200
        for piece in answer.iter_raw():
            digest.update(piece)
    assert digest.hexdigest() == hashlib.sha256(data).hexdigest()
    assert sum(each.stat().st_size for each in at_root.folder.rglob("*") if each.is_file()) < 2**20
    assert client.delete(path, headers=bearer(KEY)).status_code < 300


def test_a_stream_arrives_as_the_model_writes_it(client: httpx.Client) -> None:
    with client.stream("GET", asked(client), headers=bearer(KEY)) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        came = [(monotonic(), event) for event in events_of(stream.iter_lines())]
    deltas = [(at, event) for at, event in came if event.event == "answer.delta"]
    assert len(deltas) > 5
    written_for = sum(len(event.data["text"].split()) for _, event in deltas[1:]) * GAP_SECONDS
    assert deltas[-1][0] - deltas[0][0] > written_for / 2, "it came in one piece"
    assert came[-1][1].event == "answer.completed"


def test_openais_stream_arrives_as_the_model_writes_it(client: httpx.Client) -> None:
    body = {"model": "rag-queue", "stream": True, "messages": [{"role": "user", "content": QUESTION}]}
    with client.stream("POST", "/v1/chat/completions", json=body, headers=bearer(KEY)) as stream:
        came = [(monotonic(), line) for line in stream.iter_lines() if line.startswith("data: ")]
    assert came[-1][1] == "data: [DONE]"
    assert len(came) > 5
    assert came[-1][0] - came[0][0] > len(came) * GAP_SECONDS / 4


def test_a_client_goes_on_at_the_other_replica_when_its_own_is_killed_and_a_new_one_is_found(
    client: httpx.Client, at_root: Edge, deployment: Deployment
) -> None:
    path = asked(client)
    seen, killed = read_until_killed(client, path, deployment.replicas)
    last = str(seen[-1].id)
    with client.stream("GET", path, headers=bearer(KEY) | {"Last-Event-ID": last}) as stream:
        rest = list(events_of(stream.iter_lines()))
    ids = [event.id for event in (*seen, *rest)]
    assert ids == sorted(set(ids))
    assert rest[-1].event == "answer.completed"
    with client.stream("GET", path, headers=bearer(KEY)) as stream:
        assert words(events_of(stream.iter_lines())) == words([*seen, *rest])
    # Nobody notices that one is away, though the name still leads to it.
    assert {client.get("/healthz").status_code for _ in range(10)} == {200}
    asked(client)

    deployment.names.hosts["api"] = list(deployment.replicas.running)

    def replica() -> str:
        client.get("/page/static/0/0.js")  # which is not counted
        found: str = at_root.log()[-1]["replicas"]
        return found

    here = f"{SPARE}:{deployment.replicas.port}"
    wait_until(lambda: replica() == here, "nginx has asked for the name again")
    assert not any(f"{killed}:" in replica() for _ in range(20))


def read_until_killed(client: httpx.Client, path: str, replicas: Replicas) -> tuple[list[ServerSentEvent], str]:
    """The events until the replica that sends them is killed, after its second words; and which it was."""
    seen: list[ServerSentEvent] = []
    killed = ""
    try:
        with client.stream("GET", path, headers=bearer(KEY)) as stream:
            for event in events_of(stream.iter_lines()):
                seen.append(event)
                if not killed and len([each for each in seen if each.event == "answer.delta"]) == 2:
                    [killed] = replicas.serving_now()
                    replicas.kill(killed)
    except httpx.RemoteProtocolError:
        assert killed
        return seen, killed
    raise AssertionError("the stream has outlived its replica")


def words(events: Iterable[ServerSentEvent]) -> str:
    return "".join(event.data["text"] for event in events if event.event == "answer.delta")


FORGED = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "X_Forwarded_For", "Client-IP", "True-Client-IP")


def test_whose_wrong_keys_are_counted_is_not_the_clients_to_say(
    at_root: Edge, client: httpx.Client, address: str
) -> None:
    """A wrong key costs its sender's allowance: another address in a header is no other sender."""
    for number in range(WRONG_KEYS):
        forged = dict.fromkeys(FORGED, f"203.0.113.{number}")
        assert client.get("/documents", headers=bearer(f"rag_{number}") | forged).status_code == 401
    forged = dict.fromkeys(FORGED, "203.0.113.99")
    refused = client.get("/documents", headers=bearer("rag_x") | forged)
    assert refused.status_code == 429
    assert "violated-policies" in refused.json(), "nginx has refused it, not the API"
    other = address.replace("127.1.", "127.2.")
    with at_root.client(other) as somebody_else:
        assert somebody_else.get("/documents", headers=bearer("rag_x")).status_code == 401


def test_nginx_alone_is_believed(deployment: Deployment, address: str) -> None:
    """Who comes to a replica by another way is who they are, whatever their headers say."""
    forged = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Prefix": "/evil", "X-Forwarded-Host": "evil.example"}
    transport = httpx.HTTPTransport(local_address=address)
    url = f"http://{next(iter(deployment.replicas.running))}:{deployment.replicas.port}"
    with httpx.Client(transport=transport, base_url=url, headers=forged) as around:
        statuses = [
            around.get("/documents", headers=bearer("rag_x") | {"X-Forwarded-For": f"203.0.113.{number}"}).status_code
            for number in range(WRONG_KEYS + 1)
        ]
        assert statuses == [401] * WRONG_KEYS + [429]
        assert "evil" not in around.get("/openapi.json").text


@pytest.mark.parametrize("name", ["X-Forwarded-Prefix", "X-Forwarded-Host", "X-Forwarded-Proto"])
def test_no_link_leads_where_a_clients_header_says(client: httpx.Client, name: str) -> None:
    body = {"model": "rag-queue", "messages": [{"role": "user", "content": QUESTION}]}
    forged = bearer(KEY) | {name: "evil.example" if name.endswith("Host") else "/evil"}
    answer = client.post("/v1/chat/completions", json=body, headers=forged)
    assert answer.status_code == 200, answer.text
    assert "evil" not in answer.text
    assert str(client.base_url).rstrip("/") in answer.text


def test_tls_is_spoken_and_http_is_sent_there(at_root: Edge) -> None:
    parts = urlsplit(at_root.url)
    context = ssl.create_default_context(cafile=at_root.certificate)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=parts.hostname) as spoken,
    ):
        assert (spoken.version(), spoken.selected_alpn_protocol()) == ("TLSv1.3", "h2")
    sent = httpx.get(f"{at_root.plain_url}/documents?a=1", headers={"Host": "localhost"})
    assert (sent.status_code, sent.headers["location"]) == (308, f"{at_root.url}/documents?a=1")


def test_the_proof_for_a_certificate_is_served_without_tls(at_root: Edge) -> None:
    place = at_root.folder / "acme/.well-known/acme-challenge"
    place.mkdir(parents=True)
    (place / "token").write_text("proof")
    assert httpx.get(f"{at_root.plain_url}/.well-known/acme-challenge/token").text == "proof"
    above = httpx.get(f"{at_root.plain_url}/.well-known/acme-challenge/..%2f..%2f..%2fprivkey.pem")
    assert above.status_code != 200


def test_a_request_has_one_id_in_all_logs(client: httpx.Client, at_root: Edge, deployment: Deployment) -> None:
    given = client.get("/healthz", headers={"X-Request-ID": "mine-1"})
    made = client.get("/documents?query=nobodys-business", headers=bearer(KEY))
    assert given.headers["x-request-id"] == "mine-1"
    ids = [given.headers["x-request-id"], made.headers["x-request-id"]]
    wait_until(lambda: set(ids) <= {line["request_id"] for line in at_root.log()}, "nginx's log has both")
    assert "nobodys-business" not in (at_root.folder / "access.log").read_text()
    logs = "".join(path.read_text() for path in Path(deployment.replicas.folder).glob("127.*.log"))
    assert ids[1] in logs
