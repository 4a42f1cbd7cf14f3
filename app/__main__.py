"""`python -m app`: the whole service on this machine. Also `env`, `ask` and `demo`."""

import argparse
import os
import sys
from pathlib import Path
from shlex import quote

from pydantic import ValidationError

from app.core.errors import ConfigurationError
from app.core.logging import configure_logging
from app.core.services import qdrant_url, redis_url
from app.core.settings import Settings, explain


def main(argv: list[str] | None = None) -> int:
    """Exit code: 0 after a clean stop, 1 when nothing was answered, 2 when the configuration is wrong."""
    arguments = _parser().parse_args(argv)
    try:
        settings = Settings()
        configure_logging(settings)
        return int(arguments.run(settings, arguments))
    except ValidationError as error:
        print(f"app: {explain(error)}", file=sys.stderr)
    except ConfigurationError as error:
        print(f"app: {error}", file=sys.stderr)
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m app", description="Serve on this machine: Valkey, Qdrant, a worker and HTTP."
    )
    parser.set_defaults(run=_serve)
    parser.add_argument("--ingest", type=Path, metavar="FOLDER", help="index FOLDER first when the index is empty")
    commands = parser.add_subparsers(title="other commands", metavar="")
    env = commands.add_parser("env", help="print exports of REDIS_URL and QDRANT_URL of the running service")
    env.set_defaults(run=_env)
    ask = commands.add_parser("ask", help="ask the running service")
    ask.add_argument("question")
    ask.add_argument("--url", help="its address; else found through DATA_DIR, HOST and PORT")
    ask.set_defaults(run=_ask)
    demo = commands.add_parser("demo", help="start, ask a few questions, stop")
    demo.add_argument("folder", type=Path, nargs="?", default=Path("data"))
    demo.set_defaults(run=_demo)
    return parser


def _serve(settings: Settings, arguments: argparse.Namespace) -> int:
    from app.embedded.service import Service  # the other commands need none of it

    Service(settings, documents=arguments.ingest).run()
    return 0


def _env(settings: Settings, arguments: argparse.Namespace) -> int:
    print(f"export REDIS_URL={quote(redis_url(settings))}")
    print(f"export QDRANT_URL={quote(qdrant_url(settings))}")
    return 0


def _ask(settings: Settings, arguments: argparse.Namespace) -> int:
    from app.client import AskError, ask, service_url, show

    try:
        outcome = ask(arguments.url or service_url(settings), arguments.question)
    except AskError as error:
        print(f"ask: {error}", file=sys.stderr)
        return 1
    show(arguments.question, outcome)
    return 0 if outcome["result"] is not None else 1


def _demo(settings: Settings, arguments: argparse.Namespace) -> int:
    from app.demo import demo

    return demo(arguments.folder)


if __name__ == "__main__":
    sys.exit(main())
