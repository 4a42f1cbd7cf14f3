"""The table of problems as the OpenAPI document shows it: a section of its description, and the values of `type`."""

from http import HTTPStatus

from app.connections import REJECTIONS
from app.problems.details import URN
from app.problems.table import TABLE

_HEAD = (
    "## Problems\n\n"
    "Errors are problem documents (RFC 9457, `application/problem+json`); below `/v1` they have OpenAI's shape "
    "instead. Switch on `type`, which is stable; `detail` says what to do, in words that may change.\n\n"
    "| Type | Status | Meaning |\n"
    "|---|---|---|\n"
)


def section() -> str:
    """Markdown: every type of problem with its status and meaning, by status."""
    return _HEAD + "\n".join(
        f"| `{URN}{kind}` | {status} {HTTPStatus(status).phrase} | {' Or: '.join(meanings)} |"
        for (status, kind), meanings in _meanings().items()
    )


def types() -> list[str]:
    """The values of a problem's `type`, in the same order."""
    return [URN + kind for _, kind in _meanings()]


def _meanings() -> dict[tuple[int, str], list[str]]:
    """What each type means: more than one thing, where errors of different addresses share it."""
    found: dict[tuple[int, str], list[str]] = {}
    for row in TABLE:
        meanings = found.setdefault((row.status, row.kind), [])
        if row.detail not in meanings:
            meanings.append(row.detail)
    for rejection in REJECTIONS:
        found.setdefault((rejection.status, rejection.kind), []).append(rejection.detail)
    return dict(sorted(found.items(), key=lambda entry: entry[0][0]))
