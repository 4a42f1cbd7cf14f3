"""What a client said of a response that no job needs, kept beside the job: model, metadata, what it continues."""

from pydantic import ConfigDict, Field, ValidationError, field_validator
from redis.asyncio import Redis

from app.core.contract import INSTRUCTIONS_MAX_CHARACTERS, TURNS_READ, Label
from app.core.models import QuietModel
from app.core.queue.producer import note_key
from app.core.settings import Settings
from app.routes.openai.questions import MODEL
from app.routes.openai.schemas import is_metadata


class ResponseNote(QuietModel):
    """What is kept of one response. A job that was asked for elsewhere has none, and these defaults."""

    model_config = ConfigDict(frozen=True)

    model: str = Field(MODEL, max_length=256)
    background: bool = False
    metadata: dict[str, str] = Field({})
    chain: tuple[Label, ...] = Field((), max_length=TURNS_READ)
    """The jobs of the responses that it continues, the oldest first: the last is the previous one."""
    conversation: Label | None = None
    instructions: str | None = Field(None, max_length=INSTRUCTIONS_MAX_CHARACTERS)
    is_stored: bool = True
    """Else nobody comes back to it."""

    @field_validator("metadata")
    @classmethod
    def _is_small(cls, metadata: dict[str, str]) -> dict[str, str]:
        if not is_metadata(metadata):
            raise ValueError("is too large")
        return metadata


class ResponseNotes:
    """The notes in Valkey, which live as long as a job may. Methods raise `VALKEY_UNAVAILABLE`."""

    def __init__(self, valkey: Redis, settings: Settings) -> None:
        self._valkey = valkey
        self._keep_seconds = settings.result_ttl_seconds + settings.failure_ttl_seconds

    async def put(self, job_id: str, note: ResponseNote) -> None:
        """Keep the note, unless it says nothing."""
        if note != ResponseNote():
            await self._valkey.set(note_key(job_id), note.model_dump_json(), ex=self._keep_seconds)

    async def get(self, job_id: str) -> ResponseNote:
        """The job's note. What is read is checked, and no note when it is none of ours."""
        kept = await self._valkey.get(note_key(job_id))
        try:
            return ResponseNote.model_validate_json(kept) if kept is not None else ResponseNote()
        except ValidationError:
            return ResponseNote()

    async def delete(self, job_id: str) -> None:
        """Forget the note."""
        await self._valkey.delete(note_key(job_id))
