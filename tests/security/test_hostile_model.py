"""A hostile model: whatever it says, and wherever its stream is cut, nobody is led or loads anything anywhere.

Every pair of the fragments, and of longer strings as many as fit the time: `make fuzz` tries 130,000.
"""

import itertools
import os
import random
from collections.abc import Iterator

import pytest

from tests.unit.worker.answer.test_sanitize import FRAGMENTS, RENDERERS, leaks
from worker.answer.sanitize import AnswerStream

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
LONGER = 650 * EXAMPLES or 1_000
"""Strings of three to eight fragments, beside the pairs: 130,000 with `make fuzz`."""
PARTS = 8


def strings(part: int) -> Iterator[str]:
    """A part of all that is tried."""
    pairs = ("".join(pair) for pair in itertools.product(FRAGMENTS, repeat=2))
    yield from itertools.islice(pairs, part, None, PARTS)
    chance = random.Random(part)
    for _ in range(LONGER // PARTS):
        yield "".join(chance.choices(FRAGMENTS, k=chance.randint(3, 8)))


def shown_at_every_prefix(text: str) -> Iterator[str]:
    """What a client has been shown after each character, and in the end."""
    stream, shown = AnswerStream(sources=1), ""
    for character in text:
        shown += stream.feed(character)
        yield shown
    yield shown + stream.finish()


@pytest.mark.parametrize("part", range(PARTS))
def test_at_no_prefix_is_there_a_link_an_image_or_html(part: int) -> None:
    checked: set[str] = set()
    for text in strings(part):
        for shown in shown_at_every_prefix(text):
            if shown not in checked:
                checked.add(shown)
                assert all(leaks(renderer.parse(shown)) == [] for renderer in RENDERERS), (text, shown)
    assert len(checked) > len(FRAGMENTS)
