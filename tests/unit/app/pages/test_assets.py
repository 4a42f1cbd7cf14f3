"""The page's files: named by their content, kept for good, and small."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakeredis import FakeAsyncRedis
from fastapi.testclient import TestClient

from app.core.settings import Settings
from app.main import create_app
from app.pages import assets, shell
from tests.support import ROOT
from tests.support.credentials import LOCAL_URL

GZIPPED_BYTES_MAX = 60_000
"""Of the whole page: what a phone on a slow line loads within a second."""
STYLE_BYTES_MAX = 20_000
MODULE_LINES_MAX = 160
IMPORT = re.compile(r'(?:from|import) "\./([\w.]+)"')
READS_HTML = re.compile(r"\beval\(|new Function|document\.write|insertAdjacentHTML|outerHTML|DOMParser")
VIEWS = [path.stem for path in shell.FOLDER.iterdir() if "frame.html" in path.read_text()]
STATIC = sorted(path for path in assets.FOLDER.iterdir())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of the test's own instead of the page's."""
    monkeypatch.setattr(assets, "FOLDER", tmp_path)
    assets.load.cache_clear()
    yield tmp_path
    assets.load.cache_clear()


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = create_app(Settings(qdrant_url="http://127.0.0.1:9"), valkey=FakeAsyncRedis())
    with TestClient(app, base_url=LOCAL_URL, raise_server_exceptions=False) as client:
        yield client


def digest_of(folder: Path, **files: str) -> str:
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content)
    assets.load.cache_clear()
    return assets.load().digest


def test_the_address_changes_with_any_files_content_or_name(folder: Path) -> None:
    first = digest_of(folder, a_js="1", b_js="2")
    assert digest_of(folder, a_js="1", b_js="2") == first
    assert digest_of(folder, b_js="3") != first
    assert digest_of(folder, b_js="2") == first
    (folder / "b.js").rename(folder / "c.js")
    assert digest_of(folder) != first
    (folder / "c.js").write_text("")
    shifted = digest_of(folder, a_js="12")
    assert shifted not in (first, digest_of(folder, a_js="1", c_js="2"))


def test_what_is_no_file_of_the_page_is_not_served(folder: Path) -> None:
    digest = digest_of(folder, a_js="1", notes_txt="secret")
    assert set(assets.load().files) == {"a.js"}
    assert assets.load().find(digest, "../assets.py") is None
    assert assets.load().find("0" * 16, "a.js") is None


@pytest.mark.parametrize("accepted", ["gzip, deflate, br", "identity", None])
def test_a_file_comes_gzipped_to_who_takes_that_and_for_good(client: TestClient, accepted: str | None) -> None:
    address = f"/page/static/{assets.load().digest}/page.css"
    answer = client.get(address, headers={"Accept-Encoding": accepted or ""})
    assert answer.status_code == 200
    assert answer.content == (assets.FOLDER / "page.css").read_bytes()
    assert answer.headers.get("content-encoding") == ("gzip" if "gzip" in (accepted or "") else None)
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["page.css", "ask.js", "icon.svg"])
def test_another_versions_file_is_not_made_up(client: TestClient, name: str) -> None:
    """Else a browser kept this version's file under that version's address, for good."""
    answer = client.get(f"/page/static/{'0' * 16}/{name}")
    assert answer.status_code == 404
    assert "immutable" not in answer.headers["cache-control"]


def test_all_together_are_small() -> None:
    files = assets.load().files
    assert sum(len(one.gzipped) for one in files.values()) < GZIPPED_BYTES_MAX
    assert len(files["page.css"].plain) < STYLE_BYTES_MAX
    assert all(gzip.decompress(one.gzipped) == one.plain for one in files.values())


def test_a_modules_comments_are_not_sent_and_its_lines_keep_their_numbers(folder: Path) -> None:
    code = ["export const one = 1; // said here", 'f("//b");']
    digest_of(
        folder, a_js="\n".join(["// What it is.", "", "/** Gives", " * `1`. */", code[0], "  /* a */", code[1]])
    )
    sent = assets.load().files["a.js"].plain.decode().split("\n")
    assert sent == ["", "", "", "", code[0], "", code[1]]


def test_every_file_of_the_folder_is_served_and_each_imports_what_there_is() -> None:
    names = {path.name for path in STATIC}
    assert set(assets.load().files) == names
    for path in STATIC:
        text = path.read_text()
        assert set(IMPORT.findall(text)) <= names, path.name
        assert path.suffix != ".js" or text.count("\n") <= MODULE_LINES_MAX, path.name


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_names_every_module_that_it_will_need(view: str) -> None:
    """Else a browser finds them one behind the other, and the page waits for as many round trips."""
    needed = assets.load().imports(f"{view}.js")
    assert needed
    assert len(needed) == len(set(needed))
    for name in (f"{view}.js", *needed):
        text = (assets.FOLDER / name).read_text()
        assert set(IMPORT.findall(text)) <= {f"{view}.js", *needed}, name


def test_modules_read_no_html_but_the_servers_own() -> None:
    """An answer's, which is harmless by the server's hand. What is text stays text."""
    for path in STATIC:
        text = path.read_text()
        assert not re.search(r"\beval\(|new Function|document\.write|insertAdjacentHTML|outerHTML|DOMParser", text), (
            path
        )
        assert not re.search(r"https?://(?!www\.w3\.org/)", text), f"{path}: another host"
    assert sum(path.read_text().count("innerHTML") for path in STATIC) <= 1


def test_the_image_has_the_pages_files() -> None:
    """The Dockerfile copies whole packages, and nothing but compiled files is kept from it."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert {"COPY app /srv/app", "COPY --from=build /srv /srv"} <= set(lines)
    ignored = [line for line in (ROOT / ".dockerignore").read_text().split() if not line.startswith("!")]
    assert "!app" in (ROOT / ".dockerignore").read_text().split()
    assert ignored == ["*", "**/__pycache__"]
