"""The chat and the embedding model: over OpenAI's protocol ourselves, and of other providers through LangChain."""
