"""A hundred follow-ups of our own making, over house books of ten hotels that differ in names and figures alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.core.contract import EarlierTurn
from tests.support.pdfs import make_pdf

HOTELS = (
    "Aalborg House", "Bergen Lodge", "Cadiz Inn", "Dresden Court", "Evora Palace", "Freiburg Hostel", "Ghent Rooms",
    "Helsinki Terrace", "Imola Garden", "Jena Tower",
)  # fmt: skip
TOPICS: tuple[tuple[str, str, str, str], ...] = (
    ("parking", "A parking space costs {n} euros a night. The gate opens with the room card.",
     "How much is a parking space at {hotel}?", "And parking?"),
    ("breakfast", "Breakfast is served until {n} minutes past ten. Eggs are cooked to order.",
     "Until when is breakfast served at {hotel}?", "What about breakfast?"),
    ("dogs", "Guests may bring {n} dogs. They stay out of the restaurant.",
     "How many dogs may guests bring to {hotel}?", "How many dogs may they bring?"),
    ("cancelling", "A stay is cancelled free of charge until {n} hours before arrival.",
     "Until when is a stay at {hotel} cancelled free of charge?", "Until when can it be cancelled?"),
    ("sauna", "The sauna is heated to {n} degrees. Towels lie at its door.",
     "How hot is the sauna of {hotel}?", "How hot is their sauna?"),
    ("bicycles", "There are {n} bicycles for hire. Helmets hang beside them.",
     "How many bicycles are for hire at {hotel}?", "Do they hire out bicycles, and how many?"),
    ("laundry", "Laundry is returned after {n} hours. Shirts are ironed.",
     "When is laundry returned at {hotel}?", "When is laundry returned there?"),
    ("meetings", "The meeting room seats {n} people. It has a projector.",
     "How many people does the meeting room of {hotel} seat?", "How many people does its meeting room seat?"),
    ("children", "Children under {n} sleep free in their parents' room.",
     "Under what age do children sleep free at {hotel}?", "And for children, how old may they be?"),
    ("lift", "The lift carries {n} kilograms. It does not stop at the roof.",
     "How much does the lift of {hotel} carry?", "How much does the lift carry?"),
)  # fmt: skip
"""Of a page: its name, what stands there, the question that it answers, and the same as a follow-up."""
ELSEWHERE = (
    "And at {hotel}?",
    "What about {hotel}?",
    "And in the case of {hotel}?",
    "{hotel}?",
    "How is that at {hotel}?",
)


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A follow-up, what was said before, the same question by itself, and the page that answers it."""

    before: EarlierTurn
    question: str
    alone: str
    page: str


def write_pdfs(folder: Path) -> None:
    """The ten house books, a topic a page."""
    folder.mkdir(parents=True)
    for number, hotel in enumerate(HOTELS):
        pages = [
            f"{hotel}: {name}\n\n{text.format(n=_figure(number, topic))}"
            for topic, (name, text, _, _) in enumerate(TOPICS)
        ]
        make_pdf(folder / f"{_stem(hotel)}.pdf", pages)


def follow_ups() -> Iterator[FollowUp]:
    """Five for each hotel that ask of another thing there, and five that ask the same of another hotel."""
    for number, hotel in enumerate(HOTELS):
        for step in range(5):
            before, after = (number + step) % 10, (number + 2 * step + 3) % 10
            if after == before:
                after = (after + 1) % 10
            yield FollowUp(_turn(number, before), TOPICS[after][3], _alone(hotel, after), _page(hotel, after))
            other = HOTELS[(number + step + 1) % 10]
            asked = ELSEWHERE[step].format(hotel=other)
            yield FollowUp(_turn(number, before), asked, _alone(other, before), _page(other, before))


def _turn(number: int, topic: int) -> EarlierTurn:
    text = TOPICS[topic][1].format(n=_figure(number, topic))
    return EarlierTurn(question=_alone(HOTELS[number], topic), answer=f"{text} [1]")


def _alone(hotel: str, topic: int) -> str:
    return TOPICS[topic][2].format(hotel=hotel)


def _page(hotel: str, topic: int) -> str:
    return f"{_stem(hotel)}#p{topic + 1}"


def _stem(hotel: str) -> str:
    return hotel.lower().replace(" ", "-")


def _figure(number: int, topic: int) -> int:
    return 11 + 7 * number + 3 * topic
