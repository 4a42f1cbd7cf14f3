"""Questions with known answers, asked of the running service: the regression test of a new model or prompt.

    python -m benchmarks.answers [FILE] [--url URL] [--at-least right=0.9] [--json FILE] [--compare FILE]
    python -m benchmarks.answers --from-log [--rating down] [--since 2026-11-01] [...]

FILE has a JSON object a line: `question`, and what its answer is to have: `expected` (words, all of them; `a|b` is
either), `pages` (any of them: `filename` or `document`, and `page`) or `refuse`; `collection` and `top_k` if it needs
them. The chat log's JSON lines, as the service exports them, do as well; with --from-log the service itself is asked
for them, with an admin's key. Without a FILE: what `data/` holds, and what it does not. A kept answer is not taken.
The key is API_KEY's; what tokens cost, MODEL_PRICES says.

Exit status: 0; 1 when a share is below its `--at-least`; 2 when it can't be asked or read.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx

from app.cli.ask import printable, service_url
from app.core.prices import cost
from app.core.proxies import proxy_for
from app.core.settings import Settings
from benchmarks.answers_data import DataError, Question, read_questions
from benchmarks.answers_judge import MEASURES, Reply, Verdict, judged, report, shares, summary
from benchmarks.answers_log import read_log

SAMPLES = Path(__file__).parent / "answers_set/samples.jsonl"
AT_ONCE_MAX = 64
WAIT_SECONDS = 30
"""That the service is asked to wait for one result; then it is asked again."""
RETRY_SECONDS_MAX = 30.0
"""Whatever `Retry-After` says."""
BUSY = (429, 503)


def main(argv: Sequence[str] | None = None) -> int:
    """Ask, judge, print; the exit status."""
    arguments = _arguments(argv)
    settings = Settings()
    url = arguments.url or service_url(settings)
    try:
        questions = _questions(url, arguments)
        before = _kept(arguments.compare) if arguments.compare else None
    except DataError as error:
        print(error, file=sys.stderr)
        return 2
    verdicts = ask_all(url, questions, at_once=arguments.at_once, timeout_seconds=arguments.timeout)
    _print(verdicts, settings)
    if arguments.json:
        arguments.json.write_text(json.dumps(report(verdicts), indent=1, ensure_ascii=False))
    if before is not None:
        _print_changes(before, verdicts)
    if all(verdict.error == "unreachable" for verdict in verdicts):
        print(f"no service at {url}; start it with `make run`", file=sys.stderr)
        return 2
    return 0 if _holds(shares(verdicts), arguments.at_least) else 1


def _questions(url: str, arguments: argparse.Namespace) -> list[Question]:
    """Of the file, or of the log. Raises `DataError`."""
    if not arguments.from_log:
        return read_questions(arguments.file)
    wanted = {"rating": arguments.rating, "from": arguments.since}
    with _client(url) as client:
        return read_log(client, {name: value for name, value in wanted.items() if value is not None})


@contextmanager
def _client(url: str) -> Iterator[httpx.Client]:
    key = os.environ.get("API_KEY")
    headers = {"Cache-Control": "no-store", **({"Authorization": f"Bearer {key}"} if key else {})}
    transport = httpx.HTTPTransport(proxy=proxy_for(url))
    with httpx.Client(transport=transport, base_url=url, headers=headers, timeout=WAIT_SECONDS + 10) as client:
        yield client


def ask_all(url: str, questions: Sequence[Question], *, at_once: int, timeout_seconds: float) -> list[Verdict]:
    """A verdict for each question, in their order, so many of them asked at once."""
    with _client(url) as client, ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(lambda asked: judged(asked, ask(client, asked, timeout_seconds)), questions))


def ask(client: httpx.Client, asked: Question, timeout_seconds: float) -> Reply:
    """The reply to one question. A service that is busy is asked again, which does not count as its time."""
    give_up, began = monotonic() + timeout_seconds, monotonic()
    try:
        while (taken := client.post("/chat", json=asked.plain())).status_code in BUSY and monotonic() < give_up:
            sleep(_pause(taken))
            began = monotonic()
        if taken.status_code != httpx.codes.ACCEPTED:
            return Reply(None, _kind(taken), monotonic() - began)
        place = f"/result/{taken.json()['job_id']}"
        while (ended := client.get(place, params={"wait": WAIT_SECONDS})).status_code != httpx.codes.OK:
            if ended.status_code not in (httpx.codes.ACCEPTED, *BUSY):
                return Reply(None, _kind(ended), monotonic() - began)
            if monotonic() > give_up:
                return Reply(None, "no-answer-in-time", monotonic() - began)
            if ended.status_code in BUSY:
                sleep(_pause(ended))
    except httpx.HTTPError:
        return Reply(None, "unreachable", monotonic() - began)
    outcome: dict[str, Any] = ended.json()
    error = None if outcome["result"] else (outcome["error"] or {}).get("code", outcome["status"])
    return Reply(outcome["result"], error, monotonic() - began)


def _pause(response: httpx.Response) -> float:
    said = response.headers.get("retry-after", "")
    return min(float(said), RETRY_SECONDS_MAX) if said.isdigit() else 1.0


def _kind(response: httpx.Response) -> str:
    """The problem's own name, else the status."""
    try:
        return str(response.json()["type"]).rpartition(":")[2]
    except (ValueError, LookupError, TypeError):
        return f"status-{response.status_code}"


