"""The clients, one table."""

from tests.acceptance.clients import (
    browser,
    langchain_chat,
    litellm_sdk,
    open_webui,
    openai_go,
    openai_node,
    openai_python,
)
from tests.acceptance.clients.client import CHAT, Client

CLIENTS = (
    Client("openai-python", openai_python.run, openai_python.FAILURES),
    Client("openai-python-async", openai_python.run_async, openai_python.FAILURES),
    Client("openai-node", openai_node.run, openai_python.FAILURES, missing=openai_node.missing),
    Client("openai-in-a-page", browser.run, openai_python.FAILURES, missing=browser.missing),
    Client("openai-go", openai_go.run, openai_go.FAILURES, missing=openai_go.missing),
    Client(
        "langchain",
        langchain_chat.run,
        langchain_chat.FAILURES,
        ways=langchain_chat.WAYS,
        lacks=langchain_chat.LACKS,
        without_links=langchain_chat.WITHOUT_LINKS,
    ),
    Client("open-webui", open_webui.run, open_webui.FAILURES, ways=CHAT, lacks=open_webui.LACKS),
    Client("litellm", litellm_sdk.run, litellm_sdk.FAILURES, missing=litellm_sdk.missing),
)
