"""Conversations on a real Valkey, by real workers and a model over HTTP."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from time import monotonic
from typing import Any

import pytest
from pydantic import SecretStr
from redis import Redis
from rq import Queue, SimpleWorker

from app.core.contract import DEFAULT_TENANT, QUERY_QUEUE, AnswerJob, AnswerResult, Citation, EarlierTurn, JobStatus
from app.core.queue.connections import connect
from app.core.queue.conversations import (
    Conversation,
    ConversationNotFoundError,
    ConversationPage,
    Conversations,
    conversation_key,
    turn_fields,
)
from app.core.queue.conversation_scripts import KEEP
from app.core.queue.producer import QUEUES
from app.core.queue.records import JobView
from app.core.queue.turns import BYTES_MAX, CONVERSATIONS_MAX, TURN_BYTES_MAX, TURNS_MAX
from app.core.queue.usage import usage_key
from app.core.serializer import PlainSerializer
from app.core.settings import Settings
from tests.integration.worker.test_worker import ask, with_model, work
from tests.security.test_full_memory import full
from tests.support import ROOT
from tests.support.acting import answer
from tests.support.contents import everything_in
from tests.support.model_server import ModelServer
from tests.support.processes import wait_until
from tests.support.queue import JobQueue, on_valkey
from worker.own_job import OwnJob  # noqa
from worker.resources import REWRITE_SECONDS, end
