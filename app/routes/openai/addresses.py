"""Addresses below /v1 that no route has: errors there have OpenAI's shape too, and say what serves instead.

Whoever shows no key is told that first, as on every route: not even which addresses there are.
"""

from dataclasses import replace

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from app import problems
from app.auth.dependencies import ASKER
from app.problems.table import UNEXPECTED
from app.routes.openai.errors import OpenAIError, answered, translated

PREFIX = "/v1"
SERVED = (
    "Served are POST /v1/chat/completions, /v1/responses, /v1/conversations, /v1/embeddings, /v1/files, /v1/batches "
    "and GET /v1/models; /docs describes them and the service's own addresses."
)
NOT_SERVED = {
    "/v1/completions": "Legacy completions are not served: send the prompt to POST /v1/chat/completions.",
    "/v1/engines": "Engines are not served: GET /v1/models lists the models.",
    "/v1/edits": "Edits are not served: ask with POST /v1/chat/completions.",
    "/v1/chat/completions": "Completions are not stored: POST /v1/responses makes answers that can be retrieved.",
    "/v1/responses/input_tokens": "Tokens are not counted before they are used: a response's `usage` has them.",
    "/v1/responses/compact": "Conversations are not compacted: the last six turns are read.",
    "/v1/assistants": "Assistants are not served: ask with POST /v1/responses.",
    "/v1/threads": "Threads are not served: ask with POST /v1/responses.",
    "/v1/conversations": "A conversation is kept by its questions: ask with POST /v1/responses and `conversation`.",
    "/v1/files": "Files here are those of batches: POST /documents uploads documents, GET /documents lists them.",
    "/v1/uploads": "Uploads are not served here: POST /documents takes whole files.",
    "/v1/vector_stores": "Vector stores are not served: POST /documents puts files into a collection, which is asked "
    "as the model rag-queue:COLLECTION; POST /search searches it.",
    "/v1/batches": "A batch is made by POST /v1/batches and ended by POST /v1/batches/{batch_id}/cancel.",
    "/v1/audio": "Audio is not served: questions and answers are text.",
    "/v1/realtime": "Realtime sessions are not served: a response streams with `stream`.",
    "/v1/images": "Images are not served: questions and answers are text.",
    "/v1/videos": "Videos are not served: questions and answers are text.",
    "/v1/moderations": "Moderations are not served.",
    "/v1/fine_tuning": "Fine-tuning is not served.",
    "/v1/fine-tunes": "Fine-tuning is not served.",
    "/v1/evals": "Evals are not served.",
    "/v1/containers": "Containers are not served: no code is run.",
    "/v1/chatkit": "ChatKit is not served.",
    "/v1/skills": "Skills are not served.",
    "/v1/organization": "An organization is not administered here: keys are the operator's API_KEYS.",
    "/v1/projects": "Projects are not administered here: keys are the operator's API_KEYS.",
}
"""What OpenAI's API has and this service has not, by the beginning of its addresses."""


def install(app: FastAPI) -> None:
    """Answer every error of `app`: below /v1 in OpenAI's shape, elsewhere with a problem document."""
    problems.install(app, respond)


async def respond(request: Request, error: Exception) -> Response:
    """The handler of what no route has answered, an unexpected error included."""
    if not is_below(_path(request)):
        return await problems.respond(request, error)
    if isinstance(error, HTTPException) and error.status_code in (404, 405):
        error = await _refusal(request) or error
    problem = problems.problem_of(request, error) or UNEXPECTED.details(request, error)
    advice = _advice(_path(request))
    if problem.status == 404 and isinstance(error, HTTPException):
        message = advice or f"There is nothing at this address. {SERVED}"
        return answered(OpenAIError(404, message, code="unknown_url"))
    if problem.status == 405 and advice:  # another method of it serves, or a parameter of the path has met a name
        problem = replace(problem, detail=f"{problem.detail} {advice}")
    return answered(translated(problem, error))


def is_below(path: str) -> bool:
    """Whether `path` is /v1 or below it."""
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def _path(request: Request) -> str:
    """As routes have it, without what the service is mounted at."""
    return str(request.scope["path"]).removeprefix(request.scope.get("root_path", ""))


async def _refusal(request: Request) -> Exception | None:
    """Why the sender is not let in, if so."""
    try:
        await ASKER.admit(request)
    except Exception as error:  # answered in place of the one that led here
        return error
    return None


def _advice(path: str) -> str:
    """What serves instead of `path`, if that is known. Of the path itself nothing is repeated."""
    known = (advice for prefix, advice in NOT_SERVED.items() if path == prefix or path.startswith(f"{prefix}/"))
    return next(known, "")
