"""Every client of the table shows every fact of the table."""

from collections.abc import Iterator

import httpx
import pytest

from tests.acceptance.clients import library
from tests.acceptance.clients.client import Client, Seen
from tests.acceptance.clients.facts import FACTS, Fact
from tests.acceptance.clients.report import Target
from tests.acceptance.clients.table import CLIENTS
from tests.support.credentials import bearer


def shown() -> Iterator[object]:
    for client in CLIENTS:
        for name, fact in FACTS.items():
            if name not in client.lacks:
                yield pytest.param(client, fact, id=f"{client.name}-{name}")


@pytest.mark.parametrize(("seen", "fact"), list(shown()), indirect=["seen"])
def test_a_client_shows(seen: Seen, fact: Fact) -> None:
    fact(seen)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_what_a_client_lacks_is_a_fact_of_the_table(client: Client) -> None:
    assert set(client.lacks) <= set(FACTS)


def test_the_quotes_are_not_on_the_pages_that_a_search_ranks_first(target: Target) -> None:
    """Else a number that is the rank would be right by chance."""
    service = target.base_url.removesuffix("/v1")
    with httpx.Client(base_url=service, headers=bearer(target.key), trust_env=False, timeout=60) as client:
        found = client.post("/search", json={"query": target.question}, headers={"Prefer": "wait=30"})
    ranks = [(hit["filename"], hit["page"]) for hit in found.json()["result"]["hits"]]
    quoted = [ranks.index((name, page)) + 1 for name, page, _ in library.QUOTES]
    assert quoted[0] > 1, ranks
    assert sorted(quoted) != [1, 2], ranks
