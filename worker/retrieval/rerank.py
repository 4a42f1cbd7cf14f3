"""Hits read again beside the question by a cross-encoder, behind one function."""

from collections.abc import Callable, Sequence

import orjson

from app.core.errors import ErrorCode
from app.core.logging import get_logger
from app.core.settings import Settings
from worker.http.wire import CallFailedError, CallTimeoutError, Wire, pieces
from worker.runtime.measures import Asked, Call, measures
from worker.runtime.model_names import RERANK_PROVIDER, ModelName

Rerank = Callable[[str, Sequence[str]], list[float] | None]
"""From a question and texts to a score for each, higher for better; None when there are none to be had."""

log = get_logger(__name__)


class EndpointReranker:
    """A `/rerank` endpoint as Cohere, Jina, vLLM and others have it. Safe to share between threads.

    When it fails, the order that the search gave stands: a little worse, and there.
    """

    def __init__(self, settings: Settings) -> None:
        assert settings.rerank_url is not None
        key = settings.rerank_api_key
        headers = {"Content-Type": "application/json"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key.get_secret_value()}"
        self._model = settings.rerank_model
        name = self._model or ""
        self._asked = Asked("rerank", ModelName(RERANK_PROVIDER, name, name))
        self._wire = Wire(settings.rerank_url, headers, timeout_seconds=settings.model_timeout_seconds)

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()

    def __call__(self, question: str, texts: Sequence[str]) -> list[float] | None:
        """As `Rerank`."""
        with measures().model_call(self._asked) as call:
            return self._called(question, texts, call)

    def _called(self, question: str, texts: Sequence[str], call: Call) -> list[float] | None:
        body = {"query": question, "documents": list(texts), "top_n": len(texts)}
        if self._model is not None:
            body["model"] = self._model
        try:
            with self._wire.post("", orjson.dumps(body)) as response:
                content = b"".join(pieces(response))
                if response.status != 200:
                    log.warning("rerank_refused", status=response.status)
                    call.failed(ErrorCode.MODEL_REJECTED)
                    return None
            return _scores(content, len(texts))
        except (CallTimeoutError, CallFailedError, ValueError, KeyError, TypeError) as error:
            log.warning("rerank_failed", reason=type(error).__name__)
            is_late = isinstance(error, CallTimeoutError)
            call.failed(ErrorCode.MODEL_TIMEOUT if is_late else ErrorCode.MODEL_UNAVAILABLE)
            return None


def _scores(content: bytes, count: int) -> list[float]:
    """The scores in the texts' order; raises unless there is one for each."""
    found = {int(item["index"]): float(item["relevance_score"]) for item in orjson.loads(content)["results"]}
    return [found[place] for place in range(count)]
