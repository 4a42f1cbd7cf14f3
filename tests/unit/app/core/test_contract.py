"""What the packages agree on without importing each other."""

import tomllib

import pytest
from pydantic import ValidationError

from app.core.contract import QUERY_MAX_CHARACTERS, AnswerJob
from app.core.errors import MESSAGES, ErrorCode, JobError
from app.core.version import VERSION
from tests.support import ROOT


def test_every_error_code_has_a_public_message() -> None:
    assert set(MESSAGES) == set(ErrorCode)
    assert JobError.of(ErrorCode.MODEL_UNAVAILABLE).retryable
    assert not JobError.of(ErrorCode.MODEL_AUTH_FAILED).retryable


def test_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["version"] == VERSION


@pytest.mark.parametrize(
    "payload",
    [{}, {"query": ""}, {"query": " \n"}, {"query": "x" * (QUERY_MAX_CHARACTERS + 1)},
     {"query": "x", "tenant": "a b"},
     {"query": "x", "surprise": 1}, {"query": "x", "top_k": 0}, {"query": "x", "document_ids": []},
     {"query": b"x", "top_k": "many"}],
)  # fmt: skip
def test_a_payload_that_is_not_a_question_is_refused(payload: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AnswerJob.model_validate(payload)
