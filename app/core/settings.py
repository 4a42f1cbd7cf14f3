"""Every number of the service, with a name, a unit and a default.

Factories take a `Settings`; only a `__main__` and `app.main.from_environment` read the environment.
"""

import re
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from app.core.addresses import is_host, is_prefix
from app.core.contract import Instructions, is_signing_secret
from app.core.cores import usable_cores
from app.core.providers import LOCAL, LOCAL_DEFAULT, OPENAI, local_model, provider_of
from app.core.qdrant_addresses import addresses
from app.core.sentinel_address import is_sentinel, parse_sentinel

NO_MODEL = "none"
"""EMBEDDING_MODEL that keeps retrieval to words alone."""
AUTO = "auto"
"""EMBEDDING_MODEL where a server is given and no model is: it is asked which there are (`worker.model.choice`).
WORKER_PROCESSES: as many as there are cores."""
OPENAI_HOST = "api.openai.com"
OPENAI_EMBEDDINGS = "text-embedding-3-small"
"""The model there, where none is named: the cheapest of OpenAI's."""

JWT_SECRET_MIN_BYTES = 32
"""As long as HS256's digest: RFC 7518, section 3.2."""

CERTIFICATE = b"-----BEGIN CERTIFICATE-----"

LINK_SECRET_MIN_BYTES = 32
"""As long as the digest of HMAC-SHA256."""

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,128}$")]
Rate = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,4}/(second|minute|hour|day)$")]
"""Requests in a window of time that moves along, e.g. 600/minute."""


Consistency = Annotated[str, StringConstraints(pattern=r"^(majority|quorum|all|[1-9])$")]
"""Qdrant's words for how many copies must agree."""


def _words(text: object) -> object:
    """What stands between commas and spaces."""
    return tuple(text.replace(",", " ").split()) if isinstance(text, str) else text


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
"""Several values in one variable, with commas or spaces between them."""


PROCESSES_MAX = 256
"""More than machines have cores for, and less than what a slip of the hand would start."""


def _processes(number: object) -> object:
    """As many as this process may use cores for `auto`. Raises `ValueError` without what stands there."""
    if number == AUTO:
        return min(usable_cores(), PROCESSES_MAX)
    if isinstance(number, str) and not (number.isascii() and number.isdecimal()):
        raise ValueError(f"must be {AUTO} or a number from 1 to {PROCESSES_MAX}")
    return number


Processes = Annotated[int, BeforeValidator(_processes)]
"""A number of processes, or `auto`: one for each core."""

_PRICE = re.compile(r"(?P<model>.+)=(?P<input>\d{1,6}(\.\d{1,9})?)/(?P<output>\d{1,6}(\.\d{1,9})?)", re.ASCII)


def _prices(text: object) -> object:
    """`model=in/out`, several of them, as a table. Raises `ValueError` without what stands there."""
    words = _words(text)
    if not isinstance(words, tuple):
        return text
    table = {}
    for word in words:
        price = _PRICE.fullmatch(str(word))
        if price is None:
            raise ValueError("must be like gpt-4.1=2/8, my-model=0.5/1.5")
        table[price["model"]] = price["input"], price["output"]
    return table


class PriceTable(dict[str, tuple[float, float]]):
    """Prices by model, which nobody changes: settings are a key of what is made once for them."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))


Prices = Annotated[dict[str, tuple[float, float]], NoDecode, BeforeValidator(_prices), AfterValidator(PriceTable)]
"""US dollars for a million tokens, those of the prompt and those of the answer, by model."""


def _is_address(url: str, schemes: tuple[str, ...]) -> bool:
    """Whether `url` has one of `schemes`, a host, and no port or one from 0 to 65535."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname)


class Fusion(StrEnum):
    """How the dense and the sparse half of a hybrid search become one ranking."""

    CONVEX = "convex"
    DBSF = "dbsf"
    RRF = "rrf"


class Quantization(StrEnum):
    """How Qdrant keeps a second, smaller copy of the dense vectors, which is the one that is searched."""

    NONE = "none"
    SCALAR = "scalar"
    BINARY = "binary"


class LogFormat(StrEnum):
    """Lines for people, or one JSON object a line."""

    AUTO = "auto"
    CONSOLE = "console"
    JSON = "json"


