"""`make env`: what docker compose wants in `.env` is made once, for its owner alone."""

import stat
from pathlib import Path

import pytest
from dotenv import dotenv_values

from app.__main__ import KEY_RATE, main
from app.auth.api_keys import KeyRing
from app.auth.principals import Role
from app.cli.env_file import SECRETS, write_env_file
from app.core.errors import ConfigurationError
from app.core.settings import Settings

ALL = ("API_KEYS", *SECRETS)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_has_all_that_is_needed_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    written = write_env_file(path, rate=KEY_RATE)
    assert (written.added, written.kept) == (ALL, ())
    assert mode(path) == 0o600
    values = dotenv_values(path)
    assert set(values) == set(ALL)
    assert len(set(values.values())) == len(ALL)
    assert all(len(values[name] or "") == 64 for name in SECRETS)
    assert written.key is not None
    assert written.key not in path.read_text()
    principal = KeyRing([values["API_KEYS"] or ""]).find(written.key.encode())
    assert principal is not None
    assert (principal.role, principal.rate) == (Role.ADMIN, KEY_RATE)
    assert [each.name for each in tmp_path.iterdir()] == [".env"]


def test_the_settings_that_it_names_are_read_from_it(tmp_path: Path) -> None:
    write_env_file(tmp_path / ".env", rate=KEY_RATE)
    settings = Settings(_env_file=tmp_path / ".env")
    values = dotenv_values(tmp_path / ".env")
    assert settings.api_keys == (values["API_KEYS"],)
    assert settings.link_secret is not None
    assert settings.link_secret.get_secret_value() == values["LINK_SECRET"]


def test_a_second_run_changes_nothing_but_a_mode_that_is_too_wide(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    write_env_file(path, rate=KEY_RATE)
    before = path.read_bytes()
    path.chmod(0o644)
    written = write_env_file(path, rate=KEY_RATE)
    assert (written.added, written.kept, written.key) == ((), ALL, None)
    assert path.read_bytes() == before
    assert mode(path) == 0o600


def test_what_stands_there_stays_word_for_word_and_only_the_rest_is_added(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    own = "\n# mine\nexport VALKEY_PASSWORD='p$w: #1'\n\nGRAFANA_PASSWORD=\n# LINK_SECRET=\nPORT=9000"
    path.write_text(own)
    written = write_env_file(path, rate=KEY_RATE)
    assert path.read_text().startswith(own + "\n")
    assert written.kept == ("VALKEY_PASSWORD",)
    values = dotenv_values(path)
    assert (values["VALKEY_PASSWORD"], values["PORT"]) == ("p$w: #1", "9000")
    assert all(values[name] for name in ALL)


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / ".env").symlink_to(tmp_path / "kept/secrets.env")
    write_env_file(tmp_path / ".env", rate=KEY_RATE)
    assert (tmp_path / ".env").is_symlink()
    assert mode(tmp_path / "kept/secrets.env") == 0o600


@pytest.mark.parametrize("content", [b"X=\xff\xfe", None], ids=["no text", "a folder"])
def test_what_cannot_be_read_is_left_alone_and_said(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / ".env"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"\.env: "):
        write_env_file(path, rate=KEY_RATE)
    assert content is None or path.read_bytes() == content


def test_the_command_says_names_and_the_key_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / ".env"
    assert main(["env-file", "--path", str(path)]) == 0
    said = capsys.readouterr().out
    assert said.count("rag_") == 1
    values = dotenv_values(path)
    for name in ALL:
        assert name in said
        assert (values[name] or "-") not in said
    assert main(["env-file", "--path", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: added nothing; kept {', '.join(ALL)}\n"


def test_it_writes_where_it_is_called_and_env_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two commands of one beginning: neither stands for the other."""
    monkeypatch.chdir(tmp_path)
    assert main(["env"]) == 2  # no service runs
    assert not (tmp_path / ".env").exists()
    assert main(["env-file"]) == 0
    assert len(dotenv_values(tmp_path / ".env")) == len(ALL)
