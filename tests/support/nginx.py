"""A real nginx before a service: on a free port, in a folder of its own."""

import json
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from app.embedded.ports import free_port
from tests.support import ROOT
from tests.support.processes import wait_until
from tests.support.tls import make_certificate

NGINX = shutil.which("nginx")
HOST = "rag.example"
"""The name by which clients know the service behind it."""

needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed: apt-get install nginx")


@dataclass(frozen=True)
class Nginx:
    """A running nginx. `url` has its port, and no name of the service."""

    url: str

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """What a client elsewhere is answered, who calls the service by its public name."""
        try:
            return httpx.get(f"{self.url}{path}", headers={"Host": HOST, **(headers or {})}, timeout=5)
        except httpx.TransportError as error:
            raise ConnectionError from error


@contextmanager
def nginx(folder: Path, service: str, adds: str = "", *, prefix: str = "/") -> Iterator[Nginx]:
    """nginx before the service at this URL: passes on what is below `prefix`, which it takes away, as `adds` says."""
    port = free_port(0)
    places = " ".join(f"{kind}_temp_path {folder};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    passed = service if prefix == "/" else f"{service}/"
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off; {places}\n"
        f"server {{ listen 127.0.0.1:{port};\n"
        f"location {prefix} {{ proxy_pass {passed}; {adds} }} }} }}\n"
    )
    command = [str(NGINX), "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
    with subprocess.Popen(command) as process:
        found = Nginx(f"http://127.0.0.1:{port}")
        try:
            wait_until(lambda: found.get(f"{prefix}healthz").status_code == 200, "nginx passes on")
            yield found
        finally:
            process.terminate()


TEMPLATE = ROOT / "deploy/edge/nginx.conf.template"
COMPOSE_NGINX: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["nginx"]


def rendered(values: Mapping[str, str]) -> str:
    """The configuration that docker compose mounts, with its own values where `values` has no other.

    As the image renders it: of all that looks like a variable only those named EDGE_ are replaced.
    """
    defaults = {name: _default(str(value)) for name, value in COMPOSE_NGINX["environment"].items()}
    known = {name: value for name, value in (defaults | dict(values)).items() if name.startswith("EDGE_")}
    return re.sub(r"\$\{?(EDGE_\w+)\}?", lambda match: known[match[1]], TEMPLATE.read_text())


def _default(value: str) -> str:
    """What compose makes of `value` where the environment is empty."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


@dataclass(frozen=True)
class Edge:
    """A running nginx with the configuration of deploy/edge. `folder` has its log."""

    url: str
    plain_url: str
    folder: Path
    certificate: Path

    def client(self, address: str = "127.0.0.1", **headers: str) -> httpx.Client:
        """A client at this address of the machine's own, so that its limits are no other's."""
        tls = ssl.create_default_context(cafile=self.certificate)
        transport = httpx.HTTPTransport(verify=tls, local_address=address)
        return httpx.Client(transport=transport, base_url=self.url, headers=headers, timeout=30)

    @property
    def pid(self) -> int:
        """Of the process whose children serve."""
        return int((self.folder / "nginx.pid").read_text())

    def log(self) -> list[dict[str, Any]]:
        """The requests that have ended."""
        return [json.loads(line) for line in (self.folder / "access.log").read_text().splitlines()]


def edge_command(folder: Path, *more: str) -> list[str]:
    """nginx as docker compose starts it, but for the folder, of which /tmp/ is the container's."""
    words = [f"{folder}/" if word == "/tmp/" else word for word in COMPOSE_NGINX["command"][1:]]
    if os.geteuid() == 0:
        words[-1] += (
            " user root;"  # nginx would make its workers another user's; the container has one from its start
        )
    return [str(NGINX), "-e", "stderr", *words, *more]


def prepare_edge(folder: Path, **values: str) -> tuple[int, int]:
    """Write what nginx needs in `folder`; returns the ports of HTTP and of HTTPS."""
    http, https = free_port(0), free_port(0)
    own = make_certificate(folder / "fullchain.pem", "localhost", "127.0.0.1")
    (folder / "privkey.pem").write_bytes(own.read_bytes())
    ports = {"EDGE_HTTP": f"127.0.0.1:{http}", "EDGE_HTTPS": f"127.0.0.1:{https}", "EDGE_HTTPS_PORT": str(https)}
    places = {"EDGE_CERTIFICATES": str(folder), "EDGE_LOG": str(folder / "access.log")}
    (folder / "nginx.conf").write_text(rendered(ports | places | values))
    return http, https


@contextmanager
def edge(folder: Path, **values: str) -> Iterator[Edge]:
    """nginx as the profile edge has it, with these values instead of compose's."""
    folder.mkdir(exist_ok=True)
    http, https = prepare_edge(folder, **values)
    plain = f"http://127.0.0.1:{http}"
    with (
        (folder / "stderr.log").open("w") as output,
        subprocess.Popen(edge_command(folder), stderr=output) as process,
    ):
        try:
            wait_until(lambda: process.poll() is not None or _lives(plain), "nginx is there")
            assert process.poll() is None, (folder / "stderr.log").read_text()
            yield Edge(f"https://localhost:{https}", plain, folder, folder / "fullchain.pem")
        finally:
            process.terminate()


def _lives(url: str) -> bool:
    try:
        return httpx.get(f"{url}/nginx-health").status_code == 204
    except httpx.TransportError:
        return False
