"""EMBEDDING_MODEL=local: a model of fastembed's in the worker itself, here one that the tests make."""

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from app.core.errors import ConfigurationError
from app.core.settings import Settings
from tests.support.documents import add_document
from tests.support.local_model import SIZE, WEIGHTS, make_model
from worker.index.vector_index import open_index
from worker.model import local_embeddings
from worker.model.embeddings import open_embeddings
from worker.retrieval.search import open_searcher

MEANINGS = (("warranty", "guarantee"), ("boat", "ship"), ("lasts", "endures"), ("washed", "cleaned"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"), *MEANINGS)


@pytest.fixture
def settings(folder: Path, qdrant_url: str) -> Settings:
    return Settings(
        qdrant_url=qdrant_url,
        qdrant_collection=f"t{uuid4().hex}",
        embedding_model="local",
        local_model_path=folder,
    )


def test_it_gives_a_vector_for_each_text_the_same_alone_and_among_others(settings: Settings) -> None:
    opened = open_embeddings(settings)
    assert opened is not None
    with closing(opened):
        texts = [f"{word} of number {n}" for n in range(20) for word in ("warranty", "boat")]
        vectors = opened.embed_documents(texts)
        assert [len(vector) for vector in vectors] == [SIZE] * len(texts)
        assert opened.embed_query("warranty") == pytest.approx(opened.embed_documents(["Guarantee"])[0], abs=1e-5)
        assert opened.embed_few(["boat"])[0] != pytest.approx(opened.embed_query("warranty"), abs=0.1)


def test_warranty_finds_guarantee_without_a_key(settings: Settings) -> None:
    with closing(open_index(settings)) as index:
        index.ensure()
        add_document(index, "The guarantee endures two years.", "Every ship is cleaned.")
    with closing(open_searcher(settings)) as searcher:
        found = searcher.search("warranty", tenant="default", collection="default", top_k=1)
    assert ["guarantee" in hit.text for hit in found] == [True]
    words = settings.model_copy(update={"embedding_model": None})
    with closing(open_searcher(words)) as searcher:
        assert searcher.search("warranty", tenant="default", collection="default", top_k=1) == []


def test_the_index_remembers_which_model_it_was() -> None:
    for short in ("local", "local:"):
        assert Settings(embedding_model=short).embedding_model == "local:BAAI/bge-small-en-v1.5"


@pytest.mark.parametrize("name", ["none", "NONE", None])
def test_none_keeps_words_alone(name: str | None) -> None:
    settings = Settings.model_validate({"embedding_model": name, "openai_api_key": "x"})
    assert settings.embedding_model is None
    assert open_embeddings(settings) is None


@pytest.mark.parametrize("missing", [WEIGHTS, "tokenizer.json", "tokenizer_config.json"])
def test_a_folder_that_lacks_a_file_is_named_at_the_start(tmp_path: Path, missing: str) -> None:
    folder = make_model(tmp_path / "model", *MEANINGS)
    (folder / missing).unlink()
    with pytest.raises(ConfigurationError, match=f"LOCAL_MODEL_PATH.*{missing}"):
        open_embeddings(Settings(embedding_model="local", local_model_path=folder))


def test_a_model_that_fastembed_lacks_is_named_with_those_near_it() -> None:
    with pytest.raises(ConfigurationError, match=r"bge-smal-en is none of.*near it are .*bge-small-en"):
        open_embeddings(Settings(embedding_model="local:BAAI/bge-smal-en", local_model_path=Path()))


def test_onnxruntime_is_told_before_it_is_imported_to_tell_nobody(folder: Path) -> None:
    """It has no other moment: what it sends is begun by its import."""
    program = (
        "import os, sys\n"
        "class Seen:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'onnxruntime': print(os.environ.get('ORT_DISABLE_TELEMETRY'))\n"
        "sys.meta_path.insert(0, Seen())\n"
        "from app.core.settings import Settings\n"
        "from worker.model.embeddings import open_embeddings\n"
        f"open_embeddings(Settings(embedding_model='local', local_model_path={str(folder)!r})).embed_query('boat')\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split()[0] == "1"


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_embeddings, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'rag-queue\[local\]'"):
        open_embeddings(Settings(embedding_model="local"))
