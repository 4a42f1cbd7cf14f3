"""What the worker leans on in RQ, LangChain and OpenAI's client: an upgrade that changes it is seen here."""

import inspect

import pytest
from rq import Queue, worker_registration
from rq.command import PUBSUB_CHANNEL_TEMPLATE
from rq.executions import Execution
from rq.intermediate_queue import IntermediateQueue
from rq.job import Job
from rq.registry import BaseRegistry
from rq.results import Result
from rq.timeouts import BaseDeathPenalty
from rq.worker import SimpleWorker
from rq.worker.base import BaseWorker

from worker.runtime.intake import TakenJob


def parameters(function: object) -> list[str]:
    return list(inspect.signature(function).parameters)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (Execution.__init__, ["self", "id", "job_id", "connection", "worker_name"]),
        (Job.restore, ["self", "raw_data"]),
        (
            Job._handle_failure,
            [
                "self",
                "exc_string",
                "pipeline",
                "worker_name",
                "execution_id",
                "execution_started_at",
                "execution_ended_at",
            ],
        ),
        (Result.save, ["self", "ttl", "pipeline"]),
        (Queue._persist_job, ["self", "job", "pipeline", "status"]),
        (Queue._enqueue_job, ["self", "job", "pipeline", "at_front", "unique"]),
        (Queue.enqueue_dependents, ["self", "job", "pipeline", "exclude_job_id", "refresh_job_status"]),
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
        (Job, "dependents_key_for"),
        (BaseWorker, "increment_failed_job_count"),
        (BaseWorker, "redis_worker_namespace_prefix"),
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


def test_a_jobs_function_runs_as_rq_runs_it_but_for_the_record_that_persists_already() -> None:
    ours, theirs = (inspect.getsource(function) for function in (TakenJob.perform, Job.perform))
    assert "self.connection.persist(self.key)" in theirs
    assert "_job_stack.push(self)" in theirs
    assert "self._result = self._execute()" in theirs
    assert "persist(self.key)" not in ours
