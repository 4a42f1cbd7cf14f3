"""Attacker: a local user, another account of the machine that runs `python -m app`.

He reaches every port on loopback, sees every command line, and reads what modes let him read. The service must give
him nothing: no job, no document, no key. Where the tests run as root, they try it as the user `nobody` too.
"""

import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from pydantic import SecretStr
from qdrant_client import QdrantClient
from qdrant_client.http.exceptions import UnexpectedResponse
from redis import Redis
from redis.exceptions import AuthenticationError

from app.chat_log.place import FILE_NAME
from app.core.private_files import OTHERS, make_private
from app.core.services import Services, qdrant_server, redis_url, running, services_file
from app.core.settings import Settings
from app.embedded.credentials import Credentials, credentials, credentials_file
from app.embedded.qdrant.keys import OPEN
from app.embedded.qdrant.routes import routes
from ingest.sync.own_qdrant import located
from tests.acceptance.conftest import Running, documents, environment, start
from tests.support.processes import wait_until
from worker.index.langchain_store import open_client

NOBODY = 65534
FOREIGN = {"AWS_SECRET_ACCESS_KEY": "aws-secret", "ANTHROPIC_API_KEY": "anthropic-secret", "CI_TOKEN": "ci-secret"}
"""Keys that stand in the operator's shell and that nothing here needs."""
WORKERS = {
    "OPENAI_API_KEY": "openai-secret",
    "RERANK_API_KEY": "rerank-secret",
    "WEBHOOK_SECRET": "whsec_" + "c2VjcmV0" * 4,
}
"""Keys that the worker needs, and neither Valkey nor Qdrant."""
AWAY = "http://127.0.0.1:9/v1"

ROUTES = [
    (method, route.path.format(name="documents", field="page"))
    for route in routes()
    for method in sorted((route.methods or {"GET"}) - {"HEAD"})
]
"""All that the embedded Qdrant serves."""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that everyone may enter, with a DATA_DIR in it that everyone may enter too."""
    with tempfile.TemporaryDirectory(prefix="rag-local-user-") as made:
        (Path(made) / "data").mkdir()
        for path in (Path(made), Path(made) / "data"):
            path.chmod(0o755)
        yield Path(made)


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Running]:
    """A running service with documents that came in both ways, started in a shell full of keys."""
    mask = os.umask(0o022)
    try:
        running_service = start(
            folder, "--ingest", str(documents(folder / "pdfs")), **FOREIGN, **WORKERS, OPENAI_BASE_URL=AWAY
        )
        try:
            fill(running_service, folder)
            yield running_service
        finally:
            assert running_service.stop() == 0, running_service.log.read_text()
    finally:
        os.umask(mask)


def fill(service: Running, folder: Path) -> None:
    """An upload, and an ingest beside the service by a user whose files are everybody's to read."""
    with service.client() as client:
        upload = {"files": ("notes.txt", b"The boathouse is painted in spring.", "text/plain")}
        made = client.post("/documents", files=upload).raise_for_status().json()["documents"][0]
        at = f"/documents/{made['document_id']}"
        wait_until(lambda: client.get(at).json()["status"] == "indexed", "the upload is indexed")
    (folder / "pdfs" / "more.txt").write_text("Boats are varnished in autumn.")
    done = service.command(sys.executable, "-m", "ingest", str(folder / "pdfs"))
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def secrets(service: Running) -> Credentials:
    return credentials(Path(service.environment["DATA_DIR"]))


def children(service: Running) -> dict[str, psutil.Process]:
    """The service's own processes by name."""
    marks = {"valkey-server": "valkey", "app.embedded.qdrant": "qdrant", "worker": "worker"}
    found = {"app": psutil.Process(service.process.pid)}
    for child in found["app"].children(recursive=True):
        for mark, name in marks.items():
            if any(mark in word for word in child.cmdline()):
                found.setdefault(name, child)
                break
    assert set(found) == {"app", *marks.values()}
    return found


