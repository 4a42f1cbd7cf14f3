"""The facts that every client shows, one table: each is checked on what the client has seen."""

from collections.abc import Callable, Mapping
from itertools import pairwise

import httpx

from tests.acceptance.clients import library
from tests.acceptance.clients.client import Seen
from tests.acceptance.clients.report import Answer, Link
from tests.support.model_server import embed

VECTOR_DIMENSIONS = 384
"""The tests' model server's own."""


def _cited(seen: Seen) -> dict[str, Answer]:
    found = {way: answer for way, answer in seen.report.answers.items() if answer.links is not None}
    assert found, "the client keeps citations of no answer"
    return found


def _links(answer: Answer) -> list[Link]:
    assert answer.links
    return answer.links


def _quote(answer: Answer, link: Link) -> str:
    """What stands before the mark, from the mark before it on."""
    begins = max((other.end for other in _links(answer) if other.end <= link.start), default=0)
    return " ".join(answer.text[begins : link.start].split())


def models_are_listed(seen: Seen) -> None:
    assert seen.report.models is not None
    assert {seen.target.model, seen.target.embedding_model} <= set(seen.report.models)


def an_answer_says_what_the_documents_say(seen: Seen) -> None:
    for way, answer in seen.report.answers.items():
        for _, _, quote in library.QUOTES:
            assert quote in answer.text, way


def a_mark_is_the_number_of_its_source(seen: Seen) -> None:
    """Annotation [n] is of the n-th distinct source, as chat pages read it; the sources are told apart by address."""
    for way, answer in _cited(seen).items():
        sources = list(dict.fromkeys(link.url for link in _links(answer)))
        assert len(sources) == len(library.QUOTES), way
        for link in _links(answer):
            mark = answer.text[link.start : link.end]
            assert mark == f"[{sources.index(link.url) + 1}]", way


def a_link_opens_the_page_of_the_quote(seen: Seen) -> None:
    """As a person follows it, whose browser has no key."""
    for way, answer in _cited(seen).items():
        shown = set()
        for link in _links(answer):
            opened = httpx.get(link.url, trust_env=False)
            assert (opened.status_code, opened.headers["content-type"]) == (200, "application/pdf"), way
            pages, number = library.pages_of(opened.content), int(link.url.rpartition("#page=")[2])
            quote = _quote(answer, link)
            assert [n for n, text in enumerate(pages, start=1) if quote in text] == [number], (way, quote)
            shown.add((*link.title.split(", page "), quote))
        assert shown == {(name, str(page), quote) for name, page, quote in library.QUOTES}, way


def a_link_wants_its_signature(seen: Seen) -> None:
    """Lest the check above be empty: without the signature the address is closed."""
    url = _links(next(iter(_cited(seen).values())))[0].url
    assert "sig=" in url
    assert httpx.get(url.partition("?")[0], trust_env=False).status_code == 401


def all_ways_give_the_same_answer(seen: Seen) -> None:
    """A stream joins to what comes in one piece, with the same citations; only signatures differ, by their time."""
    for (_, one), (way, other) in pairwise(seen.report.answers.items()):
        assert other.text == one.text, way
    for (_, one), (way, other) in pairwise(_cited(seen).items()):
        assert [_unsigned(link) for link in _links(other)] == [_unsigned(link) for link in _links(one)], way


def _unsigned(link: Link) -> tuple[str, str, str, int, int]:
    url = httpx.URL(link.url)
    return (url.path, url.fragment, link.title, link.start, link.end)


def every_way_is_tried(seen: Seen) -> None:
    """And keeps its citations, but for those that the table of clients names."""
    assert set(seen.report.answers) == set(seen.client.ways)
    assert {way for way, answer in seen.report.answers.items() if answer.links is None} == seen.client.without_links


def an_error_is_the_clients_own(seen: Seen) -> None:
    """Of the class that its documentation promises for the status."""
    assert seen.report.failures == seen.client.failures


def a_response_in_the_background_is_polled_until_it_is_there(seen: Seen) -> None:
    assert seen.report.background is not None
    assert seen.report.background[0] in ("queued", "in_progress", "completed")
    assert seen.report.background[-1] == "completed"
    assert "background" in seen.report.answers


def a_running_response_is_cancelled(seen: Seen) -> None:
    assert seen.report.cancelled == "cancelled"


def the_input_items_are_the_question(seen: Seen) -> None:
    assert seen.report.input_items == [seen.target.question]


def embeddings_are_the_models_own(seen: Seen) -> None:
    assert seen.report.embeddings is not None
    assert len(seen.report.embeddings) == len(seen.target.texts)
    for vector, text in zip(seen.report.embeddings, seen.target.texts, strict=True):
        expected = embed(text, VECTOR_DIMENSIONS)
        assert len(vector) == VECTOR_DIMENSIONS
        assert max(abs(a - b) for a, b in zip(vector, expected, strict=True)) < 1e-6


Fact = Callable[[Seen], None]

FACTS: Mapping[str, Fact] = {
    fact.__name__: fact
    for fact in (
        every_way_is_tried,
        models_are_listed,
        an_answer_says_what_the_documents_say,
        a_mark_is_the_number_of_its_source,
        a_link_opens_the_page_of_the_quote,
        a_link_wants_its_signature,
        all_ways_give_the_same_answer,
        an_error_is_the_clients_own,
        a_response_in_the_background_is_polled_until_it_is_there,
        a_running_response_is_cancelled,
        the_input_items_are_the_question,
        embeddings_are_the_models_own,
    )
}
