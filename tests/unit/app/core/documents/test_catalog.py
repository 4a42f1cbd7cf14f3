"""The catalog, on a fake Valkey: both of its forms do the same, and nothing that stands there is believed unread."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis, FakeRedis, FakeServer
from pydantic import ValidationError
from redis import Redis

from app.core.documents import operations
from app.core.documents.catalog import AsyncCatalog, Catalog
from app.core.documents.ids import document_id
from app.core.documents.operations import FileBusyError
from app.core.documents.records import AT_WORK, STOPPED, DocumentError, DocumentRecord, DocumentStatus
from app.core.errors import Limit, LimitReachedError
from app.core.formats import MediaType

NOW = datetime(2026, 1, 2, 9, 30, tzinfo=UTC)
A, B = "a" * 64, "b" * 64


def record(name: str, *, collection: str = "default", sha256: str = A, **more: Any) -> DocumentRecord:
    return DocumentRecord(
        document_id=name, collection=collection, filename=f"{name}.pdf", sha256=sha256,
        media_type=MediaType.PDF, **({"size_bytes": 5, "created_at": NOW, "updated_at": NOW} | more),
    )  # fmt: skip


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def valkey(server: FakeServer) -> Iterator[Redis]:
    with FakeRedis(server=server) as connection:
        yield connection


@pytest.fixture
def catalog(valkey: Redis) -> Catalog:
    return Catalog(valkey)


def names(page: Any) -> list[str]:
    return [document.document_id for document in page.documents]


def test_a_record_comes_back_as_it_was_put(catalog: Catalog) -> None:
    full = record(
        "d1", title="Über ☕", status=DocumentStatus.FAILED, error=DocumentError(code="damaged", message="Broken."),
        pages=9, pages_done=3, chunks=2, missing_pages=(4, 5), job_id="j1",
    )  # fmt: skip
    assert catalog.do(operations.put("t", full)) is None
    assert catalog.do(operations.get("t", "d1")) == full


def test_an_unknown_document_is_none(catalog: Catalog) -> None:
    assert catalog.do(operations.get("t", "d1")) is None
    assert catalog.do(operations.delete("t", "d1")) is None


def test_a_tenant_sees_its_own_documents_only(catalog: Catalog) -> None:
    catalog.do(operations.put("a", record("d1")))
    assert catalog.do(operations.get("b", "d1")) is None
    assert catalog.do(operations.page("b")).documents == ()
    assert catalog.do(operations.update("b", "d1", pages=1)) is False
    assert catalog.do(operations.delete("b", "d1")) is None
    assert catalog.do(operations.get("a", "d1")) is not None


def test_labels_with_colons_do_not_mix_tenants_up(catalog: Catalog) -> None:
    catalog.do(operations.put("a:b", record("c")))
    assert catalog.do(operations.get("a", "b:c")) is None


def test_an_update_changes_its_fields_and_the_time(catalog: Catalog) -> None:
    catalog.do(operations.put("t", record("d1")))
    assert catalog.do(
        operations.update("t", "d1", status=DocumentStatus.PARSING, pages=10, pages_done=4, missing_pages=(2,))
    )
    found = catalog.do(operations.get("t", "d1"))
    assert found is not None
    assert (found.status, found.pages, found.pages_done, found.missing_pages) == (DocumentStatus.PARSING, 10, 4, (2,))
    assert found.updated_at > found.created_at
    assert found.filename == "d1.pdf"


def test_a_deleted_document_does_not_come_back_by_an_update(catalog: Catalog, valkey: Redis) -> None:
    catalog.do(operations.put("t", record("d1")))
    assert catalog.do(operations.delete("t", "d1")) == record("d1")
    assert catalog.do(operations.update("t", "d1", status=DocumentStatus.INDEXED)) is False
    assert catalog.do(operations.get("t", "d1")) is None
    assert valkey.keys() == []


def test_an_update_for_other_bytes_changes_nothing(catalog: Catalog) -> None:
    catalog.do(operations.put("t", record("d1", sha256=B)))
    assert catalog.do(operations.update("t", "d1", if_sha256=A, status=DocumentStatus.INDEXED)) is False
    assert catalog.do(operations.update("t", "d1", if_sha256=B, status=DocumentStatus.PARSING)) is True
    found = catalog.do(operations.get("t", "d1"))
    assert found is not None
    assert found.status is DocumentStatus.PARSING


@pytest.mark.parametrize(
    "changes",
    [{"pages": -1}, {"sha256": A}, {"status": "eaten"}, {"title": "x" * 501}, {"missing_pages": range(20_001)},
     {"error": {"code": "BAD", "message": ""}}, {"filename": "\ud800"}, {"collection": "c2"}],
)  # fmt: skip
def test_an_update_that_would_break_the_record_is_refused(catalog: Catalog, changes: dict[str, Any]) -> None:
    catalog.do(operations.put("t", record("d1")))
    with pytest.raises(ValidationError):
        catalog.do(operations.update("t", "d1", **changes))
    assert catalog.do(operations.get("t", "d1")) == record("d1")


def test_a_new_version_keeps_when_the_document_came_and_its_place(catalog: Catalog) -> None:
    catalog.do(operations.put("t", record("d1")))
    catalog.do(operations.put("t", record("d2")))
    later = NOW + timedelta(days=1)
    assert catalog.do(operations.put("t", record("d1", sha256=B, created_at=later, updated_at=later))) == record("d1")
    found = catalog.do(operations.get("t", "d1"))
    assert found is not None
    assert (found.created_at, found.updated_at, found.sha256) == (NOW, later, B)
    assert names(catalog.do(operations.page("t"))) == ["d2", "d1"]


def test_pages_follow_each_other_whatever_comes_and_goes(catalog: Catalog) -> None:
    for number in range(7):
        catalog.do(operations.put("t", record(f"d{number}", collection="odd" if number % 2 else "even")))
    first = catalog.do(operations.page("t", limit=3))
    assert (names(first), first.next is not None) == (["d6", "d5", "d4"], True)
    catalog.do(operations.put("t", record("d9")))
    catalog.do(operations.delete("t", "d4"))
    second = catalog.do(operations.page("t", after=first.next, limit=3))
    assert names(second) == ["d3", "d2", "d1"]
    last = catalog.do(operations.page("t", after=second.next, limit=3))
    assert (names(last), last.next) == (["d0"], None)
    assert names(catalog.do(operations.page("t", collection="odd"))) == ["d5", "d3", "d1"]
    assert catalog.do(operations.page("t", limit=7)).next is None
    assert [found.document_id for found in catalog.all("t")] == ["d9", "d6", "d5", "d3", "d2", "d1", "d0"]


def test_all_reads_on_beyond_one_page(catalog: Catalog) -> None:
    for number in range(205):
        catalog.do(operations.put("t", record(f"d{number}")))
    assert len({found.document_id for found in catalog.all("t")}) == 205


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_page_has_a_bound(catalog: Catalog, limit: int) -> None:
    with pytest.raises(ValueError, match="limit"):
        catalog.do(operations.page("t", limit=limit))


@pytest.mark.parametrize(
    ("field", "value"),
    [("status", b'"eaten"'), ("pages", b"-1"), ("filename", b"\xff\xfe"), ("surprise", b"1"), ("sha256", b'"../x"'),
     ("size_bytes", b"{"), ("created_at", b'"yesterday"'), ("media_type", b'"text/javascript"')],
)  # fmt: skip
def test_a_broken_record_is_passed_over(catalog: Catalog, valkey: Redis, field: str, value: bytes) -> None:
    catalog.do(operations.put("t", record("d1")))
    catalog.do(operations.put("t", record("d2")))
    valkey.hset("rag:document:t/d1", field, value)
    assert catalog.do(operations.get("t", "d1")) is None
    assert names(catalog.do(operations.page("t"))) == ["d2"]
    assert catalog.do(operations.put("t", record("d1"))) is None, "and can be written anew"
    assert catalog.do(operations.get("t", "d1")) is not None


@pytest.mark.parametrize("bad", ["a/b", "a b", "é", "x" * 129, "*", "a\n"])
def test_what_is_no_label_never_becomes_a_key(catalog: Catalog, bad: str) -> None:
    with pytest.raises(ValueError, match="label"):
        catalog.do(operations.get(bad, "d1"))
    with pytest.raises(ValueError, match="label"):
        catalog.do(operations.get("t", bad))


def test_a_file_is_removed_only_when_no_document_uses_it(catalog: Catalog) -> None:
    catalog.do(operations.put("t", record("d1")))
    catalog.do(operations.put("t", record("d2")))
    catalog.do(operations.put("other", record("d1")))
    catalog.do(operations.delete("t", "d1"))
    assert catalog.do(operations.begin_removal("t", A)) is False
    catalog.do(operations.put("t", record("d2", sha256=B)))
    assert catalog.do(operations.begin_removal("t", A)) is True
    assert catalog.do(operations.begin_removal("t", B)) is False


def test_while_a_file_is_removed_no_document_is_put_on_it(catalog: Catalog, valkey: Redis) -> None:
    assert catalog.do(operations.begin_removal("t", A)) is True
    with pytest.raises(FileBusyError):
        catalog.do(operations.put("t", record("d1")))
    assert catalog.do(operations.get("t", "d1")) is None
    catalog.do(operations.put("t", record("d2", sha256=B)))
    catalog.do(operations.end_removal("t", A))
    catalog.do(operations.put("t", record("d1")))
    assert catalog.do(operations.begin_removal("t", A)) is False
    catalog.do(operations.delete("t", "d1"))
    assert catalog.do(operations.begin_removal("t", A)) is True
    assert 0 < valkey.ttl(f"rag:removals:t/{A}") <= 60, "a killed remover blocks nobody for long"


def test_both_catalogs_see_the_same(catalog: Catalog, server: FakeServer) -> None:
    async def through_the_other() -> None:
        async with FakeAsyncRedis(server=server) as connection:
            other = AsyncCatalog(connection)
            assert await other.do(operations.get("t", "d1")) == record("d1")
            assert await other.do(operations.put("t", record("d2", sha256=B))) is None
            assert names(await other.do(operations.page("t", limit=1))) == ["d2"]
            assert await other.do(operations.update("t", "d2", if_sha256=B, pages=3)) is True
            assert await other.do(operations.delete("t", "d1")) == record("d1")
            assert await other.do(operations.begin_removal("t", A)) is True
            with pytest.raises(FileBusyError):
                await other.do(operations.put("t", record("d3")))
            await other.do(operations.end_removal("t", A))

    catalog.do(operations.put("t", record("d1")))
    asyncio.run(through_the_other())
    found = catalog.do(operations.get("t", "d2"))
    assert found is not None
    assert found.pages == 3
    assert names(catalog.do(operations.page("t"))) == ["d2"]


def test_the_id_is_of_the_name_and_never_of_the_bytes() -> None:
    one = document_id("t", "c", "handbook.pdf")
    assert one == document_id("t", "c", "handbook.pdf")
    assert len({one, document_id("t", "c", "x.pdf"), document_id("t", "d", "handbook.pdf"),
                document_id("u", "c", "handbook.pdf")}) == 4  # fmt: skip


@pytest.mark.parametrize("status", DocumentStatus)
def test_a_document_that_waits_for_a_job_fails_with_it(catalog: Catalog, status: DocumentStatus) -> None:
    catalog.do(operations.put("t", record("d1", status=status, job_id="j1")))
    assert catalog.do(operations.job_ended("t", "d1", job_id="j2", error=STOPPED)) is False, "another's job"
    assert catalog.do(operations.job_ended("t", "d1", job_id="j1", error=STOPPED)) is (status in AT_WORK)
    found = catalog.do(operations.get("t", "d1"))
    assert found is not None
    expected = (DocumentStatus.FAILED, STOPPED) if status in AT_WORK else (status, None)
    assert (found.status, found.error) == expected


@pytest.mark.parametrize("status", DocumentStatus)
def test_a_document_whose_job_is_sent_back_waits_again(catalog: Catalog, status: DocumentStatus) -> None:
    catalog.do(operations.put("t", record("d1", status=status, error=STOPPED, job_id="j1")))
    assert catalog.do(operations.job_sent_back("t", "d1", job_id="j2")) is False, "another's job"
    is_told = status is DocumentStatus.FAILED
    assert catalog.do(operations.job_sent_back("t", "d1", job_id="j1")) is is_told
    found = catalog.do(operations.get("t", "d1"))
    assert found is not None
    assert (found.status, found.error) == ((DocumentStatus.QUEUED, None) if is_told else (status, STOPPED))


def test_nobody_is_told_of_a_document_that_was_deleted(catalog: Catalog, valkey: Redis) -> None:
    assert catalog.do(operations.job_ended("t", "d1", job_id="j1", error=STOPPED)) is False
    assert catalog.do(operations.job_sent_back("t", "d1", job_id="j1")) is False
    assert valkey.keys() == []


def test_a_quota_holds_documents_and_bytes_and_leaves_what_is_refused_undone(catalog: Catalog, valkey: Redis) -> None:
    quota = operations.Quota(documents=2, mib=3)
    catalog.do(operations.put("t", record("d1", size_bytes=2**20)))
    catalog.do(operations.put("t", record("d2", size_bytes=2**20), quota=quota))
    for refused, limit in ((record("d3"), Limit.DOCUMENTS), (record("d2", size_bytes=2**21 + 1), Limit.STORED_BYTES)):
        with pytest.raises(LimitReachedError) as told:
            catalog.do(operations.put("t", refused, quota=quota))
        assert told.value.limit is limit
    assert names(catalog.do(operations.page("t"))) == ["d2", "d1"]
    catalog.do(operations.put("t", record("d2", size_bytes=2**21), quota=quota))
    catalog.do(operations.delete("t", "d1"))
    assert valkey.get("rag:stored:t") == b"%d" % 2**21


def test_a_hostile_size_counts_nothing(catalog: Catalog, valkey: Redis) -> None:
    catalog.do(operations.put("t", record("d1")))
    valkey.hset("rag:document:t/d1", "size_bytes", '"much"')
    catalog.do(operations.put("t", record("d2", size_bytes=5), quota=operations.Quota(documents=9, mib=1)))
    assert valkey.get("rag:stored:t") == b"5"
    catalog.do(operations.delete("t", "d1"))
    assert valkey.get("rag:stored:t") == b"5"
