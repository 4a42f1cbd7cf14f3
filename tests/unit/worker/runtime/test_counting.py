"""What a worker tells, as Prometheus is shown it; and that nobody's words become a label, or a number a failure."""

from typing import get_args

import pytest
from prometheus_client import generate_latest

from app.core.errors import ErrorCode, ServiceError
from app.core.metrics.families import WorkerFamilies
from tests.support.metrics import samples
from worker.runtime.counting import SECONDS_MAX, TOKENS_MAX, Counting
from worker.runtime.interrupts import own_calls
from worker.runtime.measures import Asked, Became, Measures, count_by, measures
from worker.runtime.model_names import ModelName, model_name

CHAT = Asked("chat", ModelName("anthropic", "claude", "anthropic:claude"))
CALL = {"gen_ai_operation_name": "chat", "gen_ai_provider_name": "anthropic", "gen_ai_request_model": "claude"}


class Counted:
    """A process's numbers."""

    def __init__(self, **prices: tuple[float, float]) -> None:
        self.families = WorkerFamilies()
        self.measures = Counting(self.families, ["q"], prices or None)

    def __call__(self, name: str, **labels: str) -> float | None:
        page = samples(generate_latest(self.families.registry).decode())
        return page.get((name, frozenset(labels.items())))

    def labels(self) -> set[str]:
        page = samples(generate_latest(self.families.registry).decode())
        return {text for _, labels in page for _, text in labels}


@pytest.mark.parametrize("became", get_args(Became))
def test_a_job_ends_once_and_each_attempt_has_its_time(became: Became) -> None:
    counted = Counted()
    counted.measures.job_began("q")
    assert counted("rag_jobs_active", queue="q") == 1
    counted.measures.job_ended("q", became, waited=0.3, ran=2.0, reason="model_timeout")
    assert counted("rag_jobs_active", queue="q") == 0
    assert counted("rag_job_queue_wait_seconds_sum", queue="q", outcome=became) == 0.3
    assert counted("rag_job_duration_seconds_sum", queue="q", outcome=became) == 2.0
    is_end = became in ("finished", "failed", "stopped")
    assert counted("rag_jobs_total", queue="q", outcome=became) == (1 if is_end else None)
    is_retried = became == "retried"
    assert counted("rag_job_retries_total", queue="q", reason="model_timeout") == (1 if is_retried else None)


def test_a_served_queue_is_shown_before_its_first_job() -> None:
    counted = Counted()
    assert counted("rag_jobs_active", queue="q") == 0
    assert counted("rag_jobs_recovered_total", queue="q") == 0
    assert [counted("rag_jobs_total", queue="q", outcome=end) for end in ("finished", "failed", "stopped")] == [0] * 3


def test_a_job_that_fails_or_comes_back_without_an_attempt_counts() -> None:
    counted = Counted()
    counted.measures.job_failed("q")
    counted.measures.job_recovered("q")
    assert counted("rag_jobs_total", queue="q", outcome="failed") == 1
    assert counted("rag_jobs_recovered_total", queue="q") == 1


@pytest.mark.parametrize("reason", [None, 7, "x" * 99, {"a": 1}])
def test_a_retry_whose_record_says_anything_has_the_reason_of_an_unknown_error(reason: object) -> None:
    counted = Counted()
    counted.measures.job_began("q")
    counted.measures.job_ended("q", "retried", waited=0, ran=0, reason=reason)
    assert counted("rag_job_retries_total", queue="q", reason="internal_error") == 1


@pytest.mark.parametrize(("waited", "is_counted_as"), [(-3.0, 0.0), (1e12, SECONDS_MAX)])
def test_a_time_that_a_record_makes_up_is_bounded(waited: float, is_counted_as: float) -> None:
    counted = Counted()
    counted.measures.job_began("q")
    counted.measures.job_ended("q", "finished", waited=waited, ran=0)
    counted.measures.budget_waited(waited)
    assert counted("rag_job_queue_wait_seconds_sum", queue="q", outcome="finished") == is_counted_as
    assert counted("rag_model_budget_wait_seconds_sum") == is_counted_as


def test_a_stage_counts_also_when_it_fails() -> None:
    counted = Counted()
    with counted.measures.stage("embed"):
        pass
    with pytest.raises(ValueError, match="so"), counted.measures.stage("search"):
        raise ValueError("so")
    for stage in ("embed", "search"):
        assert counted("rag_retrieval_duration_seconds_count", stage=stage) == 1


def test_answers_and_their_citations() -> None:
    counted = Counted()
    counted.measures.answered("model", grounded=False, kept=2, dropped=1)
    counted.measures.answered("extractive", grounded=True, kept=0, dropped=0)
    assert counted("rag_answers_total", mode="model", grounded="false") == 1
    assert counted("rag_answers_total", mode="extractive", grounded="true") == 1
    assert [counted("rag_citations_total", outcome=outcome) for outcome in ("kept", "dropped")] == [2, 1]


def test_a_call_that_succeeds_has_tokens_a_first_piece_and_a_price() -> None:
    counted = Counted(claude=(2.0, 8.0))
    heard: list[str] = []
    with counted.measures.model_call(CHAT) as call:
        on_text = call.heard(heard.append)
        on_text("a")
        on_text("b")
        call.spent(1_000_000, 500_000)
    assert heard == ["a", "b"]
    assert counted("gen_ai_client_operation_duration_seconds_count", **CALL, error_type="") == 1
    assert counted("gen_ai_client_operation_time_to_first_chunk_seconds_count", **CALL) == 1
    assert counted("gen_ai_client_token_usage_sum", **CALL, gen_ai_token_type="input") == 1_000_000
    assert counted("gen_ai_client_token_usage_sum", **CALL, gen_ai_token_type="output") == 500_000
    assert counted("rag_model_cost_usd_total", model="claude") == 6.0


