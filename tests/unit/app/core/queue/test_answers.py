"""What a kept answer depends on: each field of a question and each setting is in its hash, or here with a reason."""

from typing import Any

import pytest

from app.core.contract import AnswerJob, AnswerResult, EarlierTurn, SearchFilters, Timings, Usage
from app.core.queue.answers import (
    NOT_ASKED,
    SETTINGS,
    fingerprint,
    is_kept,
    packed,
    unpacked,
)
from app.core.queue.scripts import ANSWER_BYTES_MAX
from app.core.settings import Fusion, Settings

ON = Settings(answer_cache_ttl_seconds=60, env_file=None)
ANOTHER: dict[str, Any] = {
    "query": "What else?", "tenant": "anna", "collection": "c", "top_k": 7, "filters": SearchFilters(page_from=2),
    "session_id": "s", "request_id": "r", "cache": "refresh", "turns": (EarlierTurn(question="And?", answer="So."),),
    "instructions": "Be kind.",
}  # fmt: skip
"""Of each field of a question, a value that differs."""
ANOTHER_SETTING: dict[str, Any] = {
    "answer_instructions": "Be kind.", "chat_model": "m", "context_tokens": 1,
    "embedding_base_url": "http://h", "embedding_model": "e", "fusion": Fusion.RRF,
    "fusion_dense_weight": 0.7, "openai_base_url": "http://h", "qdrant_collection": "q",
    "rerank_model": "r", "rerank_url": "http://h", "rrf_k": 7, "top_k": 7,
}  # fmt: skip
NOT_OF_ANSWERS = {
    "where things are, and who may come": (
        "redis_ca_file", "redis_sentinel_password", "min_replicas_to_ack",
        "host", "port", "data_dir", "documents_url", "redis_url", "redis_password", "qdrant_url", "qdrant_api_key",
        "openai_api_key", "rerank_api_key", "api_keys", "jwt_secret", "jwt_jwks_url", "jwt_issuer", "jwt_audience",
        "link_secret",
        "trusted_proxies", "public_url", "cors_origins", "webhook_secret", "webhook_allow_private",
        "local_model_path",
    ),
    "how a document comes into the index, which raises its collection's version": (
        "chunk_size", "chunk_overlap", "ocr", "ingest_follow_links", "qdrant_shards", "qdrant_replicas",
        "qdrant_write_replicas", "qdrant_read_fan_out", "qdrant_read_consistency", "qdrant_on_disk",
        "qdrant_quantization",
    ),
    "how much, how often and how long": (
        "valkey_maxmemory_mb", "upload_max_mb", "upload_max_files", "rate_limit", "address_rate_limit",
        "address_connections_max", "worker_concurrency", "worker_processes", "ingest_concurrency",
        "webhook_concurrency",
        "qdrant_timeout_seconds", "model_timeout_seconds", "job_timeout_seconds", "ingest_timeout_seconds",
        "result_ttl_seconds", "failure_ttl_seconds", "conversation_ttl_seconds",
        "answer_cache_ttl_seconds", "semantic_cache_threshold", "model_max_concurrency",
        "model_requests_per_minute", "model_tokens_per_minute", "max_attempts", "shutdown_grace_seconds",
        "max_queue_depth", "key_max_streams", "key_max_waits", "key_max_uploads", "tenant_max_documents",
        "tenant_max_stored_mb", "cancel_on_disconnect",
    ),
    "what is told of it": (
        "database_url", "chat_log_content", "chat_log_retention_days",
        "log_level", "log_format", "log_content", "metrics", "metrics_port", "metrics_host", "model_prices",
    ),
}  # fmt: skip
"""Settings that change no answer, by why."""


def test_every_field_of_a_question_is_told_apart_or_said_not_to_matter() -> None:
    assert set(ANOTHER) == set(AnswerJob.model_fields)
    plain = fingerprint(AnswerJob(query="What?"), ON)
    marks = {name: fingerprint(AnswerJob(**{"query": "What?", name: value}), ON) for name, value in ANOTHER.items()}
    assert {name for name, mark in marks.items() if mark == plain} == NOT_ASKED


