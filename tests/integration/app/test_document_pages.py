"""Pages over HTTP, with a real queue, a real worker of the pages' queue alone, and real documents."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from redis import Redis
from rq.job import Job
from rq.registry import FailedJobRegistry, FinishedJobRegistry

from app.core.contract import PAGE_QUEUE, WORDS_MAX_CHARACTERS
from app.core.documents import pictures
from app.core.documents.files import DocumentStore, StorageUnavailableError
from app.core.queue.records import PAGE_KEEP_SECONDS
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from tests.integration.worker.test_worker import working
from tests.support import pdfs
from tests.support.api import serving
from tests.support.queue import waiting
from worker.resources import end

QUOTE = "The key hangs behind the third oar."
PAGES = ["The boat house opens at six.", f"{QUOTE} Nobody rows alone after", "the lamps are lit."]
OVER = "Nobody rows alone after the lamps are lit."


@pytest.fixture(scope="module")
def settings(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(redis_url=valkey_url, data_dir=tmp_path_factory.mktemp("pages"))


@pytest.fixture(scope="module")
def url(settings: Settings) -> Iterator[str]:
    with serving(settings) as url:
        yield url


@pytest.fixture
def client(url: str, valkey: Redis) -> Iterator[httpx.Client]:
    """Of a service where nobody works yet."""
    with httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture
def worker(settings: Settings, valkey: Redis) -> Iterator[None]:
    """No document is indexed: its file is shown all the same."""
    with working(settings, PAGE_QUEUE):
        yield
    end()


@pytest.fixture
def boats(tmp_path: Path) -> bytes:
    """A document of the test's own: files are known by their bytes."""
    return pdfs.make_pdf(tmp_path / "boats.pdf", PAGES, title=tmp_path.name).read_bytes()


def add(client: httpx.Client, data: bytes, name: str = "boats.pdf") -> str:
    """Where the document's pages are."""
    told = client.post("/documents", files={"files": (name, data)}).raise_for_status().json()
    return f"/documents/{told['documents'][0]['document_id']}/pages"


def assert_refused(answer: httpx.Response, status: int, kind: str) -> None:
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:problem:{kind}")


def kept(settings: Settings) -> list[Path]:
    return list((settings.data_dir / "documents" / "default" / pictures.FOLDER).glob("*"))


def looks(valkey: Redis) -> int:
    """How many jobs were made and have not expired."""
    finished = FinishedJobRegistry(PAGE_QUEUE, connection=valkey)
    return len(waiting(valkey, PAGE_QUEUE)) + len(finished)


@pytest.mark.usefixtures("worker")
def test_a_page_tells_where_the_quote_stands_on_its_picture(client: httpx.Client, boats: bytes) -> None:
    pages = add(client, boats)
    answer = client.get(f"{pages}/2", params={"quote": QUOTE})
    told = answer.raise_for_status().json()
    assert (told["page"], told["pages"], told["page_label"], told["found"]) == (2, 3, "", True)
    assert (round(told["width"]), round(told["height"])) == (595, 842)
    ((x, y, width, height),) = told["boxes"]
    assert 0 < x < x + width < 595
    assert 0 < y < y + height < 842
    assert told["words"][slice(*told["span"])] == QUOTE
    for size, address in told["picture"].items():
        picture = client.get(address)
        assert picture.headers["content-type"] == "image/png"
        assert Image.open(io.BytesIO(picture.content)).width == int(size)
        assert int(picture.headers["content-length"]) == len(picture.content)


@pytest.mark.usefixtures("worker")
def test_a_quote_that_runs_over_has_boxes_on_the_next_page(client: httpx.Client, boats: bytes) -> None:
    pages = add(client, boats)
    told = client.get(f"{pages}/2", params={"quote": OVER, "last_page": 3}).json()
    assert (len(told["boxes"]), len(told["next_boxes"]), told["found"]) == (1, 1, True)
    alone = client.get(f"{pages}/2", params={"quote": OVER}).json()
    assert (alone["boxes"], alone["next_boxes"], alone["span"], alone["found"]) == ([], [], None, False)