@contextmanager
def as_nobody() -> Iterator[None]:
    """What runs in the block runs as another user of the machine."""
    if os.geteuid() != 0:
        pytest.skip("only root can try it as another user")
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


# Valkey


def valkey_says(service: Running, *lines: str) -> list[str]:
    """What Valkey answers to commands on a bare connection, the first line of each answer."""
    url = urlsplit(service.services.redis_url.get_secret_value())
    with socket.create_connection((url.hostname, url.port), timeout=5) as connection:
        answers = connection.makefile("rb")
        said = []
        for line in lines:
            connection.sendall(f"{line}\r\n".encode())
            said.append(answers.readline().decode().strip())
        return said


COMMANDS = [
    "PING",
    "KEYS *",
    "HGETALL rag:webhook:x",
    "LRANGE rq:queue:rag_queries 0 -1",
    "RPUSH rq:queue:rag_queries x",
    "EVAL return{} 0",
    "CONFIG GET requirepass",
    "FLUSHALL",
    "SUBSCRIBE x",
    "MONITOR",
    "SHUTDOWN",
]


def test_valkey_answers_no_command_without_the_password(service: Running) -> None:
    assert [answer[:7] for answer in valkey_says(service, *COMMANDS)] == ["-NOAUTH"] * len(COMMANDS)


@pytest.mark.parametrize("tried", ["AUTH guess", "AUTH default guess", "AUTH default ", "HELLO 3 AUTH default guess"])
def test_valkey_takes_no_other_password(service: Running, tried: str) -> None:
    said = valkey_says(service, tried, "KEYS *")
    assert said[0].startswith(("-WRONGPASS", "-ERR"))
    assert said[1].startswith("-NOAUTH")


