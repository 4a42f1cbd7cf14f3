"""One boundary for every kind of job: what is raised inside becomes a code, and nothing of it leaves but that."""

from importlib import import_module

import pytest
from pydantic import ValidationError
from redis.exceptions import ConnectionError as RedisConnectionError
from rq.timeouts import JobTimeoutException

from app.core.contract import AnswerJob
from app.core.errors import MESSAGES, ConfigurationError, ErrorCode, ServiceError
from app.core.queue.records import KINDS, Kind
from ingest.failures import failure_of_document
from worker.runtime.boundary import Failure, PutBackError, boundary, failure_of
from worker.runtime.retries import Backoff, JobFailedError

BACKOFF = Backoff(base_seconds=1.0, max_seconds=30.0)


def _invalid() -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        AnswerJob.model_validate({})
    return caught.value


def _caused_by_the_limit() -> RuntimeError:
    """As a client of the model hides what ended its wait."""
    error = RuntimeError("read failed")
    error.__cause__ = JobTimeoutException("too long")
    return error


ERRORS = [
    *((ServiceError(code), code) for code in ErrorCode),
    (_invalid(), ErrorCode.PAYLOAD_INVALID),
    (ConfigurationError("no Qdrant"), ErrorCode.INDEX_UNAVAILABLE),
    (JobTimeoutException("too long"), ErrorCode.JOB_TIMEOUT),
    (_caused_by_the_limit(), ErrorCode.JOB_TIMEOUT),
    (KeyError("secret"), ErrorCode.INTERNAL),
]


@pytest.mark.parametrize("classify", [failure_of, failure_of_document])
@pytest.mark.parametrize(("error", "code"), ERRORS, ids=lambda value: getattr(value, "value", type(value).__name__))
def test_what_a_job_raises_becomes_a_code_and_its_public_words(
    classify: object, error: BaseException, code: ErrorCode
) -> None:
    told: list[tuple[Failure | None, bool]] = []
    with (
        pytest.raises(JobFailedError) as caught,
        boundary(
            "test",
            {},
            backoff=BACKOFF,
            classify=classify,  # type: ignore[arg-type]
            on_failed=lambda failure, *, is_tried_again: told.append((failure, is_tried_again)),
        ),
    ):
        raise error
    [(failure, is_tried_again)] = told
    assert failure is not None
    assert (failure.code, is_tried_again) == (code, False)
    assert str(caught.value) == f"{code.value}: {failure.message}"
    assert caught.value.__cause__ is None
    if classify is failure_of:
        assert failure.message == MESSAGES[code]


def test_valkeys_absence_is_a_fault_of_ours_for_a_question_and_a_matter_of_patience_for_a_document() -> None:
    assert failure_of(RedisConnectionError()).code is ErrorCode.INTERNAL
    assert failure_of_document(RedisConnectionError()).code is ErrorCode.INDEX_UNAVAILABLE


def test_a_job_that_gives_up_its_turn_has_not_failed() -> None:
    told: list[object] = []
    with (
        pytest.raises(JobFailedError, match="back on the queue"),
        boundary("test", {}, backoff=BACKOFF, on_failed=lambda *_, **__: told.append(1)),
    ):
        raise PutBackError("over_budget")
    assert not told


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_kind_of_job_has_its_function_and_says_what_to_open_for_it(kind: Kind) -> None:
    module, _, name = kind.function.rpartition(".")
    assert callable(getattr(import_module(module), name))
    assert callable(import_module(module).prepare)


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS.values() if kind.name != "webhook"], ids=lambda kind: kind.name
)
def test_every_kind_of_job_refuses_what_is_no_payload_of_its_own(kind: Kind) -> None:
    module, _, name = kind.function.rpartition(".")
    with pytest.raises(JobFailedError, match=ErrorCode.PAYLOAD_INVALID.value):
        getattr(import_module(module), name)({"unknown": 1})
