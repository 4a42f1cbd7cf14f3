"""The embedding model, behind LangChain's `Embeddings`."""

from abc import abstractmethod

import orjson
from langchain_core.embeddings import Embeddings
from pydantic import SecretStr

from app.core.providers import provider_of
from app.core.settings import Settings
from worker.http.wire import pieces

BATCH_SIZE = 128
"""Texts in one request; providers take up to 2,048, local servers much less."""

NO_KEY = SecretStr("none")
"""Servers without keys still get an Authorization header from OpenAI's client, which insists on one."""


class ClosableEmbeddings(Embeddings):
    """LangChain's interface, and an end to it."""

    @abstractmethod
    def close(self) -> None:
        """Close the connections; no call may be in flight."""


def open_embeddings(settings: Settings) -> ClosableEmbeddings | None:
    """The client of EMBEDDING_MODEL, or None when retrieval is BM25 alone. Opens no connection.

    Ours for OpenAI's protocol, LangChain's for every other provider. Raises `ConfigurationError` when the provider's
    package is not installed, or does not start as it is configured.
    """
    model = settings.embedding_model
    if not model:
        return None
    if provider := provider_of(model, "embeddings"):
        from worker.model.langchain_embeddings import LangchainEmbeddings  # takes a second, and few need it

        return LangchainEmbeddings(settings, model, provider)
    return ProviderEmbeddings(settings, model)


class ProviderEmbeddings(ClosableEmbeddings):
    """Any server that speaks OpenAI's protocol. Its methods raise `ServiceError` with one of the model's codes.

    Chunks are embedded by LangChain's client, which tries again. A question is one lean call that is tried once: its
    job goes back to the queue instead.
    """

    def __init__(self, settings: Settings, model: str) -> None:
        # Imported here: it takes half a second that a worker without a model need not spend.
        from langchain_openai import OpenAIEmbeddings

        from worker.model.http_clients import http_clients
        from worker.model.openai_wire import OpenAiWire

        url = settings.embedding_base_url or settings.openai_base_url
        clients = http_clients(url)
        self._client = clients["http_client"]
        self._model = OpenAIEmbeddings(
            model=model,
            openai_api_base=url,
            openai_api_key=settings.openai_api_key or NO_KEY,
            request_timeout=settings.model_timeout_seconds,
            max_retries=2,
            chunk_size=BATCH_SIZE,
            # Else it downloads a tokenizer's table at run time and sends token ids, which compatible servers refuse.
            check_embedding_ctx_length=False,
            **clients,
        )
        self._wire = OpenAiWire(self._model.client._client, timeout_seconds=settings.model_timeout_seconds)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
        self._wire.close()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """A vector for each text, in order."""
        from worker.model.openai_wire import classified

        with classified():
            return self._model.embed_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        """The vector of a question."""
        from worker.model.openai_wire import classified

        with classified(), self._wire.post("/embeddings", {**self._model._invocation_params, "input": [text]}) as got:
            [found] = orjson.loads(b"".join(pieces(got)))["data"]
            return [float(number) for number in found["embedding"]]