def test_rq_without_the_password_reads_no_queue(service: Running, tmp_path: Path) -> None:
    port = urlsplit(service.services.redis_url.get_secret_value()).port
    done = subprocess.run(
        ["rq", "info", "--url", f"redis://127.0.0.1:{port}/0"],
        cwd=tmp_path, env=environment(tmp_path / "none"), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "rag_queries" not in done.stdout


# Qdrant


def qdrant_says(service: Running, method: str, path: str, headers: Mapping[str, str]) -> tuple[int, str, bool]:
    """Status, text, and whether the connection ends, of an answer to a request whose body never comes."""
    at = urlsplit(service.services.qdrant_url)
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=5)
    connection.putrequest(method, path)
    for name, value in {"Content-Length": str(2**30), **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    said = (answer.status, answer.read().decode(), answer.will_close)
    connection.close()
    return said


@pytest.mark.parametrize(("method", "path"), [*ROUTES, ("GET", "/metrics"), ("GET", "/collections/"), ("GET", "//")])
def test_qdrant_answers_no_route_without_the_key_and_before_it_reads(
    service: Running, method: str, path: str
) -> None:
    if path in OPEN:
        with httpx.Client(base_url=service.services.qdrant_url) as client:
            told = client.request(method, path).raise_for_status().text
        assert "check passed" in told or "version" in told, "that it is there, and nothing else"
        return
    missing = qdrant_says(service, method, path, {})
    assert missing == (401, "Must provide an API key or an Authorization bearer token", True)
    for shown in ({"api-key": "guess"}, {"api-key": ""}, {"Authorization": "Bearer guess"}, {"api-key": "\xff"}):
        assert qdrant_says(service, method, path, shown) == (401, "Invalid API key or JWT", True)


def test_the_addresses_that_qdrant_leaves_open_are_its_own_few() -> None:
    assert {"/", "/healthz", "/readyz", "/livez"} == OPEN
    assert {path for _, path in ROUTES} >= OPEN


def test_qdrant_takes_the_key_in_either_header_and_qdrants_client_shows_it(
    service: Running, secrets: Credentials
) -> None:
    url = service.services.qdrant_url
    for shown in ({"api-key": secrets.qdrant_api_key}, {"Authorization": f"Bearer {secrets.qdrant_api_key}"}):
        assert httpx.get(f"{url}/collections", headers=shown).status_code == 200
    with pytest.raises(UnexpectedResponse, match="401"):
        QdrantClient(url=url, check_compatibility=False).get_collections()
    found = Settings(data_dir=Path(service.environment["DATA_DIR"]))
    assert open_client(found).count("documents").count > 0


# Files


def readable_by_others(data_dir: Path) -> dict[str, str]:
    """The modes of what others may read, write or enter in `data_dir`."""
    return {
        str(path.relative_to(data_dir)): stat.filemode(mode)
        for path in sorted(data_dir.rglob("*"))
        if (mode := path.lstat().st_mode) & OTHERS
    }


def test_nothing_beneath_data_dir_is_for_others(service: Running) -> None:
    data_dir = Path(service.environment["DATA_DIR"])
    kinds = {path.relative_to(data_dir).parts[0] for path in data_dir.rglob("*")}
    log = {name for name in kinds if name.startswith(FILE_NAME)}  # made a second after the start
    assert kinds - log == {"credentials.json", "documents", "lock", "qdrant", "services.json", "valkey"}
    assert readable_by_others(data_dir) == {}


def test_a_data_dir_that_we_make_is_entered_by_nobody_else(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with located(Settings(data_dir=tmp_path / "a" / "data")):
            made = [tmp_path / "a", tmp_path / "a" / "data"]
            assert [stat.S_IMODE(path.stat().st_mode) for path in made] == [0o700, 0o700]
            assert readable_by_others(tmp_path) == {}
    finally:
        os.umask(before)


def test_a_data_dir_of_an_earlier_version_starts_and_is_tightened(tmp_path: Path) -> None:
    first = start(tmp_path, "--ingest", str(documents(tmp_path / "pdfs")))
    assert first.stop() == 0, first.log.read_text()
    data_dir = tmp_path / "data"
    credentials_file(data_dir).unlink()
    for file in data_dir.glob(f"{FILE_NAME}*"):  # which that version had not
        file.unlink()
    services_file(data_dir).write_text('{"pid": 1}')
    others = tmp_path / "elsewhere"
    others.write_text("")
    (data_dir / "documents" / "link").symlink_to(others)
    (data_dir / "somebody's").write_text("")
    for path in data_dir.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
    others.chmod(0o644)

    second = start(tmp_path)
    try:
        assert set(readable_by_others(data_dir)) == {"documents/link", "lock", "somebody's"}
        assert stat.S_IMODE(others.stat().st_mode) == 0o644, "a link leads out of what is ours"
        with second.client() as client:
            assert client.get("/documents").json()["documents"], "what was there is there"
    finally:
        assert second.stop() == 0, second.log.read_text()


def test_what_others_could_read_opens_nothing_any_more(tmp_path: Path) -> None:
    first = credentials(tmp_path)
    assert credentials(tmp_path) == first, "they stay from start to start"
    credentials_file(tmp_path).chmod(0o640)
    second = credentials(tmp_path)
    assert second != first
    for left in ("", "{}", '{"valkey_password": "short", "qdrant_api_key": "short"}'):
        credentials_file(tmp_path).write_text(left)
        assert credentials(tmp_path) not in (first, second)
    assert stat.S_IMODE(credentials_file(tmp_path).stat().st_mode) == 0o600


def test_credentials_are_not_written_through_a_link_that_somebody_has_put_there(tmp_path: Path) -> None:
    target = tmp_path / "target"
    for name in (credentials_file(tmp_path), tmp_path / "credentials.json.tmp"):
        name.symlink_to(target)
    made = credentials(tmp_path)
    assert not target.exists()
    assert not credentials_file(tmp_path).is_symlink()
    assert credentials(tmp_path) == made


def test_another_user_reads_neither_files_nor_ports_nor_processes(service: Running, secrets: Credentials) -> None:
    data_dir = Path(service.environment["DATA_DIR"])
    files = [path for path in data_dir.rglob("*") if path.is_file()]
    folders = [path for path in data_dir.rglob("*") if path.is_dir()]
    environs = [Path(f"/proc/{child.pid}/environ") for child in children(service).values()]

    def refuses(act: Callable[[], object]) -> bool:
        try:
            act()
        except PermissionError:
            return True
        return False

    with as_nobody():
        assert list(data_dir.iterdir()), "he gets as far as this"
        read = [str(path) for path in [*files, *environs] if not refuses(path.read_bytes)]
        listed = [str(path) for path in folders if not refuses(lambda path=path: os.listdir(path))]  # type: ignore[misc]  # noqa: PTH208
        said = valkey_says(service, "KEYS *")[0]
        status, _, _ = qdrant_says(service, "POST", "/collections/documents/points/scroll", {})
    assert (read, listed) == ([], [])
    assert said.startswith("-NOAUTH")
    assert status == 401


# Processes


def test_no_secret_stands_in_a_command_line_or_in_the_log(service: Running, secrets: Credentials) -> None:
    everything = [secrets.valkey_password, secrets.qdrant_api_key, *FOREIGN.values(), *WORKERS.values()]
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert any("valkey-server" in line for line in lines)
    log = service.log.read_text()
    assert "Ready: open" in log
    assert [secret for secret in everything for text in (*lines, log) if secret in text] == []


def test_children_get_the_keys_that_they_need_and_no_others(service: Running, secrets: Credentials) -> None:
    known = {
        "Valkey's password": secrets.valkey_password,
        "Qdrant's key": secrets.qdrant_api_key,
        **{f"{name}, which is not ours": value for name, value in FOREIGN.items()},
        **WORKERS,
    }
    found = {
        name: {what for what, value in known.items() if any(value in held for held in child.environ().values())}
        for name, child in children(service).items()
    }
    del found["app"]  # it has what its shell has
    assert found == {
        "valkey": set(),
        "qdrant": {"Qdrant's key"},
        "worker": {"Valkey's password", "Qdrant's key", *WORKERS},
    }


def test_with_a_provider_of_langchains_the_worker_gets_what_its_package_may_read(tmp_path: Path) -> None:
    more = FOREIGN | {"CHAT_MODEL": "anthropic:claude-haiku-4-5", "HTTPS_PROXY": "http://proxy.example:3128"}
    service = start(tmp_path, **more)
    try:
        held = {name: child.environ() for name, child in children(service).items()}
    finally:
        assert service.stop() == 0, service.log.read_text()
    assert {name: held["worker"].get(name) for name in more} == more
    for store in ("valkey", "qdrant"):
        assert not set(more) & set(held[store])


# The user himself


def in_a_shell(service: Running, cwd: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run `script` as the user would, in a shell that knows of the service nothing but what `env` printed."""
    evaluated = f'eval "$(DATA_DIR={service.environment["DATA_DIR"]} python -m app env)"\n{script}'
    env = environment(cwd / "none")
    return subprocess.run(
        ["sh", "-ec", evaluated], cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize(
    ("command", "shows"),
    [
        ("rq info", "rag_ingest"),
        ("rq info --only-workers", "idle rag_ingest"),
        ("rq worker --burst rag_queries", ""),
        ("python -m worker --burst", ""),
        ("python -m worker --check", ""),
        ("python -m ingest pdfs --collection shell", "[1/1] added"),
        ("python -m ingest --repair", ""),
    ],
)
def test_what_env_prints_opens_everything_word_for_word(
    service: Running, secrets: Credentials, tmp_path: Path, command: str, shows: str
) -> None:
    documents(tmp_path / "pdfs")
    done = in_a_shell(service, tmp_path, command)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert shows in said
    assert secrets.valkey_password not in said
    assert secrets.qdrant_api_key not in said


@pytest.mark.parametrize(
    "command", [["-m", "worker", "--check"], ["-m", "worker", "--burst"], ["-m", "ingest", "--repair"]]
)
def test_commands_beside_the_service_find_the_secrets_in_data_dir(service: Running, command: list[str]) -> None:
    done = service.command(sys.executable, *command)
    assert done.returncode == 0, done.stderr


def test_the_welcome_says_how_other_programs_get_in(service: Running) -> None:
    assert 'eval "$(python -m app env)"' in service.log.read_text()


def test_secrets_survive_a_restart(tmp_path: Path) -> None:
    found = []
    for _ in range(2):
        service = start(tmp_path)
        found.append(credentials(tmp_path / "data"))
        assert service.stop(signal.SIGTERM) == 0, service.log.read_text()
    assert found[0] == found[1]


def test_a_key_for_another_qdrant_is_not_shown_to_the_embedded_one(tmp_path: Path) -> None:
    pdfs = documents(tmp_path / "pdfs")
    service = start(tmp_path, "--ingest", str(pdfs), QDRANT_API_KEY="the-clusters-own")
    try:
        done = service.command(sys.executable, "-m", "ingest", str(pdfs))
        assert done.returncode == 0, done.stderr
        assert "added" not in done.stderr, "it is in the index already"
    finally:
        assert service.stop() == 0, service.log.read_text()


def test_the_qdrant_that_ingest_starts_for_itself_wants_a_key_too(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    others = set(psutil.Process().children())
    with located(settings) as found:
        assert found is not None
        url, key = qdrant_server(found)
        assert key is not None
        [child] = set(psutil.Process().children()) - others
        assert key not in " ".join(child.cmdline())
        assert httpx.get(f"{url}/collections").status_code == 401
        assert httpx.get(f"{url}/collections", headers={"api-key": key}).status_code == 200


# What is published


def services(**more: str) -> Services:
    found = {"redis_url": "redis://:pa55@127.0.0.1:1/0", "qdrant_url": "http://127.0.0.1:2", "qdrant_api_key": "k3y"}
    return Services.model_validate({"pid": os.getpid(), "http_url": "http://127.0.0.1:3", **found, **more})


def test_where_services_are_is_shown_without_their_secrets() -> None:
    for text in (repr(services()), str(services()), str(services().model_dump())):
        assert "pa55" not in text
        assert "k3y" not in text
    assert json.loads(services().model_dump_json())["redis_url"] == "redis://:pa55@127.0.0.1:1/0"


def test_no_client_of_valkey_shows_its_password_when_it_is_refused(service: Running) -> None:
    url = urlsplit(service.services.redis_url.get_secret_value())
    with Redis.from_url(f"redis://:wr0ng@{url.hostname}:{url.port}/0") as client:
        with pytest.raises(AuthenticationError) as refused:
            client.ping()
        assert "wr0ng" not in f"{refused.value!r} {client!r} {client.connection_pool!r}"


def test_addresses_that_are_set_go_before_what_is_published(tmp_path: Path) -> None:
    services_file(tmp_path).write_text(services().model_dump_json())
    assert running(tmp_path) == services()
    found = Settings(data_dir=tmp_path)
    assert redis_url(found) == "redis://:pa55@127.0.0.1:1/0"
    assert qdrant_server(found) == ("http://127.0.0.1:2", "k3y")
    own = found.model_copy(update={"redis_url": SecretStr("redis://own"), "qdrant_url": "http://own"})
    assert redis_url(own) == "redis://own"
    assert qdrant_server(own) == ("http://own", None)
    assert qdrant_server(own.model_copy(update={"qdrant_api_key": SecretStr("mine")})) == ("http://own", "mine")


def test_what_is_another_users_is_left_alone_and_said(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("")
    with as_nobody(), pytest.raises(PermissionError):
        make_private(tmp_path / "theirs")
