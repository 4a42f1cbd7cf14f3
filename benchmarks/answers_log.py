"""Questions of a running service's chat log, as `GET /history` streams them."""

from collections.abc import Iterable, Iterator, Mapping

import httpx

from app.cli.ask import printable
from benchmarks.answers_data import LINE_CHARACTERS_MAX, DataError, Question, questions_of

LOG_PATH = "/history"


def read_log(client: httpx.Client, wanted: Mapping[str, str]) -> list[Question]:
    """The questions of the rows that `wanted` (the route's own parameters) chooses, each once.

    Raises `DataError`, also when nobody answers, or not to this key.
    """
    try:
        with client.stream("GET", LOG_PATH, params={**wanted, "format": "jsonl"}) as answer:
            if answer.status_code != httpx.codes.OK:
                answer.read()
                raise DataError(f"{LOG_PATH}: {_reason(answer)}")
            return questions_of(LOG_PATH, lines_of(answer.iter_text()))
    except httpx.HTTPError as error:
        raise DataError(f"no chat log at {client.base_url} ({type(error).__name__})") from None


def lines_of(chunks: Iterable[str]) -> Iterator[str]:
    """What the chunks have between newlines, and nothing else that ends a line: a question may hold U+2028.

    A line that is too long is given up before all of it is here, and is longer than LINE_CHARACTERS_MAX.
    """
    rest = ""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split("\n")
        yield from whole
        if len(rest) > LINE_CHARACTERS_MAX:
            break
    if rest:
        yield rest


def _reason(answer: httpx.Response) -> str:
    """The problem's own words, else the status."""
    try:
        told = answer.json()
        return printable(str(told.get("detail") or told["title"]))
    except (ValueError, LookupError, TypeError, AttributeError):
        return f"status {answer.status_code}"
