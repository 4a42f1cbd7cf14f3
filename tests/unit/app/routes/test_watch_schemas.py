"""What operators may ask for and are shown keeps up with the kinds of jobs and the queues that there are."""

from typing import get_args

import pytest
from pydantic import ValidationError

from app.core.contract import WebhookJob
from app.core.queue.producer import SHOWN_QUEUES
from app.core.queue.records import KINDS
from app.routes.watch_schemas import ChosenJobs, FailedFilter, Kind
from app.schemas import JobState


def test_every_kind_of_job_but_deliveries_is_shown_and_can_be_filtered() -> None:
    shown = {kind.name for kind in KINDS.values()} - {KINDS[WebhookJob].name}
    assert set(get_args(Kind)) == shown == set(get_args(JobState.model_fields["kind"].annotation))


def test_every_queue_whose_jobs_are_shown_can_be_filtered() -> None:
    for queue in SHOWN_QUEUES:
        assert FailedFilter.model_validate({"queue": queue}).queue == queue
    with pytest.raises(ValidationError):
        FailedFilter.model_validate({"queue": "rag_webhooks"})


def test_a_choice_names_jobs_or_gives_a_filter() -> None:
    assert ChosenJobs.model_validate({"filter": {}, "cursor": "1795350600:a"}).cursor == "1795350600:a"
    for wrong in ({}, {"job_ids": ["a"], "filter": {}}, {"job_ids": ["a"], "cursor": "1:a"}):
        with pytest.raises(ValidationError):
            ChosenJobs.model_validate(wrong)
