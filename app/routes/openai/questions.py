"""From what a client of OpenAI's protocol sends to a question over a collection."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from app.core.contract import DEFAULT_COLLECTION, QUERY_MAX_CHARACTERS, TURNS_READ, EarlierTurn, Label
from app.core.models import HIDDEN
from app.routes.openai.client_tasks import question_in, task_of
from app.routes.openai.errors import OpenAIError, unsupported
from app.routes.openai.schemas import ChatCompletionRequest, Format, Message, ResponseRequest, is_unicode
from app.routes.openai.turns import instructions_in, turns_in

MODEL = "rag-queue"

_LABEL: TypeAdapter[str] = TypeAdapter(Label, config=HIDDEN)
_TEXT_PARTS = ("text", "input_text")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for: a question of the user's, or a task of the client's own."""

    text: str
    is_task: bool = False
    turns: tuple[EarlierTurn, ...] = ()
    instructions: str | None = None
    session_id: str | None = None
    is_stored: bool = True

    def after(self, earlier: tuple[EarlierTurn, ...]) -> "Asked":
        """The same, asked after `earlier` turns as well."""
        return replace(self, turns=(*earlier, *self.turns)[-TURNS_READ:])


def model_of(collection: str) -> str:
    """The model that answers from `collection`."""
    return MODEL if collection == DEFAULT_COLLECTION else f"{MODEL}:{collection}"


def collection_of(model: str) -> str:
    """The collection that `model` answers from. Raises `OpenAIError` (404) for the name of no model of ours."""
    name, _, collection = model.partition(":")
    try:
        if name == MODEL:
            return _LABEL.validate_python(collection) if collection else DEFAULT_COLLECTION
    except ValidationError:
        pass
    raise no_such_model()


def no_such_model() -> OpenAIError:
    """The name is no model's, or that of a collection which has no document."""
    message = (
        f"There is no such model. GET /v1/models lists them: {MODEL}, and {MODEL}:COLLECTION for a collection that "
        "has documents."
    )
    return OpenAIError(404, message, param="model", code="model_not_found")


def asked_by_chat(request: ChatCompletionRequest, task_header: str | None) -> Asked:
    """What a chat completion asks. Raises `OpenAIError` (400) for what this service can't do."""
    if request.n not in (None, 1):
        raise unsupported("n", "n must be 1.")
    if request.logprobs:
        raise unsupported("logprobs", "There are no log probabilities.")
    if any(modality != "text" for modality in request.modalities or ()):
        raise unsupported("modalities", "Answers are text.")
    _check_choice("tool_choice", request.tool_choice)
    _check_choice("function_call", request.function_call)
    _check_format("response_format", request.response_format)
    return _asked("messages", request.messages, task_header)


def asked_by_response(request: ResponseRequest, task_header: str | None) -> Asked:
    """What a response asks. Raises `OpenAIError` (400) for what this service can't do."""
    if request.prompt is not None:
        raise unsupported("prompt", "prompt is not supported: send the question itself.")
    if request.conversation is not None and request.previous_response_id is not None:
        message = "A response continues a conversation or another response, not both."
        raise OpenAIError(400, message, param="previous_response_id", code="mutually_exclusive_parameters")
    if request.background and request.store is False:
        raise unsupported("store", "A background response is stored, to be retrieved: store must not be false.")
    _check_choice("tool_choice", request.tool_choice)
    _check_format("text", request.text.format if request.text else None)
    if isinstance(request.input, str):
        task = task_of([("user", request.input)], task_header)
        return _task("input", task) if task else _told(request, Asked(_checked("input", question_in(request.input))))
    return _told(request, _asked("input", request.input, task_header))


def _told(request: ResponseRequest, asked: Asked) -> Asked:
    """The same, with the request's own instructions before those that its input has."""
    if asked.is_task or request.instructions is None:
        return asked
    more = [("system", asked.instructions)] if asked.instructions else []
    return replace(asked, instructions=instructions_in(more, request.instructions))


def _check_choice(param: str, choice: str | dict[str, Any] | None) -> None:
    if choice not in (None, "none", "auto"):
        raise unsupported(param, "No tools are called: only none and auto are supported.")


def _check_format(param: str, form: Format | None) -> None:
    if form is not None and form.type != "text":
        raise unsupported(param, "Answers are text: no other format is supported.")


def _asked(param: str, messages: Sequence[Message], task_header: str | None) -> Asked:
    said = [(message.role or "", _words(message)) for message in messages if message.type == "message"]
    task = task_of([each for each in said if each[1].strip()], task_header)
    if task:
        return _task(param, task)
    last, question = _last_question(param, messages)
    earlier = [message for message in messages[:last] if message.type == "message"]
    turns = turns_in((message.role or "", _words(message)) for message in earlier)
    return Asked(question, turns=turns, instructions=instructions_in(said))


def _words(message: Message) -> str:
    """The text of a message, whatever else it has."""
    if message.content is None or isinstance(message.content, str):
        return message.content or ""
    return "\n".join(part.text for part in message.content if part.text)


def _task(param: str, task: str) -> Asked:
    if not is_unicode(task):
        raise _not_unicode(param)
    return Asked(task, is_task=True)


def _not_unicode(param: str) -> OpenAIError:
    return OpenAIError(400, "The question is not Unicode.", param=param, code="invalid_value")


def _last_question(param: str, messages: Sequence[Message]) -> tuple[int, str]:
    """Where it stands, and what it is."""
    for index in reversed(range(len(messages))):
        message = messages[index]
        if message.type == "message" and message.role == "user":
            where = f"{param}[{index}].content"
            return index, _checked(where, question_in(_text(where, message)))
    raise OpenAIError(400, "There is no message of the user's.", param=param, code="invalid_value")


def _text(param: str, message: Message) -> str:
    if message.content is None or isinstance(message.content, str):
        return message.content or ""
    for index, part in enumerate(message.content):
        if part.type not in _TEXT_PARTS:
            raise unsupported(f"{param}[{index}]", "Only text can be asked about: no images, audio or files.")
    return "\n".join(part.text or "" for part in message.content)


def _checked(param: str, question: str) -> str:
    question = question.strip()
    if not question:
        raise OpenAIError(400, "The question is empty.", param=param, code="invalid_value")
    if not is_unicode(question):
        raise _not_unicode(param)
    if len(question) > QUERY_MAX_CHARACTERS:
        message = f"A question has {QUERY_MAX_CHARACTERS:,} characters at most."
        raise OpenAIError(400, message, param=param, code="string_above_max_length")
    return question
