"""Uploads as the libraries of each language write them: header, boundary and part, byte by byte. All are one name.

A client with another manner is a line of `CLIENTS`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from fakeredis import FakeAsyncRedis, FakeServer
from fastapi.testclient import TestClient
from httpx2 import Response

from app.core.settings import Settings
from app.main import create_app
from tests.support.credentials import LOCAL_URL

NAME = "Prüfung.pdf"
CONTENT = b"%PDF-1.4\n"
MULTIPART = "multipart/form-data; boundary="


@dataclass(frozen=True)
class Client:
    """How a client writes a part's Content-Disposition after `form-data`, and its boundary, in the header's form."""

    disposition: str | bytes
    boundary: str = "----x7MA4YWxkTrZu0gW"
    content_type: str = MULTIPART + "{}"
    header: str = "Content-Disposition"
    others: str = "Content-Type: application/pdf\r\n"


PLAIN = '; name="files"; filename="Prüfung.pdf"'
EXTENDED = "filename*=utf-8''Pr%C3%BCfung.pdf"
WORD = "=?utf-8?B?UHLDvGZ1bmcucGRm?="
CLIENTS = {
    ".NET HttpClient": Client(
        f'; name=files; filename="{WORD}"; {EXTENDED}', "3f2c8a1e-9d1b-4a53", f'{MULTIPART}"{{}}"'
    ),
    ".NET, name and file name unquoted": Client(f"; name=files; filename=Pr_fung.pdf; {EXTENDED}"),
    ".NET, a boundary of one character": Client(f'; name=files; filename="{WORD}"; {EXTENDED}', "b"),
    ".NET Framework, the word alone": Client(f'; name=files; filename="{WORD}"'),
    ".NET RestSharp": Client(f'; name="files"; filename="Prüfung.pdf"; {EXTENDED}', f"{'-' * 29}8d9"),
    "PowerShell 7, -Form": Client(f'; name=files; filename="{WORD}"; {EXTENDED}', "a1b2", f'{MULTIPART}"{{}}"'),
    "PowerShell 5.1, a body made by hand in Latin-1": Client(PLAIN.encode("latin-1")),
    "Java, Apache HttpClient 4 and 5, compatible": Client(PLAIN, others="Content-Transfer-Encoding: binary\r\n"),
    "Java, Apache HttpClient 5, extended": Client(f'; name="files"; filename="Pr?fung.pdf"; {EXTENDED}'),
    "Java, Apache HttpClient, ISO-8859-1": Client(PLAIN.encode("latin-1")),
    "Java, OkHttp": Client(PLAIN, "9b7f3f0e-77b1", others="Content-Type: application/pdf\r\nContent-Length: 9\r\n"),
    "Java, Spring RestTemplate": Client(f'; name="files"; filename="{WORD}"; {EXTENDED}'),
    "Java, Spring, quoted-printable": Client('; name="files"; filename="=?UTF-8?Q?Pr=C3=BCfung.pdf?="'),
    "Go mime/multipart": Client(PLAIN, "ab12" * 15),
    "curl": Client(PLAIN, f"{'-' * 24}d74496d66958873e"),
    "Python requests, urllib3 2": Client(PLAIN, "e4f1c2d3" * 4, others=""),
    "Python requests, urllib3 1": Client(f'; name="files"; {EXTENDED}', "e4f1c2d3" * 4, others=""),
    "Python httpx": Client(PLAIN, "0a1b" * 8),
    "Python aiohttp": Client('; name="files"; filename="Pr%C3%BCfung.pdf"'),
    "Node undici, Deno, Bun and browsers": Client(PLAIN, "----WebKitFormBoundaryABC123"),
    "Firefox": Client(PLAIN, f"{'-' * 27}1234567890"),
    "Node form-data": Client(PLAIN, f"{'-' * 26}5152"),
    "Node superagent, old": Client('; name="files"; filename*=UTF-8\'\'Pr%C3%BCfung.pdf; filename="Pr_fung.pdf"'),
    "Ruby multipart-post": Client(PLAIN, "-----------RubyMultipartPost-1a2b"),
    "PHP Guzzle": Client(PLAIN, others="Content-Length: 9\r\nContent-Type: application/pdf\r\n"),
    "Dart http": Client(
        '; name="files"; filename="Prüfung.pdf"', "dart-http-boundary-+_x.y", header="content-disposition"
    ),
    "Rust reqwest": Client(f'; name="files"; {EXTENDED}'),
    "a header in capitals, no space": Client(';NAME=files;FILENAME="Prüfung.pdf"', header="CONTENT-DISPOSITION"),
    "Windows, a whole path": Client('; name="files"; filename="C:\\Akten\\Prüfung.pdf"'),
    "a boundary in quotes, with parameters after it": Client(PLAIN, "a b:c", f'{MULTIPART}"{{}}"; charset=utf-8'),
}
SHOWN: dict[str, tuple[str | bytes, str]] = {
    'a"b.pdf (curl and Go escape)': (r'filename="a\"b.pdf"', 'a"b.pdf'),
    'a"b.pdf (browsers)': ('filename="a%22b.pdf"', "a%22b.pdf"),
    "a line's end (browsers)": ('filename="a%0D%0Ab.pdf"', "a%0D%0Ab.pdf"),
    "a line's end, hidden": ("filename*=utf-8''a%0D%0AX-Evil%3A%20b.pdf", "aX-Evil: b.pdf"),
    "a way out, hidden": ("filename*=utf-8''..%2F..%2Fetc%2Fpasswd.pdf", "passwd.pdf"),
    "reordered text, hidden": ("filename*=utf-8''a%E2%80%AEfdp.exe.pdf", "afdp.exe.pdf"),
    "reordered text, a word": ('filename="=?utf-8?Q?a=E2=80=AEb.pdf?="', "ab.pdf"),
    "Windows-1252": ('filename="Größe in €.pdf"'.encode("cp1252"), "Größe in €.pdf"),
}  # fmt: skip


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    settings = Settings(documents_url=str(tmp_path_factory.mktemp("clients")), qdrant_url="http://127.0.0.1:9")
    app = create_app(settings, valkey=FakeAsyncRedis(server=FakeServer()))
    with TestClient(app, LOCAL_URL) as client:
        yield client


def upload(client: TestClient, by: Client) -> Response:
    disposition = by.disposition if isinstance(by.disposition, bytes) else by.disposition.encode()
    boundary = by.boundary.encode()
    head = b"--%b\r\n%b: form-data%b\r\n%b\r\n" % (boundary, by.header.encode(), disposition, by.others.encode())
    body = head + CONTENT + b"\r\n--%b--\r\n" % boundary
    return client.post("/documents", content=body, headers={"Content-Type": by.content_type.format(by.boundary)})


@pytest.mark.parametrize("name", CLIENTS)
def test_a_clients_upload_is_taken_under_its_name(client: TestClient, name: str) -> None:
    taken = upload(client, CLIENTS[name])
    assert taken.status_code == 202, taken.text
    assert [document["filename"] for document in taken.json()["documents"]] == [NAME]


@pytest.mark.parametrize("what", SHOWN)
def test_what_a_name_hides_is_not_shown(client: TestClient, what: str) -> None:
    sent, shown = SHOWN[what]
    sent = sent if isinstance(sent, bytes) else sent.encode()
    [document] = upload(client, Client(b"; name=files; " + sent)).json()["documents"]
    assert document["filename"] == shown
