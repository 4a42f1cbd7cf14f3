"""What operators may ask for and are shown keeps up with the kinds of jobs and the queues that there are."""

from typing import get_args

import pytest
from pydantic import ValidationError

from app.core.contract import WebhookJob
from app.core.queue.producer import DEAD_LETTER_QUEUES
from app.core.queue.records import KINDS
from app.routes.watch_schemas import ChosenJobs, FailedFilter, FailedKind, Kind
from app.schemas import JobState


def test_every_kind_of_job_but_deliveries_is_shown() -> None:
    shown = {kind.name for kind in KINDS.values()} - {KINDS[WebhookJob].name}
    assert set(get_args(Kind)) == shown == set(get_args(JobState.model_fields["kind"].annotation))


def test_dead_letters_can_be_filtered_by_every_queue_and_kind_that_has_them() -> None:
    assert set(get_args(FailedKind)) == {kind.name for kind in KINDS.values() if kind.queue in DEAD_LETTER_QUEUES}
    for queue in DEAD_LETTER_QUEUES:
        assert FailedFilter.model_validate({"queue": queue}).queue == queue
    for queue in ("rag_webhooks", "rag_pages"):
        with pytest.raises(ValidationError):
            FailedFilter.model_validate({"queue": queue})


def test_a_choice_names_jobs_or_gives_a_filter() -> None:
    assert ChosenJobs.model_validate({"filter": {}, "cursor": "1795350600:a"}).cursor == "1795350600:a"
    for wrong in ({}, {"job_ids": ["a"], "filter": {}}, {"job_ids": ["a"], "cursor": "1:a"}):
        with pytest.raises(ValidationError):
            ChosenJobs.model_validate(wrong)
