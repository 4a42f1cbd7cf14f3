"""What the worker leans on inside RQ, redis and httpx: an upgrade that changes it is seen here, by name."""

import inspect

import httpcore2
import httpx2
import pytest
from rq import Queue, worker_registration
from rq.command import PUBSUB_CHANNEL_TEMPLATE
from rq.executions import Execution
from rq.intermediate_queue import IntermediateQueue
from rq.job import Job
from rq.registry import BaseRegistry
from rq.timeouts import BaseDeathPenalty
from rq.worker import SimpleWorker
from rq.worker.base import BaseWorker

from worker.interrupts import interruptible_client


def parameters(function: object) -> list[str]:
    return list(inspect.signature(function).parameters)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (Execution.create, ["job", "ttl", "pipeline", "worker_name"]),
        (Execution.heartbeat, ["self", "started_job_registry", "ttl", "pipeline"]),
        (Queue.lmove, ["connection", "queue_key", "timeout"]),
        (BaseWorker.handle_job_success, ["self", "job", "queue", "started_job_registry"]),
        (BaseWorker.handle_job_failure, ["self", "job", "queue", "started_job_registry", "exc_string"]),
        (BaseWorker.prepare_job_execution, ["self", "job", "remove_from_intermediate_queue"]),
        (Job.cleanup, ["self", "ttl", "pipeline", "remove_from_queue"]),
        (BaseWorker.handle_execution_ended, ["self", "job", "queue", "heartbeat_ttl"]),
        (BaseWorker.dequeue_job_and_maintain_ttl, ["self", "timeout", "max_idle_time"]),
        (BaseWorker.heartbeat, ["self", "timeout", "pipeline"]),
        (BaseWorker.cleanup_execution, ["self", "job", "pipeline"]),
        (BaseWorker.bootstrap, ["self", "logging_level", "date_format", "log_format"]),
        (SimpleWorker.execute_job, ["self", "job", "queue"]),
        (IntermediateQueue.get_first_seen_key, ["self", "job_id"]),
        (BaseRegistry.cleanup, ["self", "timestamp", "exception_handlers"]),
        (worker_registration.clean_worker_registry, ["queue"]),
        (BaseDeathPenalty.__init__, ["self", "timeout", "exception", "kwargs"]),
    ],
)
def test_a_method_takes_what_it_took(function: object, names: list[str]) -> None:
    assert parameters(function) == names


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (Job, "should_retry"),
        (Job, "_handle_failure"),
        (Job, "get_retry_interval"),
        (Job, "redis_job_namespace_prefix"),
        (Queue, "intermediate_queue_key"),
        (Queue, "registry_cleaning_key"),
        (Queue, "acquire_maintenance_lock"),
        (Queue, "scheduled_job_registry"),
        (BaseWorker, "should_run_maintenance_tasks"),
        (BaseWorker, "_set_connection"),
        (BaseWorker, "_install_signal_handlers"),
        (BaseWorker, "request_force_stop"),
    ],
)
def test_a_member_is_there(owner: type, name: str) -> None:
    assert hasattr(owner, name)


def test_keys_are_spelled_as_our_scripts_and_channels_expect() -> None:
    assert PUBSUB_CHANNEL_TEMPLATE == "rq:pubsub:%s"
    assert Job.key_for("x") == "rq:job:x"
    assert worker_registration.WORKERS_BY_QUEUE_KEY == "rq:workers:%s"


def test_a_retry_goes_by_the_fields_that_the_job_sets() -> None:
    source = inspect.getsource(Job.retry) + inspect.getsource(Job.get_retry_interval)
    assert "retries_left" in source
    assert "retry_intervals" in source
    assert "should_retry" in inspect.getsource(BaseWorker.handle_job_failure)
    assert "_stopped_job_id" in inspect.getsource(BaseWorker.handle_job_failure)


def test_the_clients_pool_is_ours() -> None:
    with interruptible_client(1.0) as client:
        pool = client._transport._make()._pool  # type: ignore[attr-defined]
        assert isinstance(pool, httpcore2.ConnectionPool)
        assert type(pool._network_backend).__module__ == "worker.interrupts"
    assert "network_backend" not in parameters(httpx2.HTTPTransport.__init__), "then it can be given, and not set"
