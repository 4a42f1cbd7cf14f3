"""`python -m benchmarks.retrieval` measures what it says, and the service finds what it should in the small set."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.retrieval import main
from benchmarks.retrieval_data import DataError, load, read_judgements
from benchmarks.retrieval_metrics import averages, ndcg
from tests.support import ROOT
from tests.support.model_server import ModelServer
from tests.support.pdfs import make_pdf

SMALL_SET = ROOT / "benchmarks/retrieval_set"


@pytest.fixture(autouse=True)
def _qdrant(qdrant_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDRANT_URL", qdrant_url)


def _report(capsys: pytest.CaptureFixture[str], folder: Path) -> dict[str, Any]:
    assert main([str(folder)]) == 0
    table, _, last = capsys.readouterr().out.rstrip().rpartition("\n")
    assert "ndcg@10" in table
    report: dict[str, Any] = json.loads(last)
    return report


def test_bm25_alone_finds_the_small_set(capsys: pytest.CaptureFixture[str]) -> None:
    rows = _report(capsys, SMALL_SET)["rows"]
    assert rows.keys() == {"sparse"}
    assert rows["sparse"]["ndcg@10"] >= 0.95


def test_with_a_model_each_way_to_search_is_measured_and_the_default_is_no_worse_than_the_halves(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ModelServer() as server:
        monkeypatch.setenv("EMBEDDING_BASE_URL", server.url)
        monkeypatch.setenv("EMBEDDING_MODEL", "text-embedding-3-small")
        rows = _report(capsys, SMALL_SET)["rows"]
    assert list(rows) == ["dense", "sparse", "convex", "dbsf", "rrf"]
    assert rows["convex"]["ndcg@10"] >= max(rows["dense"]["ndcg@10"], rows["sparse"]["ndcg@10"]) - 0.01


def test_pages_of_pdfs_are_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pdfs").mkdir()
    for name, words in (("tea", "green"), ("boat", "anchor")):
        pages = [f"The first page is about a {words}.", f"The second page has a {words} and a pot."]
        make_pdf(tmp_path / "pdfs" / f"{name}.pdf", pages)
    (tmp_path / "queries.jsonl").write_text('{"id": "q", "text": "an anchor and a pot"}\n{"id": "r", "text": "?"}\n')
    (tmp_path / "qrels.tsv").write_text("query\tdocument\tscore\nq\tboat#p2\t1\n")
    report = _report(capsys, tmp_path)
    assert report["queries"] == 1
    assert report["rows"]["sparse"]["mrr"] == 1.0


def test_a_folder_of_another_form_is_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "qrels.tsv" in capsys.readouterr().err


def test_judgements_in_the_forms_that_are_about(tmp_path: Path) -> None:
    path = tmp_path / "qrels.tsv"
    path.write_text("q\td\tscore\n1\ta\t2\n1\tb\t0\n2\tc\n\n3 0 d 1\n")
    assert read_judgements(path) == {"1": {"a": 2}, "2": {"c": 1}, "3": {"d": 1}}
    path.write_text("header\n1\ta\tmuch\n")
    with pytest.raises(DataError, match="line 2"):
        read_judgements(path)


def test_beirs_own_names_and_documents_without_title(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d", "text": "words"}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "words"}\n{"_id": "r", "text": "unjudged"}\n')
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t1\n")
    data = load(tmp_path)
    assert data.queries == {"q": "words"}
    assert [(text.id, text.title, text.text) for text in data.texts()] == [("d", "", "words")]


def test_measures_by_hand() -> None:
    assert ndcg(["x", "a", "b"], {"a": 1}, 10) == pytest.approx(0.63093, abs=1e-5)
    assert ndcg(["a", "b"], {"a": 1, "b": 2}, 10) == pytest.approx((1 + 2 / 1.58496) / (2 + 1 / 1.58496), abs=1e-5)
    rankings = {"q": ["x", "a"], "r": ["x"]}
    found = averages(rankings, {"q": {"a": 1}, "r": {"y": 1}})
    assert (found["mrr"], found["recall@5"], found["hit@5"]) == (0.25, 0.5, 0.5)
