"""OpenAI's protocol over the same queue, in the shapes of the official SDK's types.

`/v1/models`, `/v1/chat/completions`, `/v1/embeddings`, and `/v1/responses` with background, cancel and streams that
resume, `/v1/conversations`, `/v1/files` and `/v1/batches`. What of a request is ignored and what is refused stands in
`schemas`.
"""

from fastapi import APIRouter

from app.routes.openai import batches, chat, conversations, embeddings, files, models, responses
from app.routes.openai.addresses import install
from app.routes.openai.files import FORM as FILE_FORM

__all__ = ["FILES_PATH", "FILE_FORM", "HISTORY_BYTES_MAX", "HISTORY_PATHS", "install", "router"]

HISTORY_PATHS = ("/v1/chat/completions", "/v1/responses")
HISTORY_BYTES_MAX = 4 * 2**20
"""Chat clients send all that was said before with each question."""

FILES_PATH = "/v1/files"

router = APIRouter()
for routes in (models, chat, responses, conversations, embeddings, files, batches):
    router.routes.extend(routes.router.routes)
