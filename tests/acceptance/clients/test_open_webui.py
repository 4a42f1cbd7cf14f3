"""Requests of Open WebUI beside a plain question, one table: what each has of its own, and what must come back.

Titles, tags, follow-ups and search terms are asked of the chat's own model unless the operator names another. They
come as questions, and are done by the model without the documents.
"""

from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from tests.acceptance.clients import library
from tests.acceptance.clients.open_webui import asking, backend, read_stream, read_whole, send
from tests.acceptance.clients.report import Target

CHAT = "USER: Where is the anchor?\nASSISTANT: It is kept by the warden. [1]\n"


def task(words: str, **more: Any) -> dict[str, Any]:
    """A task's request: one message with an instruction and the chat, never streamed."""
    content = (
        f"### Task:\n{words}\n\n### Output:\nJSON format\n\n### Chat History:\n<chat_history>\n{CHAT}</chat_history>"
    )
    return {"stream": False, "messages": [{"role": "user", "content": content}], **more}


TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "When does the tide turn?"},
    {"role": "assistant", "content": "The tide turns twice a day. [1]"},
    {"role": "user", "content": library.QUESTION},
]
TOOL = {"type": "function", "function": {"name": "search_web", "parameters": {"type": "object", "properties": {}}}}
LEAKED: Mapping[str, Any] = {
    "session_id": "Vd0PJ0", "chat_id": "3a0c7c0c", "id": "d1", "features": {"web_search": False, "memory": False},
    "variables": {"{{USER_NAME}}": "J"}, "background_tasks": {"title_generation": True}, "tool_ids": [],
    "files": None, "model_item": {"id": "rag-queue", "owned_by": "openai", "urlIdx": 0}, "params": {},
    "user": {"name": "J", "id": "1"},
}  # fmt: skip
"""What its page sends to its backend; versions differ in what of it they pass on."""
EMOJI = "Your task is to reflect the speaker's likely facial expression through an emoji.\n\nMessage: ```😀```"
FILES = (
    "### Task:\nRespond to the user query using the provided context.\n\n"
    f'<context>\n<source id="1" name="own.txt">{"word " * 2_000}</source>\n</context>\n\n{library.QUESTION}'
)
CACHED_PART = {"type": "text", "text": library.QUESTION, "cache_control": {"type": "ephemeral"}}


def is_the_answer(response: httpx.Response) -> None:
    answer, usage = read_stream(response)
    assert answer.links
    assert all(quote in answer.text for _, _, quote in library.QUOTES)
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0


def is_done(response: httpx.Response) -> None:
    """By the model alone: nothing is cited. It takes what stands between the first and the last brace of the text."""
    answer = read_whole(response)
    assert answer.text.strip()
    assert not answer.links
    assert not any(quote in answer.text for _, _, quote in library.QUOTES)


def is_refused(response: httpx.Response) -> None:
    """With words that it shows."""
    assert response.status_code == 400
    assert response.json()["error"]["message"]


REQUESTS: Mapping[str, tuple[Mapping[str, Any], Callable[[httpx.Response], None]]] = {
    "files of its own before the question": ({"messages": [{"role": "user", "content": FILES}]}, is_the_answer),
    "a chat that goes on": ({"messages": TURNS}, is_the_answer),
    "parts, marked for a cache": ({"messages": [{"role": "user", "content": [CACHED_PART]}]}, is_the_answer),
    "tools that need not be called": ({"tools": [TOOL], "tool_choice": "auto"}, is_the_answer),
    "its page's own fields": (LEAKED, is_the_answer),
    "reasoning asked for": ({"reasoning_effort": "low", "verbosity": "low"}, is_the_answer),
    "an empty response_format": ({"response_format": {"type": "text"}}, is_the_answer),
    "a title": (task("Give this chat a title of three to five words.", max_completion_tokens=1000), is_done),
    "tags": (task("Give one to three tags for the chat's themes."), is_done),
    "follow-ups": (task("Suggest three to five questions that the user may ask next."), is_done),
    "search terms": (task("Say whether a search is needed, and for what."), is_done),
    "an emoji": ({"stream": False, "messages": [{"role": "user", "content": EMOJI}], "max_tokens": 4}, is_done),
    "an autocompletion": (task("Complete the text: The anchor is", temperature=0), is_done),
    "a title of a chat that is too long": (task("A title. " + "word " * 10_000), is_done),
    "an image": (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]},
        is_refused,
    ),
}


@pytest.mark.parametrize(("own", "comes_back"), REQUESTS.values(), ids=REQUESTS)
def test_a_request_of_open_webui_gets_what_it_can_use(
    target: Target, own: Mapping[str, Any], comes_back: Callable[[httpx.Response], None]
) -> None:
    with backend(target) as client:
        comes_back(send(client, asking(target, target.question, **own)))


def test_its_page_opens_the_page_of_the_quote_for_each_number(target: Target) -> None:
    """The page that a reader meets behind [n] is the n-th address that was not there before."""
    with backend(target) as client:
        answer, _ = read_stream(send(client, asking(target, target.question)))
    assert answer.links is not None
    shown = list(dict.fromkeys(link.url for link in answer.links))
    for number, url in enumerate(shown, start=1):
        before = answer.text.partition(f" [{number}]")[0]
        [page] = [page for _, page, quote in library.QUOTES if before.endswith(quote)]
        assert url.endswith(f"#page={page}")
