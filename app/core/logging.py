"""Logs: static event names with fields; lines for people on a terminal, JSON elsewhere.

Whose a line is (`job_context`) is bound once, with `structlog.contextvars`: where a request is let in, and where a
job begins. No key or document text is ever a field, nor what an error says, which may be anything; a question and its
answer are with LOG_CONTENT.
"""

import logging
import sys
from collections.abc import Mapping
from typing import Any

import orjson
import structlog

from app.core.contract import is_label
from app.core.errors import ConfigurationError, ServiceError
from app.core.settings import LogFormat, Settings
from app.core.tracebacks import quiet_traceback

NOISY_LOGGERS = (
    "httpx",
    "httpx2",
    "httpcore",
    "openai",
    "qdrant_client",
    "rq.worker",
    "rq.job",
    "rq.scheduler",
)
"""Libraries that log a line for each request or job at INFO."""
SPOKEN = (ServiceError, ConfigurationError)
"""Errors whose text is this service's own words."""
CONTENT_CHARACTERS_MAX = 2_000
"""Of a question or an answer that is logged."""
OWN_EXTRA = ("count",)
"""Fields of our own lines that go through the standard library, since the embedded Qdrant writes them too."""
JOB_NAMES = ("request_id", "tenant", "document_id", "job_id")
"""What a payload, or a record, names that a line about the job has."""
JOB_ID_CHARACTERS_MAX = 128
"""As long as RQ allows; what stands in Valkey may be longer."""


def configure_logging(settings: Settings) -> None:
    """Send structlog's and the standard library's records to stderr in one format."""
    as_json = settings.log_format is LogFormat.JSON or (
        settings.log_format is LogFormat.AUTO and not sys.stderr.isatty()
    )
    level = settings.log_level.upper()
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: list[structlog.types.Processor] = (
        [structlog.processors.JSONRenderer(_json)]
        if as_json
        else [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    )
    render.insert(0, structlog.processors.ExceptionRenderer(_quietly))
    # Our own lines do not go through the standard library: a line costs 9 us so, and 31 us otherwise.
    structlog.configure(
        processors=[*shared, *render],
        logger_factory=_StderrLogger,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(allow=OWN_EXTRA)],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.INFO, logging.getLevelName(level)))  # libraries' own debugging shows what they send
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.getLogger("uvicorn.access").addFilter(_WithoutQuery())


class _WithoutQuery(logging.Filter):
    """uvicorn's lines of requests, where they are not turned off, without the query: it may hold a ticket."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple) and len(record.args) == 5:
            client, method, path, version, status = record.args
            record.args = (client, method, str(path).partition("?")[0], version, status)
        return True


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of a module: `log = get_logger(__name__)`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(name)
    return logger


def job_context(job_id: str | None, about: object) -> dict[str, str]:
    """What every line about a job has: its id, and the request, the tenant and the document that `about` names.

    `about` is its payload, or fields of its record; it may be hostile, and what is no label is left out. A webhook's
    payload names the job that it tells of: that is the one whose story the line belongs to.
    """
    found = {"job_id": job_id[:JOB_ID_CHARACTERS_MAX]} if job_id is not None else {}
    given: Mapping[object, object] = about if isinstance(about, dict) else {}
    for name in JOB_NAMES:
        value = given.get(name)
        text = value.decode(errors="replace") if isinstance(value, bytes) else value
        if isinstance(text, str) and is_label(text):
            found[name] = text
    return found


def content(settings: Settings, **texts: str) -> dict[str, str]:
    """Fields for a question or an answer: the beginning of each with LOG_CONTENT, else nothing."""
    return {name: text[:CONTENT_CHARACTERS_MAX] for name, text in texts.items()} if settings.log_content else {}


class _StderrLogger:
    """Writes lines to whatever is stderr by then; `name` is what `add_logger_name` shows."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def write(self, line: str) -> None:
        """One line in one call, so that lines of several threads stay whole; stderr flushes at its end."""
        sys.stderr.write(line + "\n")

    debug = info = warning = error = critical = write


def _quietly(exc_info: structlog.typing.ExcInfo) -> str:
    return quiet_traceback(exc_info[1], spoken=SPOKEN)


def _json(line: object, **options: Any) -> str:
    return orjson.dumps(line, **options).decode()
