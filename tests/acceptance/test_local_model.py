"""EMBEDDING_MODEL=local: the whole service finds by meaning, with no key and no model's server."""

from pathlib import Path

from tests.acceptance.conftest import start
from tests.support.local_model import SIZE, make_model
from tests.support.pdfs import make_pdf
from tests.support.processes import wait_until

MEANINGS = (("warranty", "guarantee"), ("boat", "ship"), ("lasts", "endures"))


def test_warranty_finds_guarantee_from_a_file_to_an_answer(tmp_path: Path) -> None:
    model, folder = make_model(tmp_path / "model", *MEANINGS), tmp_path / "pdfs"
    folder.mkdir()
    make_pdf(folder / "handbook.pdf", ["Every ship is cleaned in spring.", "The guarantee endures two years."])
    service = start(tmp_path, "--ingest", str(folder), EMBEDDING_MODEL="local", LOCAL_MODEL_PATH=str(model))
    with service.client() as client:
        sent = client.post("/search", json={"query": "warranty", "top_k": 1}).json()
        wait_until(lambda: client.get(sent["urls"]["status"]).json()["status"] == "finished", "the search ends")
        found = client.get(sent["urls"]["result"]).json()["result"]
        assert [(hit["filename"], hit["page"]) for hit in found["hits"]] == [("handbook.pdf", 2)]
        name = "local:BAAI/bge-small-en-v1.5"
        vectors = client.post("/v1/embeddings", json={"model": name, "input": ["warranty", "guarantee"]}, timeout=60)
        assert vectors.status_code == 200, vectors.text
        first, second = (each["embedding"] for each in vectors.json()["data"])
        assert len(first) == SIZE
        assert first == second
        assert "warnings" not in client.get("/readyz").json()
    assert service.stop() == 0
