"""The drill of a batch counts what its files say: an end of each kind, and lines that are in neither file."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from app.batches.runner import LOST
from app.core.errors import ErrorCode, JobError
from app.routes.openai.errors import OpenAIError, job_cancelled, job_failed
from benchmarks.drill import TOKENS, batch_tally
from tests.support.model_server import new_stats

Line = Mapping[str, Any]
FAILED = JobError(code=ErrorCode.MODEL_TIMEOUT, message="It took too long.", retryable=True)


def done(number: int) -> Line:
    return {"custom_id": str(number), "response": {"status_code": 200, "body": {}}, "error": None}


def ended(number: int, error: OpenAIError) -> Line:
    """As the error file has a line whose job ended so."""
    body = error.body.model_dump()
    return {"custom_id": str(number), "response": {"status_code": error.status, "body": body}, "error": None}


def unanswered(number: int) -> Line:
    code, message = LOST
    return {"custom_id": str(number), "response": None, "error": {"code": code, "message": message}}


STOPPED, BROKEN = ended(1, job_cancelled()), ended(1, job_failed(FAILED))


@pytest.mark.parametrize(
    ("output", "errors", "counts", "codes"),
    [
        ([done(0), done(1)], [], (2, 0, 0, 0), set()),
        ([done(0)], [STOPPED], (1, 0, 1, 0), {"cancelled"}),
        ([done(0)], [BROKEN], (1, 1, 0, 0), {"model_timeout"}),
        ([done(0)], [unanswered(1)], (1, 1, 0, 0), {LOST[0]}),
        ([done(0)], [], (1, 0, 0, 1), set()),
        ([done(0), done(0)], [], (2, 0, 0, 1), set()),
        ([], [], (0, 0, 0, 2), set()),
    ],
    ids=["all", "stopped", "failed", "unanswered", "one lost", "one twice and one lost", "no file"],
)
def test_each_end_is_counted_as_what_it_was(
    output: Sequence[Line], errors: Sequence[Line], counts: tuple[int, ...], codes: set[str]
) -> None:
    tally = batch_tally(2, output, errors, new_stats(), 1.0)
    assert (tally.finished, tally.failed, tally.stopped, tally.lost) == counts
    assert tally.codes == codes


@pytest.mark.parametrize(("answered", "twice"), [(2, 0), (3, 1), (1, 0)])
def test_a_line_that_the_model_answered_again_ran_twice(answered: int, twice: int) -> None:
    stats = new_stats()
    stats["completion_tokens"], stats["requests"] = answered * TOKENS, answered + 1
    tally = batch_tally(2, [done(0), done(1)], [], stats, 1.0)
    assert (tally.run_twice, tally.answered, tally.model_calls) == (twice, answered, answered + 1)
