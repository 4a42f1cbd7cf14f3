"""What LiteLLM sees of the service: a target as JSON on stdin, a report as JSON on stdout.

It runs in a Python of its own, as LiteLLM wants other versions than this project; of the project it imports nothing.
"""

import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import litellm  # type: ignore[import-not-found]  # see above

Json = dict[str, Any]
ENDED = ("completed", "failed", "cancelled", "incomplete")


def main() -> None:
    """Everything that LiteLLM can ask."""
    litellm.suppress_debug_info = True  # else it prints to stdout
    asked = json.load(sys.stdin)
    json.dump(see(asked, {"api_base": asked["base_url"], "api_key": asked["key"], "max_retries": 0}), sys.stdout)


def see(asked: Json, service: Json) -> Json:
    """The report."""
    model, messages = f"openai/{asked['model']}", [{"role": "user", "content": asked["question"]}]
    chat = litellm.completion(model=model, messages=messages, **service).choices[0].message
    response = litellm.responses(model=model, input=asked["question"], **service)
    background, states = in_background(model, asked, service)
    embedded = litellm.embedding(
        model=f"openai/{asked['embedding_model']}", input=asked["texts"], encoding_format="float", **service
    )
    items = litellm.list_input_items(background.id, **service)
    names = litellm.get_valid_models(
        check_provider_endpoint=True, custom_llm_provider="openai", api_base=asked["base_url"], api_key=asked["key"]
    )
    return {
        "version": version("litellm"),
        "models": names,
        "answers": {
            "chat": chat_answer(chat.content, chat.annotations),
            "chat stream": chat_stream(model, messages, service),
            "response": response_answer(response),
            "response stream": response_stream(model, asked["question"], service),
            "background": response_answer(background),
        },
        "failures": {
            "unknown model": failure(
                lambda: litellm.completion(model=f"openai/{asked['unknown_model']}", messages=messages, **service)
            ),
            "wrong key": failure(
                lambda: litellm.responses(model=model, input="?", **service | {"api_key": asked["wrong_key"]})
            ),
        },
        "background": states,
        "cancelled": cancelled(model, asked, service),
        "input_items": [part["text"] for item in items["data"] for part in item["content"]],
        "embeddings": [each["embedding"] for each in embedded.data],
    }


def link(cited: Json) -> Json:
    return {
        "url": cited["url"], "title": cited["title"], "start": cited["start_index"], "end": cited["end_index"],
    }  # fmt: skip


def plain(given: Any) -> Json:
    return given if isinstance(given, dict) else given.model_dump()


def chat_answer(text: str, annotations: Any) -> Json:
    return {"text": text, "links": [link(plain(each)["url_citation"]) for each in annotations or ()]}


def chat_stream(model: str, messages: Any, service: Json) -> Json:
    text = ""
    annotations: list[Any] = []
    for chunk in litellm.completion(model=model, messages=messages, stream=True, **service):
        for choice in chunk.choices:
            text += choice.delta.content or ""
            annotations += getattr(choice.delta, "annotations", None) or []
    return chat_answer(text, annotations)


def response_answer(response: Any) -> Json:
    content = plain(plain(response.output[0])["content"][0])
    return {"text": content["text"], "links": [link(plain(each)) for each in content["annotations"]]}


def response_stream(model: str, question: str, service: Json) -> Json:
    text, links = "", []
    for event in litellm.responses(model=model, input=question, stream=True, **service):
        if event.type == "response.output_text.delta":
            text += event.delta
        elif event.type == "response.output_text.annotation.added":
            links.append(link(plain(event.annotation)))
    return {"text": text, "links": links}


def in_background(model: str, asked: Json, service: Json) -> tuple[Any, list[str]]:
    response = litellm.responses(model=model, input=asked["question"], background=True, **service)
    states = [response.status]
    while response.status not in ENDED:
        response = litellm.get_responses(response.id, **service)
        states.append(response.status)
    return response, list(dict.fromkeys(states))


def cancelled(model: str, asked: Json, service: Json) -> str:
    response = litellm.responses(model=model, input=asked["held_question"], background=True, **service)
    while response.status == "queued":
        response = litellm.get_responses(response.id, **service)
    return str(litellm.cancel_responses(response.id, **service).status)


def failure(ask: Callable[[], object]) -> Json:
    try:
        ask()
    except (litellm.NotFoundError, litellm.AuthenticationError) as error:
        return {"type": type(error).__name__, "status": error.status_code, "code": error.code}
    raise AssertionError("there was no error")


if __name__ == "__main__":
    main()
