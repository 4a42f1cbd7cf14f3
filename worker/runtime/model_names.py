"""How metrics and traces name the models: OpenTelemetry's words for a provider, and the name that settings give.

Never what a server answered: names have to be few.
"""

from dataclasses import dataclass

from app.core.providers import LOCAL, OPENAI, Kind, local_model, provider_of

_PROVIDERS = {
    "azure_ai": "azure.ai.inference",
    "azure_openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "google_anthropic_vertex": "gcp.vertex_ai",
    "google_genai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "ibm": "ibm.watsonx.ai",
    "mistralai": "mistral_ai",
    "xai": "x_ai",
}
"""LangChain's word for a provider, and the convention's (`gen_ai.provider.name`) where that is another."""

RERANK_PROVIDER = "cohere"
"""Whose protocol a rerank endpoint speaks, as OpenAI's is spoken by many."""


@dataclass(frozen=True, slots=True)
class ModelName:
    """A model: `provider` in the convention's words, `model` as the provider calls it, `setting` as ours do."""

    provider: str
    model: str
    setting: str


def model_name(setting: str, kind: Kind) -> ModelName:
    """The name of CHAT_MODEL or EMBEDDING_MODEL."""
    if kind == "embeddings" and (ours := local_model(setting)):
        return ModelName(LOCAL, ours, setting)
    provider = provider_of(setting, kind)
    if provider is None:
        return ModelName(OPENAI, setting, setting)
    return ModelName(_PROVIDERS.get(provider, provider), setting.removeprefix(f"{provider}:"), setting)
