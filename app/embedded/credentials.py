"""What opens the embedded Valkey and Qdrant: made at the first start, kept in DATA_DIR for this user alone.

Loopback lets in every user of the machine, so that it is not enough. They stay the same from start to start: a shell
that has evaluated `python -m app env` goes on working.
"""

import secrets
import stat
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.core.private_files import OTHERS, write_private

SECRET_BYTES = 32
SECRET = Field(pattern=f"^[0-9a-f]{{{2 * SECRET_BYTES}}}$", repr=False)
"""In hexadecimal digits: the password stands in a URL, and both in what a shell evaluates."""


class Credentials(BaseModel):
    """Valkey's password and Qdrant's key."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    valkey_password: str = SECRET
    qdrant_api_key: str = SECRET

    @classmethod
    def new(cls) -> Self:
        """Random ones."""
        return cls(valkey_password=secrets.token_hex(SECRET_BYTES), qdrant_api_key=secrets.token_hex(SECRET_BYTES))


def credentials_file(data_dir: Path) -> Path:
    """The file that keeps them."""
    return data_dir / "credentials.json"


def credentials(data_dir: Path) -> Credentials:
    """Those of `data_dir`, which the caller holds the lock of; made anew when others could read them."""
    file = credentials_file(data_dir)
    try:
        if not stat.S_IMODE(file.lstat().st_mode) & OTHERS:  # a link's mode has all bits
            return Credentials.model_validate_json(file.read_bytes())
    except (FileNotFoundError, ValidationError):
        pass
    made = Credentials.new()
    write_private(file, made.model_dump_json())
    return made