def test_every_setting_is_told_apart_or_said_not_to_matter() -> None:
    others = [name for names in NOT_OF_ANSWERS.values() for name in names]
    assert sorted([*others, *(set(SETTINGS) - {"has_chat_model"})]) == sorted(Settings.model_fields)
    assert set(ANOTHER_SETTING) == set(SETTINGS) - {"has_chat_model"}
    job = AnswerJob(query="What?")
    marks = {fingerprint(job, ON.model_copy(update={name: value})) for name, value in ANOTHER_SETTING.items()}
    assert len(marks | {fingerprint(job, ON)}) == len(ANOTHER_SETTING) + 1
    assert fingerprint(job, Settings(openai_api_key="k")) != fingerprint(job, Settings())


@pytest.mark.parametrize("same", ["Ist  das é\tso? ", " Ist das e\u0301 so?"])
def test_only_white_space_and_the_way_of_writing_characters_are_made_one(same: str) -> None:
    assert fingerprint(AnswerJob(query=same), ON) == fingerprint(AnswerJob(query="Ist das é so?"), ON)


def test_case_and_punctuation_count() -> None:
    marks = {fingerprint(AnswerJob(query=query), ON) for query in ("Who may?", "who may?", "Who may", "WHO may?")}
    assert len(marks) == 4


def test_what_is_not_to_be_kept() -> None:
    assert is_kept(AnswerJob(query="?"), ON)
    assert is_kept(AnswerJob(query="?", cache="refresh"), ON)
    assert not is_kept(AnswerJob(query="?", cache="off"), ON)
    assert not is_kept(AnswerJob(query="?", session_id="s"), ON)
    assert not is_kept(AnswerJob(query="?"), ON.model_copy(update={"answer_cache_ttl_seconds": 0}))


def _result(**changed: Any) -> AnswerResult:
    times = Timings(queued=1, retrieval=2, generation=3, total=6)
    fields: dict[str, Any] = {"answer": "A.", "mode": "model", "grounded": False, "citations": (), "model": "m"}
    return AnswerResult(**fields | {"usage": Usage(input_tokens=9), "timings_ms": times} | changed)


def test_a_kept_answer_is_given_again_at_no_cost() -> None:
    body = packed("f" * 64, _result(), "Who?")
    again = unpacked("f" * 64, body)
    assert again is not None
    assert (again.answer, again.cached, again.usage, again.timings_ms.total) == ("A.", "exact", Usage(), 0)


@pytest.mark.parametrize(
    "result",
    [
        _result(finish_reason="length"),
        _result(cached="exact"),
        _result(cached="semantic", cached_question="Who?"),
        _result(answer="x" * ANSWER_BYTES_MAX),
    ],
)
def test_an_answer_cut_off_given_before_or_too_long_is_not_kept(result: AnswerResult) -> None:
    assert packed("f" * 64, result, "Who?") is None


def test_the_same_question_is_not_told_what_it_asked_and_another_wording_is() -> None:
    body = packed("f" * 64, _result(), "Who?")
    same, reworded = unpacked("f" * 64, body), unpacked("f" * 64, body, "semantic")
    assert same is not None
    assert reworded is not None
    assert (same.cached, same.cached_question) == ("exact", None)
    assert (reworded.cached, reworded.cached_question, reworded.usage) == ("semantic", "Who?", Usage())


def test_what_is_none_of_ours_is_none() -> None:
    body = packed("f" * 64, _result(), "Who?")
    assert body is not None
    hostile = [b"", b"\n", body[65:], body[:-1], body.replace(b'"model"', b'"models"', 1), b"e" + body[1:], None, 7,
               body + b" " * ANSWER_BYTES_MAX, b"f" * 64 + b'\n{"a":' * 9_000]  # fmt: skip
    assert [unpacked("f" * 64, each) for each in hostile] == [None] * len(hostile)
    assert unpacked("e" * 64, body) is None
