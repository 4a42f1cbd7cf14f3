"""What a client is given, and what it gives back: plain data, as half of the clients are no Python."""

from app.core.models import QuietModel


class Target(QuietModel):
    """The service, and what to ask it."""

    base_url: str
    key: str
    wrong_key: str
    model: str
    unknown_model: str
    question: str
    held_question: str
    """A question that the model never answers: its response is there to be cancelled."""
    embedding_model: str
    texts: tuple[str, ...]


class Link(QuietModel):
    """A citation: `text[start:end]` of the answer is its mark."""

    url: str
    title: str
    start: int
    end: int


class Answer(QuietModel):
    """An answer; `links` is None where the client keeps no citations."""

    text: str
    links: list[Link] | None


class Failure(QuietModel):
    """An error as the client raises it; `type` is its class."""

    type: str
    status: int | None
    code: str | None


class Report(QuietModel):
    """What a client has seen. None is what it has no way to ask for."""

    version: str
    """The client's; a fact that fails shows it."""
    models: list[str] | None
    answers: dict[str, Answer]
    """By way: `chat`, `chat stream`, `response`, `response stream`, `background`."""
    failures: dict[str, Failure]
    """By mistake: `unknown model`, `wrong key`."""
    background: list[str] | None
    """The states of a response in the background, each once, in order."""
    cancelled: str | None
    """The state of a response that was running when it was cancelled."""
    input_items: list[str] | None
    embeddings: list[list[float]] | None
