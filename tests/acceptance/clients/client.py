"""A client as the table of clients has it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.acceptance.clients.report import Failure, Report, Target

CHAT = ("chat", "chat stream")
RESPONSES = ("response", "response stream", "background")
ALL_WAYS = (*CHAT, *RESPONSES)


def here() -> None:
    """For a client that is always there."""


@dataclass(frozen=True)
class Client:
    """A client, how it is run, and what is its own.

    `missing`: why it can't be run here, if so. `failures`: its own errors, by mistake. `lacks`: what it has no way to
    show, by the fact's name, with the reason. `without_links`: the ways whose citations it drops.
    """

    name: str
    run: Callable[[Target], Report]
    failures: Mapping[str, Failure]
    ways: tuple[str, ...] = ALL_WAYS
    missing: Callable[[], str | None] = here
    lacks: Mapping[str, str] = field(default_factory=dict)
    without_links: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Seen:
    """What a client has seen of the service."""

    client: Client
    target: Target
    report: Report
