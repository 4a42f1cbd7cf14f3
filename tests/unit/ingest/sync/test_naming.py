"""How documents and their versions are identified."""

from pathlib import Path

from app.core.settings import Settings
from ingest.reading.files import File
from ingest.sync.naming import Naming, naming_of


def _naming(**changes: str | None) -> Naming:
    return Naming(**{"collection": "c", "splitter_tag": "s", "embedding_model": None, **changes})  # type: ignore[arg-type]


def test_a_document_is_its_place_and_its_version_is_how_it_was_made() -> None:
    ids = {
        _naming().document_id("a.pdf"),
        _naming().document_id("b.pdf"),
        _naming(collection="d").document_id("a.pdf"),
    }
    assert len(ids) == 3
    assert _naming().version("aa") == _naming(collection="d").version("aa")
    assert _naming().version("aa") == _naming(embedding_model="m").version("aa"), "its vectors are made beside"
    assert len({naming.version("aa") for naming in (_naming(splitter_tag="t"), _naming())}) == 2


def test_the_settings_of_the_splitter_make_another_version_and_the_models_do_not() -> None:
    settings = [Settings(), Settings(chunk_size=500), Settings(chunk_overlap=100), Settings(embedding_model="m")]
    settings.append(Settings(ocr=True))
    assert len({naming_of(one, "c").version("aa") for one in settings}) == 4


def test_a_file_has_one_path_whatever_link_leads_to_its_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.pdf").touch()
    (tmp_path / "link").symlink_to("real")
    paths = [
        _naming().hashed(File(folder / "a.pdf", "a.pdf", folder / "a.pdf"), "aa").path
        for folder in (tmp_path / "real", tmp_path / "link", tmp_path / "link" / ".." / "real")
    ]
    assert set(paths) == {str((tmp_path / "real" / "a.pdf").resolve())}


def test_a_path_is_safe_to_store() -> None:
    path = Path("/x/a\udcff\x1b.pdf")
    hashed = _naming().hashed(File(path, "a.pdf", path), "aa")
    assert hashed.path == "/x/a\ufffd\ufffd.pdf"
    assert hashed.filename == "a\ufffd\ufffd.pdf"
