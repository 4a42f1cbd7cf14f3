"""An operator's slip that would only show at the first request: what has a wrong form is refused at the start."""

import base64
import re
from typing import Any

import certifi
import pytest
from pydantic import ValidationError

from app.core.documents.files import open_store
from app.core.errors import ConfigurationError
from app.core.settings import Settings, explain
from app.main import create_app

CA = certifi.where()
WRONG: dict[str, list[str]] = {
    "webhook_secret": ["hunter2", "whsec_", "whsec_hunter2", "whsec_" + base64.b64encode(b"x" * 23).decode(),
                       "whsec_" + base64.b64encode(b"x" * 65).decode(), "whsec_" + "é" * 40, "whsec_" + "A" * 31],
    "redis_url": ["hunter2", "localhost:6379", "http://hunter2", "redis://", "redis://h:hunter2", "redis://h:99999",
                  "redis+sentinel://hunter2", "redis+sentinel:///hunter2", "redis+sentinel://h:hunter2/m",
                  "redis+sentinel://h,/hunter2", "redis+sentinel://h/m/hunter2", "redis+sentinel://h/hunter2/-1",
                  "redis+sentinel://:hunter2@h:99999,g/m", "rediss+sentinel://:hunter2@h@g/m@/x/y"],
    "redis_ca_file": ["hunter2", "/etc/hostname", "/"],
    "redis_password": ["hunter2\n", "hunter2\0"],
    "database_url": ["hunter2", "sqlite://", "sqlite:///", "sqlite://hunter2/x", "sqlite:///:memory:?hunter2\0",
                     "mysql://u:hunter2@h/x", "postgresql://", "postgresql://u:hunter2@h:x/y",
                     "postgresql+asyncpg://u:hunter2@h/x"],
    "qdrant_url": ["hunter2", "host:6333", "ftp://hunter2", "http://a,hunter2", "http://a,,http://b", ","],
    "qdrant_read_consistency": ["hunter2", "0", "10", "majority&x=hunter2"],
    "qdrant_quantization": ["hunter2"],
    "openai_base_url": ["hunter2", "ftp://hunter2"],
    "embedding_base_url": ["hunter2", "http://h:hunter2"],
    "rerank_url": ["hunter2"],
    "jwt_jwks_url": ["hunter2", "file:///hunter2"],
    "jwt_secret": ["hunter2"],
    "openai_api_key": ["hunter2\n", "hunter2é", "hunter2\0"],
    "qdrant_api_key": ["hunter2\r\nX: y"],
    "rerank_api_key": ["hunter2é"],
    "qdrant_collection": ["../hunter2", "a b", ""],
    "trusted_proxies": ["hunter2", "10.0.0.1/8", "*"],
    "cors_origins": ["hunter2", "*", "https://hunter2/path", "null"],
    "public_url": ["hunter2", "ftp://hunter2", "https://hunter2/?q", "https://hunter2/#f", "https://u:hunter2@h",
                   "https://h/hunter2 x", "https://h/../hunter2", "https://h//hunter2", "https://h:99999/hunter2",
                   "https://hunter2/%2e", "https://h\\hunter2", "//hunter2", "javascript:hunter2"],
    "link_secret": ["hunter2", "hunter2" * 4],
    "rate_limit": ["hunter2", "0/minute", "1/week", "1"],
    "address_rate_limit": ["hunter2", "600"],
    "log_level": ["hunter2"],
    "log_format": ["hunter2"],
    "fusion": ["hunter2"],
    "port": ["hunter2", "-1", "65536"],
    "metrics_port": ["hunter2", "-1", "65536"],
    "worker_processes": ["hunter2", "0", "257", "-1", "1.5", "AUTO hunter2", "²"],
    "model_prices": ["hunter2", "hunter2=1", "hunter2=1/nan", "hunter2=-1/2", "=1/2", "hunter2=1/2/3",
                     "hunter2=1e9/1", "hunter2=1000000000/1"],
}  # fmt: skip
"""By setting, what it is not. `hunter2` is never shown."""
ANY_TEXT = {
    "host": "resolved when the API listens, at the start",
    "metrics_host": "resolved when the port opens, at the start",
    "data_dir": "made at the start",
    "documents_url": "opened at the start: see below",
    "api_keys": "read at the start: see below",
    "chat_model": "a name that the provider knows",
    "embedding_model": "a name that the provider knows",
    "local_model_path": "looked at when the model is opened, at the start",
    "redis_sentinel_password": "asked for by the first Sentinel, at the start",
    "rerank_model": "a name that the provider knows",
    "answer_instructions": "words for a model",
    "jwt_issuer": "any name",
    "jwt_audience": "any name",
}
"""Settings of free form, and who finds a slip."""


def test_every_setting_of_words_is_tried_here_or_is_of_free_form() -> None:
    free = {
        name
        for name, field in Settings.model_fields.items()
        if re.search("\\b(str|Path|SecretStr|Fusion|LogFormat|Quantization)\\b|tuple", str(field.annotation))
    }
    assert free <= set(WRONG) | set(ANY_TEXT)
    assert set(WRONG) | set(ANY_TEXT) <= set(Settings.model_fields)
    assert len(free) > 20


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_form_is_named_at_the_start_and_not_shown(name: str, value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({name: value})
    said = explain(caught.value)
    assert name.upper() in said
    assert "hunter2" not in said + str(caught.value)


@pytest.mark.parametrize("size", [24, 32, 64])
@pytest.mark.parametrize("prefix", ["whsec_", ""])
def test_a_signing_secret_is_taken(size: int, prefix: str) -> None:
    secret = prefix + base64.b64encode(b"x" * size).decode()
    settings = Settings(webhook_secret=secret)
    assert settings.webhook_secret is not None
    assert settings.webhook_secret.get_secret_value() == secret


@pytest.mark.parametrize(
    "url",
    [
        "redis://h", "redis://:p@h:6379/0", "rediss://u:p@h:1/2", "unix:///run/valkey.sock", "redis+sentinel://h/m",
        "rediss+sentinel://u:p%2F@a:1,b,[::1]:3/m/2?sentinel_username=s",
    ],
)  # fmt: skip
def test_an_address_of_valkey_is_taken(url: str) -> None:
    assert Settings(redis_url=url).redis_url is not None


@pytest.mark.parametrize(
    ("url", "more", "named"),
    [
        ("redis://h", {"redis_ca_file": CA}, "REDIS_CA_FILE"),
        (None, {"redis_ca_file": CA}, "REDIS_CA_FILE"),
        ("redis://h", {"redis_sentinel_password": "hunter2"}, "REDIS_SENTINEL_PASSWORD"),
        (None, {"min_replicas_to_ack": 1}, "MIN_REPLICAS_TO_ACK"),
    ],
)
def test_what_is_said_of_another_valkey_than_the_one_that_is_named_is_refused(
    url: str | None, more: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(redis_url=url, **more)
    assert named in explain(caught.value)
    assert "hunter2" not in explain(caught.value)


def test_keys_and_store_are_looked_at_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match="API_KEYS"):
        create_app(Settings(redis_url="redis://h", api_keys="hunter2"))
    with pytest.raises(ConfigurationError, match="DOCUMENTS_URL"):
        open_store(Settings(documents_url="hunter2://x"))