class _Variables(EnvSettingsSource):
    """The environment, of which only what is set is looked at: to take every other field's type apart is 6 ms."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        if field_name in self.env_vars:
            return super().get_field_value(field, field_name)
        return None, field_name, True  # there is no name but this one: what is said to be complex has no other sought

    def prepare_field_value(self, field_name: str, field: FieldInfo, value: Any, value_is_complex: bool) -> Any:
        return None if value is None else super().prepare_field_value(field_name, field, value, value_is_complex)


class Settings(BaseSettings):
    """The service's settings, from the environment and from `.env` (the environment wins).

    Raises `pydantic.ValidationError` when a value is out of its range, or when the time-outs contradict each
    other.
    """

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        env_ignore_empty=True,
        frozen=True,
        hide_input_in_errors=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What the caller states, the environment, and `.env` where there is one."""
        assert isinstance(dotenv_settings, DotEnvSettingsSource)
        files = (dotenv_settings,) if dotenv_settings.env_vars else ()
        return init_settings, _Variables(settings_cls), *files

    host: str = Field("127.0.0.1", description="Address that the API listens on")
    port: int = Field(8000, ge=0, le=65535, description="Port that the API listens on; 0 takes a free one")
    data_dir: Path = Field(Path(".data"), description="Folder of the embedded Valkey and Qdrant")
    valkey_maxmemory_mb: int | None = Field(
        None, ge=8, description="Memory of the embedded Valkey at most, in MiB; unset: a quarter of the machine's"
    )
    documents_url: str | None = Field(
        None, description="Where documents' files are kept: a folder, or s3://bucket/path; unset: in DATA_DIR"
    )
    upload_max_mb: int = Field(100, ge=1, le=256, description="Size of one uploaded file at most, in MiB")
    upload_max_files: int = Field(20, ge=1, le=100, description="Files in one upload at most")

    redis_url: SecretStr | None = Field(
        None,
        description="Valkey, e.g. redis://host:6379/0, rediss://host, or by its Sentinels "
        "redis+sentinel://host:26379,host:26379/name/0; unset: `python -m app` starts its own",
    )
    redis_ca_file: Path | None = Field(
        None, description="Certificates (PEM) that vouch for Valkey over TLS; unset: those that the system trusts"
    )
    redis_sentinel_password: SecretStr | None = Field(
        None, description="Password of the Sentinels, when they want one"
    )
    min_replicas_to_ack: int = Field(
        0, ge=0, le=16, description="Replicas of Valkey that must have a question before the API takes it"
    )
    redis_password: SecretStr | None = Field(
        None, description="Password of Valkey as it is, for a REDIS_URL that has none, e.g. redis://user@host:6379/0"
    )
    database_url: SecretStr | None = Field(
        None,
        description="The chat log: sqlite:///path or postgresql://user:password@host/name; unset: none, but "
        "`python -m app` has one in DATA_DIR",
    )
    chat_log_content: bool | None = Field(
        None,
        description="Keep questions, answers and citations in the chat log too; unset: where DATABASE_URL is unset",
    )
    chat_log_retention_days: int | None = Field(
        None, ge=1, le=36_500, description="How long the chat log keeps a question; unset: for good"
    )
    qdrant_url: str | None = Field(
        None,
        description="Qdrant, e.g. http://host:6333, or nodes of one cluster with commas between them; unset: "
        "`python -m app` starts its own",
    )
    qdrant_api_key: SecretStr | None = Field(None, description="Key for Qdrant, when it wants one")
    qdrant_collection: Name = Field("documents", description="Qdrant collection that holds the chunks")
    qdrant_shards: int | None = Field(None, ge=1, le=1000, description="Shards of a new collection")
    qdrant_replicas: int | None = Field(None, ge=1, le=20, description="Copies of each shard of a new collection")
    qdrant_write_replicas: int | None = Field(
        None, ge=1, le=20, description="Copies that must have a write before it counts, in a new collection"
    )
    qdrant_read_consistency: Annotated[str, StringConstraints(pattern=r"^(majority|quorum|all|[1-9])$")] | None = (
        Field(None, description="Copies that must agree on what a question finds: a number, majority, quorum or all")
    )
    qdrant_read_fan_out: int | None = Field(
        None,
        ge=0,
        le=20,
        description="Copies that are asked beside the first, in a new collection; the fastest counts",
    )
    qdrant_on_disk: bool = Field(
        False, description="Keep a new collection's vectors, graphs and words on disk rather than in memory"
    )
    qdrant_quantization: Quantization = Field(
        Quantization.NONE, description="Quantise a new collection's dense vectors: none, scalar or binary"
    )

    openai_api_key: SecretStr | None = Field(None, description="Key for the model's API")
    openai_base_url: str | None = Field(
        None, description="Any OpenAI-compatible API, e.g. http://localhost:11434/v1 for Ollama"
    )
    chat_model: str = Field(
        "gpt-4.1",
        description="Model that writes the answers, by OpenAI's protocol; or provider:model, by LangChain's",
    )
    embedding_model: str | None = Field(
        None,
        description="Model that embeds chunks and questions, named likewise; local, or local:NAME, runs one of "
        "fastembed's in the worker; none: BM25 retrieval alone. Unset: text-embedding-3-small at OpenAI, elsewhere "
        "the one that the server lists, without key and base URL none",
    )
    embedding_base_url: str | None = Field(None, description="API of the embedding model; unset: OPENAI_BASE_URL's")
    local_model_path: Path | None = Field(
        None, description="Folder of EMBEDDING_MODEL=local's files; unset: downloaded at first use, kept in DATA_DIR"
    )

    api_keys: Words | None = Field(
        None,
        description="Who may use the API, an entry a key: name:tenant:role:rate:sha256, perhaps with "
        ":tokens=100000/day or :weight=3; `make key` makes one",
    )
    jwt_secret: SecretStr | None = Field(None, description="Secret of the JWTs (HS256) that the API accepts")
    jwt_jwks_url: str | None = Field(None, description="Where the public keys (RS256, ES256) of the JWTs are")
    jwt_issuer: str | None = Field(None, description="`iss` that a JWT must have")
    jwt_audience: str | None = Field(None, description="`aud` that a JWT must have")
    link_secret: SecretStr | None = Field(
        None,
        description="Signs the links of citations and tickets; unset: a secret that is made once, kept in Valkey",
    )
    rate_limit: Rate | None = Field(
        None, description="Requests of one key that states no rate of its own, e.g. 600/minute; unset: no limit"
    )
    address_rate_limit: Rate = Field("60/minute", description="Wrong credentials that one address may try")
    address_connections_max: int = Field(
        1000,
        ge=1,
        description="Open connections of one address; this machine's and TRUSTED_PROXIES have no such limit",
    )
    trusted_proxies: Words | None = Field(
        None, description="Addresses or networks whose X-Forwarded-For is believed; unset: nobody's"
    )
    public_url: str | None = Field(
        None,
        description="Where clients find the API, e.g. https://host/rag, which a proxy passes on without the path",
    )
    cors_origins: Words | None = Field(
        None,
        description="Web pages that may call the API, e.g. https://app.example.com; unset: none. "
        "Without keys only those of this machine, e.g. http://localhost:3000, may",
    )

    cancel_on_disconnect: bool = Field(
        True,
        description="A client of /v1 that leaves before the answer's end stops its job, unless it sent `background`, "
        "`store` or an Idempotency-Key",
    )

    worker_concurrency: int = Field(32, ge=1, le=1024, description="Questions one worker process answers at once")
    worker_processes: Processes = Field(
        1,
        ge=1,
        le=PROCESSES_MAX,
        description="Worker processes that `python -m worker` and `python -m app` start, a core each; auto: one for "
        "each core they may use",
    )
    ingest_concurrency: int = Field(2, ge=1, le=64, description="Documents one worker process indexes at once")
    webhook_concurrency: int = Field(
        8, ge=1, le=64, description="Webhooks one worker process delivers at once, half of them of one tenant at most"
    )
    answer_instructions: Instructions | None = Field(
        None, description="What the model is told of how to answer, below the rules that hold for every answer"
    )
    top_k: int = Field(5, ge=1, le=50, description="Chunks an answer is made of, unless the question says")
    chunk_size: int = Field(1000, ge=100, le=8000, description="Length of a chunk at most, in characters")
    chunk_overlap: int = Field(150, ge=0, le=2000, description="Characters that neighbouring chunks share")
    ingest_follow_links: bool = Field(
        False, description="Let `python -m ingest FOLDER` follow links to files that lie outside of FOLDER"
    )
    ocr: bool = Field(False, description="Put scanned pages through OCR; needs ocrmypdf and tesseract installed")
    fusion: Fusion = Field(Fusion.CONVEX, description="Fusion of hybrid search: convex, dbsf or rrf")
    fusion_dense_weight: float | None = Field(
        None, ge=0, le=1, description="The dense half's part in the fusion; unset: 0.4 for convex, 0.5 for the others"
    )
    rrf_k: int = Field(60, ge=1, le=10_000, description="The constant of reciprocal rank fusion")
    context_tokens: int = Field(
        3000, ge=0, le=1_000_000, description="Tokens of sources up to which hits get their neighbours; 0: hits alone"
    )
    rerank_url: str | None = Field(
        None, description="Rerank endpoint as Cohere's and Jina's, e.g. http://host/v1/rerank; unset: no reranking"
    )
    rerank_model: str | None = Field(None, description="Model of the rerank endpoint")
    rerank_api_key: SecretStr | None = Field(None, description="Key of the rerank endpoint, when it wants one")

    qdrant_timeout_seconds: int = Field(10, ge=1, le=600, description="Longest wait for one call to Qdrant")
    model_timeout_seconds: float = Field(60, gt=0, le=3600, description="Longest wait for one call to the model")
    job_timeout_seconds: int = Field(180, ge=2, le=7200, description="Longest run of one job")
    ingest_timeout_seconds: int = Field(1800, ge=10, le=86_400, description="Longest indexing of one document")
    result_ttl_seconds: int = Field(86_400, ge=60, description="How long a finished job's answer is kept")
    conversation_ttl_seconds: int = Field(
        2_592_000, ge=60, description="How long a conversation is kept after it was last used"
    )
    answer_cache_ttl_seconds: int = Field(
        3600,
        ge=0,
        le=2_592_000,
        description="How long an answer is given again to the same question, while no document of its collection "
        "has changed; 0: never",
    )
    semantic_cache_threshold: float = Field(
        0,
        ge=0,
        le=1,
        description="Cosine from which a kept answer is also given to another wording that has the same words but "
        "for their forms, e.g. 0.95; needs EMBEDDING_MODEL; 0: never",
    )
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

    key_max_streams: int = Field(1000, ge=1, description="Streams of one key that one API process has open at once")
    key_max_waits: int = Field(1000, ge=1, description="Requests of one key that wait there for a job's end at once")
    key_max_uploads: int = Field(8, ge=1, description="Uploads of one key that it takes at once")
    tenant_max_documents: int = Field(100_000, ge=1, description="Documents of one tenant")
    tenant_max_stored_mb: int = Field(102_400, ge=1, description="Size of one tenant's documents in all, in MiB")

    webhook_secret: SecretStr | None = Field(
        None, description="Signs webhooks whose request names no secret: whsec_ and 24 to 64 bytes in base64"
    )
    webhook_allow_private: bool = Field(
        False, description="Let webhooks go to private addresses and over http; for tests and closed networks"
    )

    log_level: Annotated[str, StringConstraints(to_lower=True, pattern=r"(?i)^(debug|info|warning|error)$")] = Field(
        "info", description="debug, info, warning or error"
    )
    log_format: LogFormat = Field(
        LogFormat.AUTO, description="auto (console on a terminal, else json), console, json"
    )
    log_content: bool = Field(
        False, description="Log questions and answers too; for finding faults, on a machine that nobody else reads"
    )

    metrics: bool = Field(False, description="Count for Prometheus: the API answers /metrics to role admin")
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port of a process's own for /metrics, which turns METRICS on; a worker has no other, and "
        "worker processes have one each, from the next one "
        "on under `python -m app`, else from this one on",
    )
    metrics_host: str = Field("127.0.0.1", description="Address of METRICS_PORT; it asks nobody who they are")
    model_prices: Prices | None = Field(
        None,
        description="US dollars for a million tokens in and out, by the model's name: gpt-4.1=2/8, my-model=0.5/1.5",
    )

    @field_validator("qdrant_url")
    @classmethod
    def _nodes(cls, url: str | None) -> str | None:
        if url is None:
            return None
        nodes = addresses(url)
        if not all(_is_address(node, ("http", "https")) for node in nodes):
            raise ValueError("must be like http://host:6333, or several of those with commas between them")
        return ",".join(nodes)

    @field_validator("openai_base_url", "embedding_base_url", "rerank_url", "jwt_jwks_url")
    @classmethod
    def _http_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        if not _is_address(url, ("http", "https")):
            raise ValueError("must be like http://host:port or https://host/path")
        return url.rstrip("/")

    @field_validator("public_url")
    @classmethod
    def _plain_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url) if _is_address(url, ("http", "https")) else None
        if parts is None or not (is_host(parts.netloc) and is_prefix(parts.path)) or parts.query or parts.fragment:
            raise ValueError("must be like https://host or https://host/path, without a query")
        return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"

    @field_validator("link_secret")
    @classmethod
    def _long_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value().encode()) < LINK_SECRET_MIN_BYTES:
            raise ValueError(
                f"must have {LINK_SECRET_MIN_BYTES} bytes or more (`openssl rand -base64 32` makes them)"
            )
        return secret

    @field_validator("redis_url")
    @classmethod
    def _valkey_url(cls, url: SecretStr | None) -> SecretStr | None:
        given = url.get_secret_value() if url is not None else "unix:"
        try:
            is_sentinels = is_sentinel(given) and bool(parse_sentinel(given))
        except ValueError as error:  # whose words have nothing of the address
            raise ValueError(str(error)) from None
        if not given.startswith("unix:") and not is_sentinels and not _is_address(given, ("redis", "rediss")):
            raise ValueError("must be like redis://host:6379/0, rediss://host or unix:///path")
        return url

    @field_validator("redis_ca_file")
    @classmethod
    def _certificates(cls, path: Path | None) -> Path | None:
        """Else each connection would fail, and look like a Valkey that is away."""
        if path is None:
            return None
        try:
            is_pem = CERTIFICATE in path.read_bytes()
        except OSError as error:
            raise ValueError(f"can't be read ({type(error).__name__})") from None
        if not is_pem:
            raise ValueError("must be a file of certificates in PEM")
        return path.absolute()

    @model_validator(mode="after")
    def _valkey_agrees(self) -> Self:
        """What is said of Valkey fits the Valkey that is named."""
        scheme = self.redis_url.get_secret_value().partition(":")[0] if self.redis_url is not None else ""
        if self.redis_ca_file is not None and not scheme.startswith("rediss"):
            raise ValueError("REDIS_CA_FILE needs a REDIS_URL of rediss:// or rediss+sentinel://")
        if self.redis_sentinel_password is not None and "+sentinel" not in scheme:
            raise ValueError("REDIS_SENTINEL_PASSWORD needs a REDIS_URL of redis+sentinel:// or rediss+sentinel://")
        if self.min_replicas_to_ack and not scheme:
            raise ValueError("MIN_REPLICAS_TO_ACK needs REDIS_URL: the embedded Valkey has no replica")
        return self

    @field_validator("redis_password")
    @classmethod
    def _one_line(cls, password: SecretStr | None) -> SecretStr | None:
        """A line's end behind a password is what `echo` has put into a file or a Secret."""
        if password is not None and not password.get_secret_value().isprintable():
            raise ValueError("must have no line's end and no other control character")
        return password

    @field_validator("database_url")
    @classmethod
    def _database(cls, url: SecretStr | None) -> SecretStr | None:
        if url is None:
            return None
        scheme, _, rest = url.get_secret_value().partition(":")
        is_file = scheme == "sqlite" and len(rest) > len("///") and rest.startswith("///") and "\0" not in rest
        if not is_file and not _is_address(url.get_secret_value(), ("postgresql", "postgres")):
            raise ValueError("must be like sqlite:///path or postgresql://user:password@host/name")
        return url

    @field_validator("openai_api_key", "qdrant_api_key", "rerank_api_key")
    @classmethod
    def _fits_a_header(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and not (key.get_secret_value().isascii() and key.get_secret_value().isprintable()):
            raise ValueError("must be of printable ASCII: it is sent in a header")
        return key

    @field_validator("webhook_secret")
    @classmethod
    def _signs(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and not is_signing_secret(secret.get_secret_value()):
            raise ValueError("must be whsec_ and 24 to 64 bytes in base64 (`openssl rand -base64 32` makes them)")
        return secret

    @field_validator("chat_model", "embedding_model")
    @classmethod
    def _plain_name(cls, model: str | None) -> str | None:
        """OpenAI's models have one name each: vectors of `openai:m` and of `m` are the same model's."""
        return model.removeprefix(f"{OPENAI}:") if model is not None else None

    @field_validator("embedding_model")
    @classmethod
    def _whole_name(cls, model: str | None) -> str | None:
        """The index remembers a model by its whole name, whatever `local` stands for later."""
        if model is not None and model.lower() in (NO_MODEL, AUTO):
            return AUTO if model.lower() == AUTO else None
        return LOCAL_DEFAULT if model in (LOCAL, f"{LOCAL}:") else model

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, proxies: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for proxy in proxies or ():
            try:
                ip_network(proxy)
            except ValueError:  # its words have the value
                raise ValueError("must be addresses or networks, like 10.0.0.1 or 10.0.0.0/8") from None
        return proxies

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for origin in origins or ():
            parts = urlsplit(origin)
            if parts.scheme not in ("http", "https") or origin != f"{parts.scheme}://{parts.netloc}":
                raise ValueError("must be origins like https://app.example.com, without a path")
        return origins

    @model_validator(mode="after")
    def _embeds_by_default(self) -> Self:
        """Who names no embedding model gets OpenAI's at OpenAI, and elsewhere what the server has."""
        if not self.is_embedding_model_named:
            vars(self)["embedding_model"] = self._default_embedding_model()
            self.model_fields_set.discard("embedding_model")
        return self

    @model_validator(mode="after")
    def _tokens_can_be_checked(self) -> Self:
        """Keys from a URL sign for others too: only `iss` and `aud` tell which tokens are meant for this service."""
        if self.jwt_secret is not None and self.jwt_jwks_url is not None:
            raise ValueError("set JWT_SECRET or JWT_JWKS_URL, not both")
        if self.jwt_jwks_url is not None and not (self.jwt_issuer and self.jwt_audience):
            raise ValueError("JWT_JWKS_URL needs JWT_ISSUER and JWT_AUDIENCE")
        if self.jwt_secret is not None and len(self.jwt_secret.get_secret_value().encode()) < JWT_SECRET_MIN_BYTES:
            raise ValueError(f"JWT_SECRET must have {JWT_SECRET_MIN_BYTES} bytes or more")
        return self

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
    def counts(self) -> bool:
        """Whether a process keeps numbers for Prometheus; a worker does where it has a port to show them on."""
        return self.metrics or self.metrics_port is not None

    @property
    def has_chat_model(self) -> bool:
        """Whether answers come from a model; else they are extractive."""
        is_ours = self.openai_api_key is not None or self.openai_base_url is not None
        return is_ours or provider_of(self.chat_model, "chat_models") is not None

    @property
    def embedding_url(self) -> str | None:
        """The API of an embedding model that is asked over OpenAI's protocol; None: OpenAI's own."""
        return self.embedding_base_url or self.openai_base_url

    @property
    def is_embedding_model_named(self) -> bool:
        """Whether the operator has said which embedding model, or that there is none."""
        return "embedding_model" in self.model_fields_set and self.embedding_model != AUTO

    def _default_embedding_model(self) -> str | None:
        if self.embedding_url is None:
            return OPENAI_EMBEDDINGS if self.openai_api_key is not None else None
        host = urlsplit(self.embedding_url).hostname or ""
        return OPENAI_EMBEDDINGS if host == OPENAI_HOST or host.endswith(f".{OPENAI_HOST}") else AUTO

    @property
    def has_packages(self) -> bool:
        """Whether a package is named that reads variables of its own: LangChain's, fsspec's, fastembed's."""
        providers = provider_of(self.chat_model, "chat_models"), provider_of(self.embedding_model or "", "embeddings")
        return any(providers) or self.embeds_here or "://" in (self.documents_url or "")

    @property
    def embeds_here(self) -> bool:
        """Whether the embedding model runs in our own processes: it takes no budget, and costs nothing."""
        return local_model(self.embedding_model or "") is not None

    @property
    def has_credentials(self) -> bool:
        """Whether the API asks who you are; else it serves this machine alone."""
        return bool(self.api_keys) or self._has_tokens

    @property
    def tenant_queue_depth(self) -> int:
        """How many jobs of one tenant may wait on a queue: half of its depth, all of it where there is one tenant."""
        return max(1, self.max_queue_depth // 2) if self._has_tenants else self.max_queue_depth

    @property
    def _has_tokens(self) -> bool:
        return self.jwt_secret is not None or self.jwt_jwks_url is not None

    @property
    def _has_tenants(self) -> bool:
        """Whether there can be more than one: a token may name any, a key names its own."""
        named = {entry.partition(":")[2].rsplit(":", 3)[0] for entry in self.api_keys or ()}
        return self._has_tokens or len(named) > 1


def explain(error: ValidationError) -> str:
    """What is wrong with the settings, a line each, by the variables' names and never by their values."""
    lines = []
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        variable = ".".join(str(part) for part in problem["loc"]).upper()
        what = problem["msg"].removeprefix("Value error, ")
        lines.append(f"{variable}: {what}" if variable else what)
    return "the settings are wrong:\n  " + "\n  ".join(lines)