def test_a_price_may_have_the_name_that_the_setting_has() -> None:
    counted = Counted(**{"anthropic:claude": (1.0, 0.0), "claude": (9.0, 9.0)})
    with counted.measures.model_call(CHAT) as call:
        call.spent(1_000_000)
    assert counted("rag_model_cost_usd_total", model="claude") == 1.0


def test_a_model_without_a_price_costs_nothing_that_is_shown() -> None:
    counted = Counted(Claude=(1.0, 1.0))
    with counted.measures.model_call(CHAT) as call:
        call.spent(5, 5)
    assert counted("rag_model_cost_usd_total", model="claude") is None
    with Counted().measures.model_call(CHAT) as call:  # nor without any price
        call.spent(5, 5)


@pytest.mark.parametrize(
    ("error", "error_type"),
    [
        (ServiceError(ErrorCode.MODEL_TIMEOUT), "model_timeout"),
        (type("Named7312Error", (Exception,), {})("secret"), "_OTHER"),
        (KeyboardInterrupt(), "_OTHER"),
    ],
)
def test_a_call_that_fails_has_a_code(error: BaseException, error_type: str) -> None:
    counted = Counted()
    with pytest.raises(type(error)), counted.measures.model_call(CHAT):
        raise error
    assert counted("gen_ai_client_operation_duration_seconds_count", **CALL, error_type=error_type) == 1
    assert counted("gen_ai_client_token_usage_count", **CALL, gen_ai_token_type="input") is None


def test_a_failure_that_raises_nothing_is_one_too() -> None:
    counted = Counted()
    with counted.measures.model_call(CHAT) as call:
        call.failed(ErrorCode.MODEL_REJECTED)
    assert counted("gen_ai_client_operation_duration_seconds_count", **CALL, error_type="model_rejected") == 1


def test_a_call_whose_job_was_told_to_end_is_not_the_models_fault() -> None:
    counted = Counted()
    own_calls().interrupt()
    try:
        with pytest.raises(ServiceError), counted.measures.model_call(CHAT):
            raise ServiceError(ErrorCode.MODEL_UNAVAILABLE)
    finally:
        own_calls().reset()
    assert counted("gen_ai_client_operation_duration_seconds_count", **CALL, error_type="interrupted") == 1


@pytest.mark.parametrize("told", [10**400, -(10**400), -1, 2**64])
def test_a_server_that_counts_as_it_likes_fails_no_answer(told: int) -> None:
    counted = Counted(claude=(1e6, 1e6))
    with counted.measures.model_call(CHAT) as call:
        call.spent(told, told)
    shown = counted("gen_ai_client_token_usage_sum", **CALL, gen_ai_token_type="input")
    assert shown == (TOKENS_MAX if told > 0 else None)


def test_only_documents_that_were_indexed_have_pages_and_a_time() -> None:
    counted = Counted()
    counted.measures.document("indexed", "a.PDF", pages=3, ran=1.5)
    counted.measures.document("unchanged", "a.pdf", pages=3, ran=0.1)
    counted.measures.document("failed", "a.pdf")
    assert [
        counted("rag_ingest_documents_total", outcome=outcome) for outcome in ("indexed", "unchanged", "failed")
    ] == [1, 1, 1]
    assert counted("rag_ingest_pages_total") == 3
    assert counted("rag_ingest_duration_seconds_sum", kind="pdf") == 1.5


def test_names_of_files_are_no_label() -> None:
    counted = Counted()
    for number in range(500):
        counted.measures.document("indexed", f"secret.x{number}", pages=1, ran=1.0)
    assert counted("rag_ingest_duration_seconds_count", kind="other") == 500
    assert not [label for label in counted.labels() if "x4" in label]


def test_webhooks_and_caches() -> None:
    counted = Counted()
    for outcome in ("delivered", "failed", "failed"):
        counted.measures.webhook(outcome)
    counted.measures.cache("pictures", is_hit=True)
    counted.measures.cache("pictures", is_hit=False)
    assert [counted("rag_webhook_deliveries_total", outcome=outcome) for outcome in ("delivered", "failed")] == [1, 2]
    assert counted("rag_cache_requests_total", cache="pictures", result="hit") == 1
    assert counted("rag_cache_requests_total", cache="pictures", result="miss") == 1


def test_each_event_that_can_be_told_is_counted() -> None:
    """What `Measures` alone has would be counted by nobody."""
    told = {name for name in vars(Measures) if not name.startswith("_")}
    assert told <= {name for name in vars(Counting) if not name.startswith("_")}


def test_where_nothing_counts_what_is_told_goes_nowhere() -> None:
    with measures().model_call(CHAT) as call, measures().stage("search"):
        assert call.heard(print) is print
        call.spent(1, 1)
        call.failed(ErrorCode.INTERNAL)
    counting = Counted().measures
    count_by(counting)
    try:
        assert measures() is counting
    finally:
        count_by(None)
    assert type(measures()) is Measures


@pytest.mark.parametrize(
    ("setting", "provider", "model"),
    [
        ("gpt-4.1", "openai", "gpt-4.1"),
        ("qwen3:4b", "openai", "qwen3:4b"),
        ("anthropic:claude-haiku-4-5", "anthropic", "claude-haiku-4-5"),
        ("google_genai:gemini-3", "gcp.gemini", "gemini-3"),
        ("ollama:qwen3:4b", "ollama", "qwen3:4b"),
    ],
)
def test_models_are_named_as_the_convention_has_it(setting: str, provider: str, model: str) -> None:
    assert model_name(setting, "chat_models") == ModelName(provider, model, setting)
