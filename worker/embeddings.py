"""The embedding model, behind LangChain's `Embeddings`."""

from langchain_core.embeddings import Embeddings
from pydantic import SecretStr

from app.core.settings import Settings

BATCH_SIZE = 128
"""Texts in one request; providers take up to 2,048, local servers much less."""

NO_KEY = SecretStr("none")
"""Servers without keys still get an Authorization header from OpenAI's client, which insists on one."""


def open_embeddings(settings: Settings) -> Embeddings | None:
    """The configured embedding model, or None when retrieval is BM25 alone. Opens no connection."""
    return ProviderEmbeddings(settings, settings.embedding_model) if settings.embedding_model else None


class ProviderEmbeddings(Embeddings):
    """Any server that speaks OpenAI's protocol. Its methods raise `ServiceError` with one of the model's codes."""

    def __init__(self, settings: Settings, model: str) -> None:
        # Imported here: it takes half a second that a worker without a model need not spend.
        import httpx2
        from langchain_openai import OpenAIEmbeddings

        self._client = httpx2.Client(timeout=settings.model_timeout_seconds)
        self._model = OpenAIEmbeddings(
            model=model,
            openai_api_base=settings.embedding_base_url or settings.openai_base_url,
            openai_api_key=settings.openai_api_key or NO_KEY,
            request_timeout=settings.model_timeout_seconds,
            http_client=self._client,
            max_retries=2,
            chunk_size=BATCH_SIZE,
            # Else it downloads a tokenizer's table at run time and sends token ids, which compatible servers refuse.
            check_embedding_ctx_length=False,
        )

    def close(self) -> None:
        """Close the pool's connections."""
        self._client.close()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """A vector for each text, in order."""
        from worker.provider_errors import PROVIDER_ERRORS, service_error

        try:
            return self._model.embed_documents(texts)
        except PROVIDER_ERRORS as error:
            raise service_error(error) from error

    def embed_query(self, text: str) -> list[float]:
        """The vector of a question."""
        return self.embed_documents([text])[0]
