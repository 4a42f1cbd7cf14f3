"""Texts in as few requests as a server takes: what is refused goes in halves, and what went through is remembered."""

from collections.abc import Sequence

import pytest

from app.core.errors import ErrorCode, ServiceError
from worker.model.batches import ABOUT_THE_REQUEST, USUAL_CHARACTERS, Batches
from worker.model.provider_errors import RefusedError

TEXTS = [f"{number}" for number in range(9)]


class Server:
    """Takes so many texts and characters in one request."""

    def __init__(self, texts: int = 1_000, characters: int = 10**9, error: ServiceError | None = None) -> None:
        self._texts, self._characters = texts, characters
        self._error = error or RefusedError(ErrorCode.MODEL_REJECTED, 400)
        self.sizes: list[int] = []

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        self.sizes.append(len(texts))
        if len(texts) > self._texts or sum(map(len, texts)) > self._characters:
            raise self._error
        return [[float(text)] for text in texts]


def test_all_go_in_one_request_where_they_may() -> None:
    server = Server()
    assert Batches(9).embed(TEXTS, server) == [[float(text)] for text in TEXTS]
    assert Batches(4).embed(TEXTS, server) == [[float(text)] for text in TEXTS]
    assert server.sizes == [9, 4, 4, 1]
    assert Batches(4).embed([], server) == []


def test_what_is_refused_goes_in_halves_and_the_next_time_at_once() -> None:
    server, batches = Server(texts=2), Batches(9)
    assert batches.embed(TEXTS, server) == [[float(text)] for text in TEXTS]
    assert server.sizes == [9, 5, 3, 2, 2, 2, 2, 1]
    batches.embed(TEXTS, server)
    assert server.sizes[8:] == [2, 2, 2, 2, 1]


@pytest.mark.parametrize("status", ABOUT_THE_REQUEST)
def test_every_status_that_may_mean_too_much_does(status: int) -> None:
    server = Server(texts=5, error=RefusedError(ErrorCode.MODEL_REJECTED, status))
    assert len(Batches(9).embed(TEXTS, server)) == 9


@pytest.mark.parametrize(
    "error",
    [
        RefusedError(ErrorCode.MODEL_REJECTED, 404),
        RefusedError(ErrorCode.MODEL_AUTH_FAILED, 401),
        RefusedError(ErrorCode.MODEL_RATE_LIMITED, 429),
        RefusedError(ErrorCode.MODEL_UNAVAILABLE, 500),
        ServiceError(ErrorCode.MODEL_TIMEOUT),
        ServiceError(ErrorCode.MODEL_REJECTED),
    ],
    ids=str,
)
def test_nothing_else_is_sent_again(error: ServiceError) -> None:
    server = Server(texts=5, error=error)
    with pytest.raises(ServiceError) as raised:
        Batches(9).embed(TEXTS, server)
    assert raised.value is error
    assert server.sizes == [9]


def test_a_text_that_is_too_long_alone_is_the_error_and_nothing_is_remembered_of_it() -> None:
    server, batches = Server(characters=5, error=ServiceError(ErrorCode.CONTEXT_TOO_LONG)), Batches(4)
    with pytest.raises(ServiceError):
        batches.embed(["1", "123456", "1"], server)
    assert server.sizes == [3, 2, 1, 1]
    batches.embed(["1"] * 4, server)
    assert server.sizes[4:] == [4]


def test_long_texts_say_nothing_about_how_many_others_fit() -> None:
    """Who sends long texts must not make everybody's batches small."""
    server, batches = Server(characters=4 * USUAL_CHARACTERS), Batches(8)
    long = ["1".rjust(USUAL_CHARACTERS + 1)] * 8
    assert len(batches.embed(long, server)) == 8
    del server.sizes[:]
    batches.embed(["1"] * 8, server)
    assert server.sizes == [8]
    usual = ["1".rjust(USUAL_CHARACTERS)] * 8
    batches.embed(usual, server)
    del server.sizes[:]
    batches.embed(usual, server)
    assert server.sizes == [4, 4]
