"""Whether a server's error says that a request is longer than its model's context, each in words of its own."""

import re

CHARACTERS_MAX = 4_000
"""Of an error, what is read."""

_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|context_window_exceeded"  # OpenAI and its like, llama.cpp
    r"|maximum (?:context|prompt|model|input) length"  # OpenAI, Azure, vLLM, DeepSeek, OpenRouter, xAI, Mistral
    r"|exceeds? the (?:available |model'?s? )?(?:maximum )?context"  # llama.cpp, OpenAI's Responses
    r"|exceeds? the maximum (?:number of tokens|allowed length|input)"  # Gemini, SGLang
    r"|(?:longer|larger|greater) than the (?:model'?s? |maximum )*(?:context|model length)"  # SGLang, vLLM, LM Studio
    r"|exceeds? (?:max(?:imum)? )?(?:context (?:limit|size|length|window)|length)"  # Anthropic, Ollama, Zhipu
    r"|context (?:window|length|size) (?:is |was )?exceed|context window exceeds limit"  # MiniMax
    r"|(?:prompt|input) is too long|too many (?:input )?tokens"  # Anthropic, Amazon, Cohere
    r"|input (?:\(\d+ tokens\) )?is too large to process"  # llama.cpp's embeddings
    r"|max_new_tokens`? must be <="  # TGI, Together
    r"|range of input length should be"  # DashScope
    r"|context the overflows|context length of only"  # LM Studio
    r"|number of input tokens .{0,40}(?:cannot|can't|must not) exceed",  # watsonx
    re.IGNORECASE,
)


def is_too_long(said: bytes | str) -> bool:
    """Whether `said`, an error's body or message, means that the context is too short for the request."""
    text = said[:CHARACTERS_MAX].decode(errors="replace") if isinstance(said, bytes) else said[:CHARACTERS_MAX]
    return _TOO_LONG.search(text) is not None