def _print(verdicts: Sequence[Verdict], settings: Settings) -> None:
    figures = summary(verdicts)
    for name, (held, of) in shares(verdicts).items():
        print(f"{name:10} {held:6} of {of:6}   {held / of:7.1%}")
    tokens = figures["input_tokens"], figures["output_tokens"]
    print(f"tokens     {tokens[0]:,} in, {tokens[1]:,} out")
    if (model := next((verdict.model for verdict in verdicts if verdict.model), None)) is not None:
        dollars = cost(settings.model_prices, model, *tokens)
        print(f"model      {printable(model)}" + (f", ${dollars:.4f}" if dollars is not None else ""))
    if figures["seconds_p50"] is not None:
        print(f"seconds    p50 {figures['seconds_p50']:.3f}, p95 {figures['seconds_p95']:.3f}")
    for code, count in figures["failures"].items():
        print(f"failed     {count:6} {printable(code)}")
    for verdict in verdicts:
        if verdict.right is False or verdict.error:
            print(f"wrong: {_line(verdict)}")


def _line(verdict: Verdict) -> str:
    faults = [name for name in ("page", "words", "refused") if getattr(verdict, name) is False]
    return f"{printable(verdict.question)} ({verdict.error or ', '.join(faults)})"


def _kept(path: Path) -> dict[tuple[str, str | None], bool | None]:
    """Of a former run's `--json`: whether each question was answered rightly. Raises `DataError`."""
    try:
        rows = json.loads(path.read_text())["questions"]
        return {(row["question"], row["collection"]): row["right"] for row in rows}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DataError(f"{path}: not what --json wrote ({type(error).__name__})") from None


def _print_changes(before: dict[tuple[str, str | None], bool | None], verdicts: Sequence[Verdict]) -> None:
    """The questions that have another verdict than in the former run."""
    now = {(verdict.question, verdict.collection): verdict for verdict in verdicts}
    known = [(before[place], verdict) for place, verdict in now.items() if place in before]
    print(f"compared   {len(known)} questions; {len(now) - len(known)} new, {len(before.keys() - now.keys())} gone")
    for was, verdict in known:
        if was is True and verdict.right is False:
            print(f"right -> wrong: {_line(verdict)}")
        if was is False and verdict.right is True:
            print(f"wrong -> right: {printable(verdict.question)}")


def _holds(found: dict[str, tuple[int, int]], least: Sequence[tuple[str, float]]) -> bool:
    """Whether each share is what it has to be; one that no question measures is not."""
    held = {name: count / of for name, (count, of) in found.items()}
    short = [(name, share) for name, share in least if held.get(name, -1.0) < share]
    for name, share in short:
        said = f"{held[name]:.1%}" if name in held else "measured by no question"
        print(f"below --at-least {name}={share:g}: {said}", file=sys.stderr)
    return not short


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.answers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--from-log", action="store_true", help="ask what the service's chat log has")
    parser.add_argument("--rating", choices=["up", "down"], help="of the log: what was rated so")
    parser.add_argument(
        "--since",
        type=_moment,
        metavar="TIME",
        help="of the log: what ended since this day, or 2026-11-01T09:30+01:00",
    )
    parser.add_argument("--url", help="of the service; else the one that runs here")
    parser.add_argument("--at-once", type=_number, default=4, metavar="N", help=f"questions, 1 to {AT_ONCE_MAX}")
    parser.add_argument("--timeout", type=float, default=300, metavar="SECONDS", help="for one question")
    parser.add_argument("--at-least", type=_least, action="append", default=[], metavar="MEASURE=SHARE")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the verdicts, with the answers")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="with the --json of a former run")
    arguments = parser.parse_args(argv)
    if arguments.from_log and arguments.file is not None:
        parser.error("either FILE or --from-log")
    if not arguments.from_log and (arguments.rating or arguments.since):
        parser.error("--rating and --since choose rows of the log: add --from-log")
    arguments.file = arguments.file or SAMPLES
    return arguments


def _moment(text: str) -> str:
    """A day or a time in ISO 8601, in UTC unless it says another zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("a day or a time: 2026-11-01, 2026-11-01T09:30+01:00") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat()


def _number(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= AT_ONCE_MAX:
        raise argparse.ArgumentTypeError(f"1 to {AT_ONCE_MAX}")
    return int(text)


def _least(text: str) -> tuple[str, float]:
    name, _, share = text.partition("=")
    try:
        number = float(share)
    except ValueError:
        number = -1.0
    if name not in MEASURES or not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"one of {', '.join(MEASURES)}, and a share from 0 to 1: right=0.9")
    return name, number


if __name__ == "__main__":
    sys.exit(main())
