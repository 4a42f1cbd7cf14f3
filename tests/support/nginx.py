"""A real nginx before a service: on a free port, in a folder of its own."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from app.embedded.ports import free_port
from tests.support.processes import wait_until

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
