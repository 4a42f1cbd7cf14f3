"""Why an answer ended, in all providers' words: that it was cut off, or is held back. One table for all clients."""

from typing import Literal

CUT = frozenset(
    {
        "length",
        "max_tokens",
        "max_output_tokens",
        "max_completion_tokens",
        "max_length",
        "model_length",
        "model_context_window_exceeded",
        "context_window_exceeded",
        "context_length_exceeded",
        "token_limit",
        "incomplete",
    }
)
"""OpenAI's, Mistral's and Ollama's word; Anthropic's, Google's, Amazon's and Cohere's; the Responses API's; of models
behind gateways; Mistral's and Anthropic's for a full context; IBM's. In lower case."""
WITHHELD = frozenset(
    {
        "content_filter",
        "content_filtered",
        "refusal",
        "safety",
        "blocklist",
        "prohibited_content",
        "spii",
        "recitation",
        "guardrail_intervened",
        "error_toxic",
    }
)
"""Reasons that mean that the provider holds the answer back: OpenAI's word, Amazon's, Anthropic's, five of Google's,
Amazon's other, Cohere's. In lower case."""


def finish_reason(said: str | None) -> Literal["stop", "length"]:
    """Whether an answer whose provider `said` this is whole."""
    return "length" if (said or "").lower() in CUT else "stop"


def is_withheld(said: str | None) -> bool:
    """Whether the provider holds the answer back."""
    return (said or "").lower() in WITHHELD
