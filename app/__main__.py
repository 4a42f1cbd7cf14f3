"""`python -m app`: the whole service on this machine.

Also `env`, `env-file`, `key`, `ask`, `demo`, `history`, `backup` and `restore`.
"""

import argparse
import os
import sys
from pathlib import Path
from shlex import quote

from pydantic import ValidationError

from app.auth.api_keys import make_key
from app.auth.principals import Role
from app.core.contract import DEFAULT_TENANT
from app.core.errors import ConfigurationError
from app.core.garbage import sparing
from app.core.logging import configure_logging
from app.core.services import qdrant_server, redis_url
from app.core.settings import Settings, explain
from app.embedded.backup import command as backup

RQ_CLASSES = {
    "RQ_WORKER_CLASS": "worker.ConcurrentWorker",
    "RQ_JOB_CLASS": "worker.OwnJob",
    "RQ_CONNECTION_CLASS": "app.core.queue.connections.ValkeyClient",
}
"""With these, `rq worker rag_queries`, word for word, runs this service's jobs and nothing else, many at once, on a
Valkey that Sentinels watch too."""
KEY_RATE = "600/minute"
"""Ten requests a second: an application's own, or twenty people who wait for an answer each and poll for it."""


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
    env = commands.add_parser(
        "env", help="print exports for `rq` and other programs: the running service's addresses and keys, its worker"
    )
    env.set_defaults(run=_env)
    env_file = commands.add_parser(
        "env-file", help="write .env for docker compose: a key and passwords, where it has none yet"
    )
    env_file.add_argument("--path", type=Path, default=Path(".env"), help="default: %(default)s")
    env_file.set_defaults(run=_env_file)
    key = commands.add_parser("key", help="make an API key, and its entry for API_KEYS")
    key.add_argument("--name", required=True, help="what logs call it, e.g. whose it is")
    key.add_argument(
        "--tenant", default=DEFAULT_TENANT, help="whose documents and jobs it sees; default: %(default)s"
    )
    key.add_argument("--role", choices=[role.value for role in Role], default=Role.ASK.value, help="default: ask")
    key.add_argument("--rate", default=KEY_RATE, help='default: %(default)s; "" leaves it to RATE_LIMIT')
    key.add_argument(
        "--tokens", help="what its answers may take, e.g. 100000/day or 2000000/month; default: no limit"
    )
    key.add_argument(
        "--weight", type=int, default=1, help="turns it has for one of another tenant's, where both wait: 1 to 100"
    )
    key.set_defaults(run=_key)
    ask = commands.add_parser("ask", help="ask the running service")
    ask.add_argument("question")
    ask.add_argument("--url", help="its address; else found through DATA_DIR, HOST and PORT")
    ask.add_argument("--key", default=os.environ.get("API_KEY"), help="an API key, when it wants one; else API_KEY's")
    ask.set_defaults(run=_ask)
    demo = commands.add_parser("demo", help="start, ask a few questions, stop")
    demo.add_argument("folder", type=Path, nargs="?", default=Path("data"))
    demo.set_defaults(run=_demo)
    _add_history(commands)
    backup.add_commands(commands)
    return parser


def _add_history(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    from app.cli.history import moment

    history = commands.add_parser(
        "history", help="the chat log: `history export` writes it as CSV or JSON lines, `history migrate` its tables"
    ).add_subparsers(required=True, metavar="export|migrate")
    migrate = history.add_parser("migrate", help="bring the tables of DATABASE_URL to this version's form")
    migrate.set_defaults(run=_migrate)
    export = history.add_parser("export", help="write it out")
    export.add_argument("--format", choices=("csv", "jsonl"), default="jsonl", help="default: %(default)s")
    export.add_argument("--tenant", help="this tenant's alone; default: everybody's")
    export.add_argument("--from", dest="since", type=moment, metavar="TIME", help="what ended then or later")
    export.add_argument("--to", dest="until", type=moment, metavar="TIME", help="what ended before")
    export.add_argument("--rating", choices=("up", "down"), help="what was rated so")
    export.set_defaults(run=_export)


def _export(settings: Settings, arguments: argparse.Namespace) -> int:
    from app.chat_log.filters import Filter
    from app.cli.history import export

    wanted = Filter(since=arguments.since, until=arguments.until, rating=arguments.rating)
    return export(settings, arguments.format, wanted, tenant=arguments.tenant)


def _migrate(settings: Settings, arguments: argparse.Namespace) -> int:
    from app.cli.history import migrate

    return migrate(settings)


def _serve(settings: Settings, arguments: argparse.Namespace) -> int:
    from app.core.tracing import process
    from app.embedded.service import Service  # the other commands need none of it

    process.start(process.API)
    Service(settings, documents=arguments.ingest).run()
    return 0


def _env(settings: Settings, arguments: argparse.Namespace) -> int:
    print(f"export REDIS_URL={quote(redis_url(settings))}")
    url, key = qdrant_server(settings)
    print(f"export QDRANT_URL={quote(url)}")
    if key is not None:
        print(f"export QDRANT_API_KEY={quote(key)}")
    for name, value in RQ_CLASSES.items():
        print(f"export {name}={value}")
    return 0


def _env_file(settings: Settings, arguments: argparse.Namespace) -> int:
    from app.cli.env_file import write_env_file

    written = write_env_file(arguments.path, rate=KEY_RATE)
    added, kept = (", ".join(names) or "nothing" for names in (written.added, written.kept))
    print(f"{arguments.path}: added {added}; kept {kept}")
    if written.key is not None:
        print(f"The key of role admin, shown this once (`Authorization: Bearer ...`):\n  {written.key}")
    return 0


def _key(settings: Settings, arguments: argparse.Namespace) -> int:
    try:
        key, entry = make_key(
            name=arguments.name,
            tenant=arguments.tenant,
            role=Role(arguments.role),
            rate=arguments.rate or None,
            tokens=arguments.tokens or None,
            weight=arguments.weight,
        )
    except ValidationError as error:
        print(
            "app: " + "; ".join(f"--{wrong['loc'][0]}: {wrong['msg']}" for wrong in error.errors()), file=sys.stderr
        )
        return 2
    print(f"The key, shown this once (`Authorization: Bearer ...`, or `X-API-Key: ...`):\n  {key}")
    print(f"Its line for .env; commas go between several entries:\n  API_KEYS={entry}")
    return 0


def _ask(settings: Settings, arguments: argparse.Namespace) -> int:
    from app.cli.ask import AskError, ask, service_url, show

    try:
        outcome = ask(arguments.url or service_url(settings), arguments.question, key=arguments.key)
    except AskError as error:
        print(f"ask: {error}", file=sys.stderr)
        return 1
    show(arguments.question, outcome)
    return 0 if outcome["result"] is not None else 1


def _demo(settings: Settings, arguments: argparse.Namespace) -> int:
    from app.cli.demo import demo

    return demo(arguments.folder, settings.port)


if __name__ == "__main__":
    sys.exit(sparing(main))
