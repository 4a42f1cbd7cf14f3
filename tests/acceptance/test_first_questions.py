"""The first five minutes: plain questions over `data/`, asked of the service as it starts, without a model."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import Running, ask, start
from tests.support import ROOT
from tests.support.plain_pages import ANSWERS, Question, questions_of

FIRST = questions_of(ANSWERS / "first_questions.tsv")
ALLOWED_FAULTS = 1
"""Of the twelve: that the warranty is the guarantee, no word says."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    started = start(tmp_path_factory.mktemp("first"), "--ingest", str(ROOT / "data"))
    yield started
    started.stop()


def is_right(service: Running, asked: Question) -> bool:
    with service.client() as client:
        result = ask(client, asked.question)["result"]
    if not asked.right:
        return not result["grounded"] and not result["citations"]
    places = [f"{citation['filename']}#{citation['page']}" for citation in result["citations"]]
    return result["grounded"] and asked.where in places and any(right in result["answer"] for right in asked.right)


def test_the_first_questions_are_answered_with_document_and_page(service: Running) -> None:
    faults = [asked.question for asked in FIRST if not is_right(service, asked)]
    assert len(faults) <= ALLOWED_FAULTS, faults


def test_what_stands_nowhere_is_not_grounded(service: Running) -> None:
    nowhere = [asked for asked in (*FIRST, *questions_of(ANSWERS / "sample_questions.tsv")) if not asked.right]
    assert [asked.question for asked in nowhere if not is_right(service, asked)] == []


def test_one_sentence_alone_in_a_collection_is_found_by_a_paraphrase(service: Running, tmp_path: Path) -> None:
    (tmp_path / "shed.txt").write_text("The bicycle shed has room for 40 bicycles.\n")
    done = service.command(sys.executable, "-m", "ingest", str(tmp_path), "--collection", "shed")
    assert done.returncode == 0, done.stderr
    with service.client() as client:
        result = ask(client, "How many bicycles fit in the shed?", collection="shed")["result"]
        near = ask(client, "How many kayaks fit in the bicycle shed?", collection="shed")["result"]
    assert (result["answer"], result["grounded"]) == ("The bicycle shed has room for 40 bicycles. [1]", True)
    assert near["grounded"] is False
