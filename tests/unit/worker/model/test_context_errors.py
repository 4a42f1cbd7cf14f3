"""What servers say when a request is longer than their model's context, in their own words, and what is not that."""

import json
from typing import Any

import anthropic
import httpx2
import pytest

from app.core.errors import ErrorCode
from worker.model.context_errors import is_too_long
from worker.model.langchain_errors import service_error
from worker.model.provider_errors import StatusError, error_in_body

SAID: dict[str, dict[str, Any]] = {
    "openai": {
        "message": "This model's maximum context length is 8192 tokens. However, your messages came to 9001 tokens.",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "context_length_exceeded",
    },
    "openai responses": {"message": "Your input exceeds the context window of this model.", "code": None},
    "azure": {"code": "context_length_exceeded", "message": "too long"},
    "vllm": {
        "message": "This model's maximum context length is 4096 tokens. However, you requested 4812 tokens in the "
        "messages, Please reduce the length of the messages.",
        "type": "BadRequestError",
        "code": 400,
    },
    "vllm decoder": {
        "message": "The decoder prompt (length 9001) is longer than the maximum model length of 4096.",
        "code": 400,
    },
    "sglang": {"message": "The input (9001 tokens) is longer than the model's context length (4096 tokens)."},
    "llama.cpp": {
        "code": 400,
        "message": "the request exceeds the available context size, try increasing it",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 9001,
        "n_ctx": 4096,
    },
    "ollama": {"message": "the input length exceeds the context length"},
    "anthropic": {"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens > 200000 maximum"},
    "anthropic with max_tokens": {"message": "input length and `max_tokens` exceed context limit: 190000 + 64000"},
    "gemini": {
        "code": 400,
        "message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        "status": "INVALID_ARGUMENT",
    },
    "mistral": {"message": "Prompt contains 40000 tokens, too large for model with 32768 maximum context length"},
    "tgi": {"message": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 9001"},
    "cohere": {"message": "too many tokens: total number of tokens in the prompt cannot exceed 4081"},
    "amazon": {"message": "Input is too long for requested model."},
    "xai": {"message": "This model's maximum prompt length is 131072 but the request contains 140000 tokens."},
    "dashscope": {"message": "Range of input length should be [1, 30720]"},
    "zhipu": {"message": "Prompt exceeds max length"},
    "minimax": {"message": "invalid params, context window exceeds limit"},
    "lm studio": {"message": "The model is loaded with context length of only 4096 tokens, which is not enough."},
}
OTHER = [
    "too long",
    "Unsupported parameter: 'max_tokens'",
    "The request is not valid.",
    "Rate limit reached: limit of tokens per minute 30000",
    "stream_options is only allowed when stream is set",
    "The model does not exist",
    "Invalid value for context",
]


@pytest.mark.parametrize("server", SAID)
@pytest.mark.parametrize("status", [400, 413, 422, 500])
def test_our_own_client_understands(server: str, status: int) -> None:
    assert StatusError(status, json.dumps({"error": SAID[server]}).encode()).code is ErrorCode.CONTEXT_TOO_LONG


@pytest.mark.parametrize("server", SAID)
def test_within_an_answer_it_is_understood_too(server: str) -> None:
    assert error_in_body({"error": SAID[server]}).code is ErrorCode.CONTEXT_TOO_LONG
    assert error_in_body({"object": "error", **SAID[server]}).code is ErrorCode.CONTEXT_TOO_LONG


@pytest.mark.parametrize("server", SAID)
def test_of_langchains_clients_it_is_understood_too(server: str) -> None:
    response = httpx2.Response(400, request=httpx2.Request("POST", "http://h"))
    error = anthropic.BadRequestError(str(SAID[server]), response=response, body=SAID[server])
    assert service_error(error).code is ErrorCode.CONTEXT_TOO_LONG


@pytest.mark.parametrize("status", [401, 403, 429])
def test_a_key_and_a_rate_are_something_else_whatever_is_said(status: int) -> None:
    said = json.dumps({"error": SAID["anthropic"]}).encode()
    assert StatusError(status, said).code is not ErrorCode.CONTEXT_TOO_LONG


@pytest.mark.parametrize("said", OTHER)
def test_another_refusal_is_not_that(said: str) -> None:
    assert not is_too_long(said)
    assert StatusError(400, json.dumps({"error": {"message": said}}).encode()).code is ErrorCode.MODEL_REJECTED
