"""Every metric's name, labels and meaning, in one place: the board, the alerts and the pages keep to them.

No label grows without bound: none is an id, a tenant, a file's name, a path or anything that a caller wrote. Where a
value could be anything (a model's name, an error's code), the service's own settings and enumerations bound it.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from app.core.metrics import buckets
from app.core.version import VERSION

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each counter and histogram, which no board or alert reads


def _build_info(registry: CollectorRegistry) -> None:
    Gauge("rag_build_info", "1; its label says which version runs", ["version"], registry=registry).labels(
        VERSION
    ).set(1)


def _cache_requests(registry: CollectorRegistry) -> Counter:
    """Of an API process and of a worker: both look into the cache of answers."""
    return Counter(
        "rag_cache_requests", "Looks into a cache, by what was found", ["cache", "result"], registry=registry
    )


class ApiFamilies:
    """What one API process counts, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        _build_info(registry)
        labels = ["method", "route", "status"]
        self.http_requests = Counter(
            "rag_http_requests", "Requests answered; route is the template", labels, registry=registry
        )
        self.http_seconds = Histogram(
            "rag_http_request_duration_seconds",
            "From a request's first byte to its answer's last",
            labels,
            buckets=buckets.HTTP,
            registry=registry,
        )
        self.streams = Gauge("rag_streams_active", "Streams that are open", registry=registry)
        self.waiters = Gauge("rag_waiters_active", "Requests that wait for a job's end", registry=registry)
        self.cache_requests = _cache_requests(registry)


class WorkerFamilies:
    """What one worker process counts for all its threads, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        _build_info(registry)
        jobs = ["queue", "outcome"]
        self.jobs = Counter("rag_jobs", "Jobs that have ended", jobs, registry=registry)
        self.job_wait = Histogram(
            "rag_job_queue_wait_seconds",
            "From when an attempt could have begun to when it began",
            jobs,
            buckets=buckets.JOB,
            registry=registry,
        )
        self.job_seconds = Histogram(
            "rag_job_duration_seconds", "One attempt at a job", jobs, buckets=buckets.JOB, registry=registry
        )
        self.job_retries = Counter(
            "rag_job_retries", "Attempts after which a job is tried again", ["queue", "reason"], registry=registry
        )
        self.jobs_recovered = Counter(
            "rag_jobs_recovered",
            "Jobs of workers that are gone, put back on their queue",
            ["queue"],
            registry=registry,
        )
        self.jobs_active = Gauge("rag_jobs_active", "Jobs that run in this process", ["queue"], registry=registry)
        self.retrieval_seconds = Histogram(
            "rag_retrieval_duration_seconds",
            "A stage of retrieval: embed, search or rerank",
            ["stage"],
            buckets=buckets.STAGE,
            registry=registry,
        )
        self.answers = Counter("rag_answers", "Answers given", ["mode", "grounded"], registry=registry)
        self.citations = Counter(
            "rag_citations", "Citations of the model that were checked", ["outcome"], registry=registry
        )
        self.budget_wait = Histogram(
            "rag_model_budget_wait_seconds",
            "How long a question waited for its turn in the model's budget",
            buckets=buckets.JOB,
            registry=registry,
        )
        self.cost = Counter(
            "rag_model_cost_usd", "What the model's tokens cost by MODEL_PRICES, in US dollars", ["model"],
            registry=registry,
        )  # fmt: skip
        self.cache_requests = _cache_requests(registry)
        self.ingest_documents = Counter(
            "rag_ingest_documents", "Documents whose indexing has ended", ["outcome"], registry=registry
        )
        self.ingest_pages = Counter("rag_ingest_pages", "Pages of documents that were indexed", registry=registry)
        self.ingest_seconds = Histogram(
            "rag_ingest_duration_seconds",
            "Indexing of one document, by its kind of file",
            ["kind"],
            buckets=buckets.JOB,
            registry=registry,
        )
        self.webhooks = Counter(
            "rag_webhook_deliveries", "Attempts at delivering a webhook", ["outcome"], registry=registry
        )
        calls = ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"]
        self.model_seconds = Histogram(
            "gen_ai_client_operation_duration_seconds",
            "A call to a model; error_type is empty when it succeeded",
            [*calls, "error_type"],
            buckets=buckets.OPERATION,
            registry=registry,
        )
        self.model_tokens = Histogram(
            "gen_ai_client_token_usage",
            "Tokens of a call to a model",
            [*calls, "gen_ai_token_type"],
            buckets=buckets.TOKENS,
            registry=registry,
        )
        self.model_first_chunk = Histogram(
            "gen_ai_client_operation_time_to_first_chunk_seconds",
            "From a streamed call to its first chunk",
            calls,
            buckets=buckets.OPERATION,
            registry=registry,
        )


QUEUE_FAMILIES = {
    "rq_workers": ("RQ workers, one a process", ["name", "state", "queues"]),
    "rq_jobs": ("Jobs of a queue by state", ["queue", "status"]),
    "rq_workers_success_total": ("Jobs that a worker ended well", ["name", "queues"]),
    "rq_workers_failed_total": ("Jobs that failed on a worker", ["name", "queues"]),
    "rq_workers_working_time_total": ("Seconds that a worker spent on jobs", ["name", "queues"]),
    "rag_queue_oldest_job_age_seconds": ("How long the next job of a queue has waited", ["queue"]),
    "rag_outbox_lag_seconds": ("How long the next ended job has waited for a reader of the outbox", ["reader"]),
    "rag_model_budget_used_ratio": ("How much of the model's budget is used, 0 to 1", ["limit"]),
}
"""What an API process reads from Valkey when it is asked, of the service's own queues; each replica says the same.

The first five have the names and labels of rq-exporter, whose boards work with them. A worker's counts are RQ's own,
and gone with the worker."""
