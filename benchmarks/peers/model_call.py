"""The one thing that every peer does: ask the model through LangChain's `ChatOpenAI`.

`BENCH_PROMPT` is a file with the conversation that our worker sends; OPENAI_BASE_URL and CHAT_MODEL are the model's.
"""

import json
import os
from functools import lru_cache
from pathlib import Path
from threading import Lock

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI

TIMEOUT_SECONDS = 60


_lock = Lock()


def model() -> ChatOpenAI:
    """The process's client: one for all threads, made by the first that asks."""
    with _lock:
        return _model()


@lru_cache
def _model() -> ChatOpenAI:
    return ChatOpenAI(
        model=os.environ["CHAT_MODEL"],
        base_url=os.environ["OPENAI_BASE_URL"],
        api_key="none",
        timeout=TIMEOUT_SECONDS,
        max_retries=0,
    )


@lru_cache
def _prompt() -> tuple[str, str]:
    system, question = json.loads(Path(os.environ["BENCH_PROMPT"]).read_text())
    return system, question


def prompt() -> list[BaseMessage]:
    """The conversation, its messages made anew as our worker makes them."""
    system, question = _prompt()
    return [SystemMessage(system), HumanMessage(question)]


def ask() -> str:
    """One call."""
    return str(model().invoke(prompt()).text)


async def ask_async() -> str:
    """One call, for an event loop."""
    return str((await model().ainvoke(prompt())).text)
