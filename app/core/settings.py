"""Every number of the service, with a name, a unit and a default.

Factories take a `Settings`; only a `__main__` and `app.main.create_app_from_environment` read the environment.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, StringConstraints, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,128}$")]


class Fusion(StrEnum):
    """How the dense and the sparse half of a hybrid search become one ranking."""

    DBSF = "dbsf"
    RRF = "rrf"


class LogFormat(StrEnum):
    """Lines for people, or one JSON object a line."""

    AUTO = "auto"
    CONSOLE = "console"
    JSON = "json"


class Settings(BaseSettings):
    """The service's settings, from the environment and from `.env` (the environment wins).

    Raises `pydantic.ValidationError` when a value is out of its range, or when the time-outs contradict each
    other.
    """

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", extra="ignore", env_ignore_empty=True, frozen=True
    )

    host: str = Field("127.0.0.1", description="Address that the API listens on")
    port: int = Field(8000, ge=0, le=65535, description="Port that the API listens on; 0 takes a free one")
    data_dir: Path = Field(Path(".data"), description="Folder of the embedded Valkey and Qdrant")

    redis_url: SecretStr | None = Field(
        None, description="Valkey, e.g. redis://host:6379/0; unset: `python -m app` starts its own"
    )
    qdrant_url: str | None = Field(
        None, description="Qdrant, e.g. http://host:6333; unset: `python -m app` starts its own"
    )
    qdrant_api_key: SecretStr | None = Field(None, description="Key for Qdrant, when it wants one")
    qdrant_collection: Name = Field("documents", description="Qdrant collection that holds the chunks")

    openai_api_key: SecretStr | None = Field(None, description="Key for the model's API")
    openai_base_url: str | None = Field(
        None, description="Any OpenAI-compatible API, e.g. http://localhost:11434/v1 for Ollama"
    )
    chat_model: str = Field("gpt-4.1", description="Model that writes the answers")
    embedding_model: str | None = Field(
        None, description="Model that embeds chunks and questions; unset: BM25 retrieval alone"
    )
    embedding_base_url: str | None = Field(None, description="API of the embedding model; unset: OPENAI_BASE_URL's")

    worker_concurrency: int = Field(32, ge=1, le=1024, description="Questions one worker process answers at once")
    top_k: int = Field(5, ge=1, le=50, description="Chunks an answer is made of, unless the question says")
    chunk_size: int = Field(1000, ge=100, le=8000, description="Length of a chunk at most, in characters")
    chunk_overlap: int = Field(150, ge=0, le=2000, description="Characters that neighbouring chunks share")
    fusion: Fusion = Field(Fusion.DBSF, description="Fusion of hybrid search: dbsf or rrf")

    qdrant_timeout_seconds: int = Field(10, ge=1, le=600, description="Longest wait for one call to Qdrant")
    model_timeout_seconds: float = Field(60, gt=0, le=3600, description="Longest wait for one call to the model")
    job_timeout_seconds: int = Field(180, ge=2, le=7200, description="Longest run of one job")
    result_ttl_seconds: int = Field(86_400, ge=60, description="How long a finished job's answer is kept")
    failure_ttl_seconds: int = Field(604_800, ge=60, description="How long a failed job is kept")
    model_max_concurrency: int | None = Field(
        None, ge=1, description="Calls to the model in flight at most, over all workers; unset: no limit"
    )
    model_requests_per_minute: int | None = Field(
        None, ge=1, description="Calls to the model a minute at most, over all workers; unset: no limit"
    )
    model_tokens_per_minute: int | None = Field(
        None, ge=1, description="The model's tokens a minute, over all workers; unset: no limit"
    )
    max_attempts: int = Field(10, ge=1, le=100, description="Starts of a question whose failures a retry may help")
    shutdown_grace_seconds: float = Field(
        30, ge=0, le=3600, description="How long a stopping worker lets questions finish before it puts them back"
    )
    max_queue_depth: int = Field(10_000, ge=1, description="Waiting questions above which the API answers 503")

    log_level: Annotated[str, StringConstraints(to_lower=True, pattern=r"(?i)^(debug|info|warning|error)$")] = Field(
        "info", description="debug, info, warning or error"
    )
    log_format: LogFormat = Field(
        LogFormat.AUTO, description="auto (console on a terminal, else json), console, json"
    )

    @field_validator("qdrant_url", "openai_base_url", "embedding_base_url")
    @classmethod
    def _http_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be like http://host:port or https://host/path")
        _ = parts.port  # raises ValueError when it is no number from 0 to 65535
        return url.rstrip("/")

    @model_validator(mode="after")
    def _limits_agree(self) -> Self:
        """A call's own time-out must end it before the job's limit, and an answer must outlive its job."""
        if not self.model_timeout_seconds < self.job_timeout_seconds < self.result_ttl_seconds:
            raise ValueError(
                "MODEL_TIMEOUT_SECONDS < JOB_TIMEOUT_SECONDS < RESULT_TTL_SECONDS must hold, but they are "
                f"{self.model_timeout_seconds:g}, {self.job_timeout_seconds} and {self.result_ttl_seconds}"
            )
        if self.chunk_overlap >= self.chunk_size // 2:
            raise ValueError("CHUNK_OVERLAP must be less than half of CHUNK_SIZE")
        return self

    @property
    def has_chat_model(self) -> bool:
        """Whether answers come from a model; else they are extractive."""
        return self.openai_api_key is not None or self.openai_base_url is not None


def explain(error: ValidationError) -> str:
    """What is wrong with the settings, a line each, by the variables' names and never by their values."""
    lines = []
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        variable = ".".join(str(part) for part in problem["loc"]).upper()
        what = problem["msg"].removeprefix("Value error, ")
        lines.append(f"{variable}: {what}" if variable else what)
    return "the settings are wrong:\n  " + "\n  ".join(lines)