def test_who_looked_before_has_the_picture_without_a_worker(
    client: httpx.Client, settings: Settings, valkey: Redis, boats: bytes
) -> None:
    pages = add(client, boats)
    with working(settings, PAGE_QUEUE):
        address = client.get(f"{pages}/1").json()["picture"]["900"]
    end()
    before = looks(valkey)
    assert client.get(address, params={"wait": 0}).status_code == 200
    assert client.head(f"{pages}/1.png").headers["content-length"] == str(len(client.get(f"{pages}/1.png").content))
    assert looks(valkey) == before


@pytest.mark.usefixtures("worker")
def test_a_browser_keeps_what_has_its_version_and_asks_about_the_rest(client: httpx.Client, boats: bytes) -> None:
    pages = add(client, boats)
    told = client.get(f"{pages}/2", params={"quote": QUOTE})
    for path in (f"{pages}/2?quote={QUOTE}", f"{pages}/2.png", f"{pages}/2.png?width=1800"):
        plain = client.get(path)
        assert plain.headers["cache-control"] == "private, no-cache"
        again = client.get(path, headers={"If-None-Match": plain.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
        forever = client.get(path, params={"version": told.json()["version"], **dict(httpx.URL(path).params)})
        assert forever.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert forever.headers["etag"] == plain.headers["etag"]
    tags = [
        client.get(f"{pages}/{rest}").headers["etag"]
        for rest in (
            "1",
            "2",
            f"2?quote={QUOTE}",
            f"2?quote={QUOTE}&last_page=3",
            "1.png",
            "2.png",
            "2.png?width=1800",
        )
    ]
    assert len(set(tags)) == len(tags)


@pytest.mark.usefixtures("worker")
def test_a_replaced_document_shows_its_new_pages_and_not_those_of_the_old_version(
    client: httpx.Client, boats: bytes, tmp_path: Path
) -> None:
    pages = add(client, boats)
    old = client.get(f"{pages}/1")
    newer = pdfs.make_pdf(tmp_path / "newer.pdf", ["The boat house is closed."]).read_bytes()
    assert add(client, newer) == pages
    told = client.get(f"{pages}/1", headers={"If-None-Match": old.headers["etag"]})
    assert (told.status_code, told.json()["words"]) == (200, "The boat house is closed.")
    assert_refused(client.get(old.json()["picture"]["900"]), 404, "other-version")
    assert_refused(client.get(f"{pages}/1", params={"version": old.json()["version"]}), 404, "other-version")


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("end_of_path", ["", ".png"])
@pytest.mark.parametrize("page", ["0", "-1", "4", "4000000000", "9" * 30])
def test_a_page_that_there_is_not_is_a_404(client: httpx.Client, boats: bytes, page: str, end_of_path: str) -> None:
    assert_refused(client.get(f"{add(client, boats)}/{page}{end_of_path}"), 404, "page-not-found")


@pytest.mark.parametrize(
    "rest",
    ["x", "1.5", "1.gif", "1.png?width=901", "1.png?width=0", "1.png?width=x", f"1?quote={'a' * 4001}", "1?wait=21",
     "1?wait=-1", "1?last_page=0"],
)  # fmt: skip
def test_what_the_address_does_not_take_is_a_422_and_no_job(
    client: httpx.Client, valkey: Redis, boats: bytes, rest: str
) -> None:
    assert_refused(client.get(f"{add(client, boats)}/{rest}"), 422, "invalid-request")
    assert looks(valkey) == 0


def test_an_unknown_document_has_no_pages(client: httpx.Client, valkey: Redis) -> None:
    for rest in ("1", "1.png"):
        assert_refused(client.get(f"/documents/none/pages/{rest}"), 404, "document-not-found")
    assert looks(valkey) == 0


def test_where_the_file_is_not_kept_there_is_nothing_to_look_at(
    client: httpx.Client, valkey: Redis, settings: Settings, boats: bytes
) -> None:
    pages = add(client, boats)
    for file in (settings.data_dir / "documents" / "default").glob("[0-9a-f][0-9a-f]/*"):
        file.unlink()
    for rest in ("1", "1.png"):
        assert_refused(client.get(f"{pages}/{rest}"), 404, "file-not-kept")
    assert looks(valkey) == 0


@pytest.mark.usefixtures("worker")
def test_a_document_of_words_alone_shows_the_passage(client: httpx.Client) -> None:
    pages = add(client, f"# Boats \U0001f600\n\n{QUOTE} Ask.\n".encode(), "boats.md")
    told = client.get(f"{pages}/1", params={"quote": QUOTE}).json()
    assert (told["picture"], told["boxes"], told["found"]) == (None, [], True)
    assert told["words"][slice(*told["span"])] == QUOTE
    assert client.get(f"{pages}/1", params={"quote": "Nothing of it."}).json()["found"] is False
    assert_refused(client.get(f"{pages}/1.png"), 404, "no-picture")


@pytest.mark.usefixtures("worker")
def test_what_cannot_be_read_says_so(client: httpx.Client, valkey: Redis, tmp_path: Path) -> None:
    pages = add(client, pdfs.encrypted_pdf(tmp_path / "a.pdf").read_bytes())
    for rest in ("1", "1.png"):
        assert_refused(client.get(f"{pages}/{rest}"), 422, "page-unreadable")
    (job_id,) = FailedJobRegistry(PAGE_QUEUE, connection=valkey).get_job_ids()
    assert Job.fetch(job_id, connection=valkey, serializer=PlainSerializer).retries_left == 1, "nobody tried again"
    assert client.get("/jobs", params={"status": "failed"}).json()["jobs"] == [], "there is nothing to send back"


def test_a_page_that_nobody_has_drawn_yet_is_asked_for_again(
    client: httpx.Client, valkey: Redis, boats: bytes
) -> None:
    pages = add(client, boats)
    for wait in (0, 1):
        for rest in ("1", "1.png"):
            refused = client.get(f"{pages}/{rest}", params={"wait": wait})
            assert_refused(refused, 503, "page-pending")
            assert refused.headers["retry-after"] == "2"


def test_equal_looks_are_one_job_and_others_are_not(client: httpx.Client, valkey: Redis, boats: bytes) -> None:
    pages = add(client, boats)
    for _ in range(3):
        for rest in ("1", "1.png", "1?quote="):  # the picture comes with either
            client.get(f"{pages}/{rest}", params={**dict(httpx.URL(rest).params), "wait": 0})
    assert looks(valkey) == 1
    for query in (f"quote={QUOTE}", "quote=boat", "quote=boat&last_page=2"):
        client.get(f"{pages}/1?{query}&wait=0")
    client.get(f"{pages}/1.png", params={"width": 1800, "wait": 0})
    assert looks(valkey) == 5


def test_head_makes_no_job(client: httpx.Client, valkey: Redis, boats: bytes) -> None:
    pages = add(client, boats)
    for rest in ("1", "1.png"):
        answer = client.head(f"{pages}/{rest}")
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["etag"]
    assert client.head(f"{pages}/0").status_code == 404
    assert looks(valkey) == 0


@pytest.mark.usefixtures("worker")
def test_a_look_leaves_nothing_behind_for_long(client: httpx.Client, valkey: Redis, boats: bytes) -> None:
    pages = add(client, boats)
    before: set[Any] = set(valkey.keys())
    client.get(f"{pages}/1", params={"quote": QUOTE}).raise_for_status()
    (job_id,) = FinishedJobRegistry(PAGE_QUEUE, connection=valkey).get_job_ids()
    job = Job.fetch(job_id, connection=valkey, serializer=PlainSerializer)
    assert (job.description, job.result_ttl) == ("page", PAGE_KEEP_SECONDS)
    found: set[Any] = set(valkey.keys())
    own = {key for key in found - before if job_id.encode() in key or b"idempotency" in key}
    assert own
    assert all(0 < int(valkey.ttl(key)) <= 2 * PAGE_KEEP_SECONDS for key in own)


@pytest.mark.usefixtures("worker")
def test_a_documents_pictures_go_with_it(client: httpx.Client, settings: Settings, boats: bytes) -> None:
    pages = add(client, boats)
    for page in (1, 2):
        client.get(f"{pages}/{page}.png").raise_for_status()
    before = len(kept(settings))
    client.delete(pages.removesuffix("/pages")).raise_for_status()
    assert len(kept(settings)) == before - 2
    assert_refused(client.get(f"{pages}/1.png"), 404, "document-not-found")


@pytest.mark.usefixtures("worker")
def test_who_adds_a_document_again_sees_its_pictures(client: httpx.Client, boats: bytes) -> None:
    """The look that drew them is remembered longer than they were there."""
    for _ in range(2):
        pages = add(client, boats)
        assert client.get(f"{pages}/1.png").status_code == 200
        client.delete(pages.removesuffix("/pages")).raise_for_status()


@pytest.mark.usefixtures("worker")
def test_a_store_that_fails_once_is_asked_again(
    client: httpx.Client, boats: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = add(client, boats)
    failures: list[int] = []
    put = DocumentStore.put_picture

    def fail_once(*arguments: Any) -> None:
        if not failures:
            failures.append(1)
            raise StorageUnavailableError
        put(*arguments)

    monkeypatch.setattr(DocumentStore, "put_picture", fail_once)
    assert client.get(f"{pages}/1.png").status_code == 200
    assert failures


RESULT: dict[str, Any] = {
    "page": 1, "pages": 3, "width": 595.0, "height": 842.0, "has_picture": True, "boxes": [], "next_boxes": [],
    "words": "The boat house opens at six.", "span": None,
}  # fmt: skip
HOSTILE: dict[str, dict[str, Any]] = {
    "another page": {"page": 2},
    "less than no pages": {"pages": -1},
    "a box of three": {"boxes": [[1, 2, 3]]},
    "no numbers": {"boxes": [["<script>"] * 4]},
    "no number": {"boxes": [[float("nan")] * 4]},
    "an endless page": {"width": float("inf")},
    "too many boxes": {"boxes": [[0, 0, 1, 1]] * 1001},
    "too many words": {"words": "a" * (WORDS_MAX_CHARACTERS + 1)},
    "a place beyond the words": {"span": [0, 10_000]},
    "a place before the words": {"span": [-5, 3]},
    "more than there is": {"picture": {"900": "https://evil.example/"}},
}


def finish(valkey: Redis, result: Any) -> None:
    """End the one job that waits with what somebody has written into Valkey."""
    job_id: Any = valkey.lpop(f"rq:queue:{PAGE_QUEUE}")
    kept = base64.b64encode(PlainSerializer.dumps(result)).decode()
    valkey.xadd(f"rq:results:{job_id.decode()}", {"return_value": kept, "type": 1, "created_at": 1})
    valkey.hset(Job.key_for(job_id.decode()), "status", "finished")


def test_a_result_as_workers_write_it_is_shown(client: httpx.Client, valkey: Redis, boats: bytes) -> None:
    """Else the test below would pass whatever was refused."""
    pages = add(client, boats)
    client.get(f"{pages}/1", params={"wait": 0})
    finish(valkey, RESULT)
    assert client.get(f"{pages}/1", params={"wait": 0}).json()["words"] == RESULT["words"]


@pytest.mark.parametrize("name", HOSTILE)
def test_what_stands_in_valkey_is_checked(client: httpx.Client, valkey: Redis, boats: bytes, name: str) -> None:
    pages = add(client, boats)
    client.get(f"{pages}/1", params={"wait": 0})
    finish(valkey, RESULT | HOSTILE[name])
    assert_refused(client.get(f"{pages}/1", params={"wait": 0}), 503, "page-not-drawn")


def test_a_picture_that_is_said_to_be_there_and_is_not_is_asked_for_again(
    client: httpx.Client, valkey: Redis, boats: bytes
) -> None:
    pages = add(client, boats)
    client.get(f"{pages}/1.png", params={"wait": 0})
    finish(valkey, RESULT)
    assert_refused(client.get(f"{pages}/1.png", params={"wait": 0}), 503, "page-pending")
