"""Log lines: whose they are, what they never say, and that their names are fixed words."""

import ast
import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import ErrorCode, ServiceError
from app.core.logging import CONTENT_CHARACTERS_MAX, configure_logging, content, get_logger, job_context
from app.core.settings import Settings
from app.core.tracebacks import quiet_traceback
from app.embedded.qdrant.lines import FIELDS, Lines
from app.problems.table import TABLE
from tests.support import ROOT

SECRET = "hunter2"
WRITES = {"debug", "info", "warning", "error", "exception", "critical"}
EVENT = re.compile(r"[a-z]+(_[a-z]+)*")
LOGGERS = {"log", "logger"}


@contextmanager
def debugging() -> Iterator[io.StringIO]:
    """What the service writes as it debugs, the standard library's lines too."""
    with redirect_stderr(io.StringIO()) as written:
        configure_logging(Settings(log_level="debug", log_format="json"))
        yield written
    configure_logging(Settings())


def calls() -> Iterator[tuple[Path, ast.Call]]:
    """All calls of a logger's in the packages."""
    for package in ("app", "worker", "ingest"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES:
                    owner = node.func.value
                    name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
                    if name in LOGGERS:
                        yield path.relative_to(ROOT), node


def test_every_event_is_a_fixed_word() -> None:
    found = list(calls())
    assert len(found) > 60
    strange = [
        f"{path}:{call.lineno}"
        for path, call in found
        if not (
            len(call.args) == 1
            and isinstance(call.args[0], ast.Constant)
            and EVENT.fullmatch(str(call.args[0].value))
        )
    ]
    assert [where for where in strange if not where.startswith("app/problems/__init__.py")] == []
    assert len(strange) <= 1, "the table of problems names its events"
    assert all(EVENT.fullmatch(row.event) for row in TABLE if row.event is not None)


def test_a_line_of_a_job_names_its_request_and_its_tenant() -> None:
    payload = {"query": "?", "tenant": "acme", "request_id": "r1"}
    assert job_context("j1", payload) == {"job_id": "j1", "request_id": "r1", "tenant": "acme"}
    assert job_context("j1", {"tenant": b"acme", "request_id": None}) == {"job_id": "j1", "tenant": "acme"}
    assert job_context("j1-webhook", payload | {"job_id": "j1"})["job_id"] == "j1", "whose news it is"


@pytest.mark.parametrize(
    "about",
    [
        None, "acme", [1], 7, {"tenant": ["acme"]}, {"tenant": "two words", "request_id": "x" * 129},
        {"tenant": b"\xff"}, {"request_id": "a\nb"}, {"job_id": "../.."}, {1: 2},
    ],
)  # fmt: skip
def test_what_is_no_name_is_not_in_it(about: object) -> None:
    assert job_context("j1", about) == {"job_id": "j1"}
    assert job_context(None, about) == {}
    assert len(job_context("j" * 1000, about)["job_id"]) == 128


def test_questions_and_answers_are_logged_on_request_and_their_beginning_alone() -> None:
    assert content(Settings(), question="?") == {}
    shown = content(Settings(log_content=True), question="?", answer="a" * 9_999)
    assert shown == {"question": "?", "answer": "a" * CONTENT_CHARACTERS_MAX}


class SilentError(RuntimeError):
    """Its text is made when it is asked for."""

    def __str__(self) -> str:
        raise AssertionError("nobody asks")


def throw(error: BaseException, cause: BaseException | None = None) -> None:
    raise error from cause


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    with pytest.raises(type(error)) as caught:
        throw(error, cause)
    return caught.value


def chained() -> BaseException:
    """A cause that was meant, and one that was not."""
    first, last = KeyError(SECRET), ServiceError(ErrorCode.MODEL_UNAVAILABLE)
    first.add_note(SECRET)
    last.__context__ = raised(ValueError(SECRET), raised(first))
    with pytest.raises(ServiceError):
        raise last
    return last


def test_a_traceback_says_where_and_which_but_not_what() -> None:
    shown = quiet_traceback(chained(), spoken=(ServiceError,))
    assert shown.index("KeyError") < shown.index("ValueError") < shown.index("app.core.errors.ServiceError")
    assert "model_unavailable" in shown
    assert shown.count("test_logging.py") >= 3
    assert shown.count("which led to:") == 2
    assert SECRET not in shown.replace("SECRET", "")


def test_groups_loops_and_errors_without_words_are_shown_too() -> None:
    group = raised(BaseExceptionGroup(SECRET, [raised(OSError(28, SECRET)), raised(SilentError(SECRET))]))
    group.exceptions[0].__context__ = group  # type: ignore[attr-defined]
    shown = quiet_traceback(group)
    assert "ExceptionGroup" in shown
    assert "OSError: ENOSPC" in shown
    assert "SilentError" in shown
    assert SECRET not in shown


def test_a_long_story_is_cut() -> None:
    error: BaseException = ValueError()
    for _ in range(100):
        later = ValueError()
        later.__cause__ = error
        error = later
    assert quiet_traceback(error).count("ValueError") == 16


def test_no_error_says_its_text_in_the_log() -> None:
    with debugging() as written:
        get_logger("worker.x").warning("job_failed", exc_info=RuntimeError(SECRET))
        get_logger("worker.x").error("job_failed", exc_info=chained())
        logging.getLogger("uvicorn.error").error("Exception in ASGI application", exc_info=chained())
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert len(lines) == 3
    assert all("Error" in line["exception"] for line in lines)
    assert SECRET not in written.getvalue()


def test_libraries_own_debugging_stays_out() -> None:
    with debugging() as written:
        for library in ("botocore.auth", "urllib3", "httpx", "asyncio"):
            logging.getLogger(library).debug("Authorization: %s", SECRET)
        get_logger("app").debug("ours")
    assert [json.loads(line)["event"] for line in written.getvalue().splitlines()] == ["ours"]


@pytest.mark.parametrize("as_json", [True, False])
def test_the_embedded_index_has_lines_of_the_same_form(as_json: bool) -> None:
    about: dict[str, Any] = {"collection": "c", "exit_code": 1, "other": SECRET}
    error = raised(OSError(28, SECRET))
    info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("app.x", logging.ERROR, "f", 1, "upkeep_failed", (), info)
    record.__dict__.update(about)
    line = Lines(as_json=as_json).format(record)
    assert SECRET not in line
    assert "ENOSPC" in line
    if as_json:
        read = json.loads(line)
        assert {"event": "upkeep_failed", "collection": "c", "exit_code": 1, "level": "error"}.items() <= read.items()
        assert read["timestamp"].endswith("Z")
    else:
        assert line.startswith("qdrant: ERROR: upkeep_failed collection=c exit_code=1\n")


def test_every_field_that_the_embedded_index_logs_is_shown() -> None:
    given = {
        key.value
        for path, call in calls()
        if path.is_relative_to("app/embedded/qdrant") or path.name == "connections.py"
        for keyword in call.keywords
        if keyword.arg == "extra" and isinstance(keyword.value, ast.Dict)
        for key in keyword.value.keys
        if isinstance(key, ast.Constant)
    }
    assert given == set(FIELDS)
