"""The chat and the embedding model, over OpenAI's protocol."""
