"""LangChain's `ChatOpenAI` by either of OpenAI's protocols, and `OpenAIEmbeddings`."""

from importlib.metadata import version
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import SecretStr

from tests.acceptance.clients.openai_python import failure_of
from tests.acceptance.clients.report import Answer, Failure, Link, Report, Target

LACKS = {
    "models_are_listed": "it asks for no list of models",
    "a_response_in_the_background_is_polled_until_it_is_there": "it retrieves no response",
    "a_running_response_is_cancelled": "it cancels none",
    "the_input_items_are_the_question": "it asks for none",
}
FAILURES = {
    "unknown model": Failure(type="OpenAIModelNotFoundError", status=404, code="model_not_found"),
    "wrong key": Failure(type="OpenAIAuthenticationError", status=401, code="invalid_api_key"),
}
WAYS = ("chat", "chat stream", "response", "response stream")
WITHOUT_LINKS = frozenset({"chat", "chat stream"})
"""LangChain keeps no annotation of a chat completion; their marks stand in the text."""


def run(target: Target) -> Report:
    """Everything that it can ask."""
    chat, responses = _model(target), _model(target, responses=True)
    embeddings = OpenAIEmbeddings(
        openai_api_base=target.base_url,
        openai_api_key=SecretStr(target.key),
        model=target.embedding_model,
        max_retries=0,
        check_embedding_ctx_length=False,  # else it sends tokens
    )
    return Report(
        version=version("langchain-openai"),
        models=None,
        answers={
            "chat": Answer(text=chat.invoke(target.question).text, links=None),
            "chat stream": Answer(text=_joined(chat, target.question).text, links=None),
            "response": _answer(responses.invoke(target.question)),
            "response stream": _answer(_joined(responses, target.question)),
        },
        failures={
            "unknown model": failure_of(lambda: _model(target, model=target.unknown_model).invoke("?")),
            "wrong key": failure_of(lambda: _model(target, key=target.wrong_key, responses=True).invoke("?")),
        },
        background=None,
        cancelled=None,
        input_items=None,
        embeddings=embeddings.embed_documents(list(target.texts)),
    )


def _model(target: Target, *, model: str = "", key: str = "", responses: bool = False) -> ChatOpenAI:
    return ChatOpenAI(
        base_url=target.base_url, api_key=SecretStr(key or target.key), model=model or target.model, max_retries=0,
        use_responses_api=responses,
    )  # fmt: skip


def _joined(model: ChatOpenAI, question: str) -> AIMessageChunk:
    """A stream's chunks, added up as LangChain adds them."""
    first, *rest = [chunk for chunk in model.stream(question) if isinstance(chunk, AIMessageChunk)]
    return sum(rest, first)


def _answer(message: AIMessage) -> Answer:
    blocks = [block for block in message.content_blocks if block["type"] == "text"]
    cited = [each for block in blocks for each in block.get("annotations", []) if each["type"] == "citation"]
    return Answer(text=message.text, links=[_link(each) for each in cited])


def _link(citation: Any) -> Link:
    return Link(
        url=citation["url"], title=citation["title"], start=citation["start_index"], end=citation["end_index"]
    )
