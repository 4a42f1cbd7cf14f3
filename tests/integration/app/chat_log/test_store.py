"""The log's rows in both databases: written once, hostile texts and all, found, said something of, and erased."""

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from app.chat_log import ChatLogUnavailableError
from app.chat_log.filters import Filter, Place
from app.chat_log.store import Erasure, Store
from tests.support.chat_log import NOON, entry, file_bytes, job_ids, rows

SAID = {"rating": "up", "comment": "good", "expected": None, "rated_at": NOON}
EVERYTHING = Filter()


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with closing(Store(database_url)) as opened:
        yield opened


def found(store: Store, wanted: Filter = EVERYTHING, tenant: str | None = "acme") -> list[str]:
    return [row.job_id for row in store.page(tenant, wanted, limit=100, after=None)]


def test_a_row_comes_back_as_it_was_written(store: Store) -> None:
    given = entry()
    store.write([given])
    assert store.page("acme", EVERYTHING, limit=10, after=None) == [given]


def test_a_row_without_content_comes_back_without(store: Store, database_url: str) -> None:
    given = entry(question=None, answer=None, citations=None, session_id=None, grounded=None, cost_usd=None)
    store.write([given])
    assert store.page("acme", EVERYTHING, limit=10, after=None) == [given]
    assert rows(database_url)[0]["citations"] is None  # SQL's NULL and not JSON's


def test_a_job_has_one_row_however_often_it_is_written_and_keeps_what_was_said_of_it(store: Store) -> None:
    store.write([entry(status="failed", answer=None)])
    assert store.say("j1", "acme", SAID)
    store.write([entry()])
    [row] = store.page("acme", EVERYTHING, limit=10, after=None)
    assert (row.status, row.answer, row.rating, row.comment) == ("finished", "At six [1].", "up", "good")


def test_nobody_says_anything_of_anothers_answer(store: Store) -> None:
    store.write([entry()])
    assert not store.say("j1", "globex", SAID)
    assert not store.say("j2", "acme", SAID)
    assert store.page("acme", EVERYTHING, limit=10, after=None)[0].rating is None


@pytest.mark.parametrize(
    "text",
    [
        "'; DROP TABLE chat_log; --",
        '%s %(x)s :x ? {0} "',
        "\\x00 \\u0000",
        "é" * 65_536,
        "\u202e\ufeff\U0001f600",
        "",
    ],
)
def test_any_text_is_kept_as_it_is(store: Store, text: str) -> None:
    given = entry(question=text, answer=text, citations=[{"quote": text, text: 1}])
    store.write([given])
    assert store.page("acme", EVERYTHING, limit=10, after=None) == [given]


@pytest.mark.parametrize("poison", ["nul \0", "half a pair \ud800"])
def test_a_row_that_a_database_refuses_holds_no_other_back(store: Store, poison: str) -> None:
    store.write([entry("a"), entry("b", question=poison, input_tokens=2**70), entry("c")])
    assert {"a", "c"} <= set(found(store))
    assert "b" not in found(store)


def test_a_page_goes_on_after_a_place_with_rows_of_one_moment_too(store: Store) -> None:
    store.write([entry(f"j{number}", ended_at=NOON + timedelta(microseconds=number // 3)) for number in range(10)])
    seen: list[str] = []
    after = None
    while page := store.page("acme", EVERYTHING, limit=2, after=after):
        seen += [row.job_id for row in page]
        after = Place.of(Place(page[-1].ended_at, page[-1].job_id).cursor)
    assert seen == [f"j{number}" for number in reversed(range(10))]


def test_a_filter_lets_through_what_fits_all_of_it(store: Store) -> None:
    store.write([
        entry("early", ended_at=NOON - timedelta(days=1)),
        entry("late", ended_at=NOON + timedelta(days=1), grounded=False, session_id="s2"),
        entry("other", tenant="globex"),
        entry("words", question="Öffnet der HAFEN zu 100 %_?", answer=None),
    ])  # fmt: skip
    store.say("early", "acme", SAID | {"expected": "At Seven"})
    assert found(store) == ["late", "words", "early"]
    assert found(store, tenant=None) == ["late", "words", "other", "early"]
    assert found(store, Filter(since=NOON)) == ["late", "words"]
    assert found(store, Filter(until=NOON)) == ["early"]
    assert found(store, Filter(grounded=False)) == ["late"]
    assert found(store, Filter(rating="up")) == ["early"]
    assert found(store, Filter(rating="down")) == []
    assert found(store, Filter(session_id="s2")) == ["late"]
    assert found(store, Filter(text="hafen")) == found(store, Filter(text="öFFNET")) == ["words"]
    assert found(store, Filter(text="100 %_")) == ["words"]
    assert found(store, Filter(text="1__ %")) == found(store, Filter(text="' OR 1=1 --")) == []
    assert found(store, Filter(text="seven")) == ["early"]


def test_erasing_takes_the_tenants_rows_and_no_others(store: Store, database_url: str) -> None:
    store.write([entry("a"), entry("b", session_id="s2"), entry("c", tenant="globex"), entry("d")])
    assert store.erase_jobs(["a"], tenant="globex") == 0
    assert store.erase_jobs(["a", "never"], tenant="acme") == 1
    assert store.erase([Erasure("acme", "s1", NOON - timedelta(seconds=1))]) == 0  # it was asked later
    assert store.erase([Erasure("acme", "s1", NOON)]) == 1
    assert job_ids(database_url) == ["b", "c"]
    assert store.erase([Erasure("acme", None, NOON)]) == 1
    assert job_ids(database_url) == ["c"]


def test_what_is_old_goes(store: Store, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.chat_log.store.DELETED_AT_ONCE", 2)
    store.write([entry(f"j{day}", ended_at=NOON - timedelta(days=day)) for day in range(7)])
    assert store.forget_before(NOON - timedelta(days=1)) == 5
    assert job_ids(database_url) == ["j0", "j1"]


def test_what_was_erased_is_in_no_byte_of_sqlites_files(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/history.sqlite3"
    with closing(Store(url)) as store:
        store.write([entry(f"j{number}", question=f"the secret harbour {number} " * 200) for number in range(50)])
        assert b"secret harbour" in file_bytes(url)
        store.erase([Erasure("acme", None, NOON)])
        assert store.scrub()
        assert b"secret harbour" not in file_bytes(url)


def test_sqlites_files_are_for_this_user_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with closing(Store(f"sqlite:///{tmp_path}/below/history.sqlite3")) as store:
            store.write([entry()])
            files = list((tmp_path / "below").iterdir())
            assert {path.name for path in files} >= {"history.sqlite3", "history.sqlite3-wal"}
            assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
            assert (tmp_path / "below").stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(before)


@pytest.mark.parametrize("url", ["postgresql://u:hunter2@127.0.0.1:9/x", "sqlite:////proc/no/such/history.sqlite3"])
def test_a_database_that_is_away_is_told_without_its_address(url: str) -> None:
    with pytest.raises(ChatLogUnavailableError) as told:
        Store(url)
    assert "hunter2" not in str(told.value)
    assert told.value.__cause__ is None
    assert told.value.__suppress_context__
