import random
import zlib

import orjson
import pytest

from app.core.events import MAX_EVENTS, EventType, encode
from app.core.packed_log import Told, pack, unpack

STARTED = (EventType.STARTED, encode({"attempt": 1}), 1_795_780_603_315)
RETRIEVED = (EventType.RETRIEVED, encode({"hits": [{"page": 3, "score": 0.4849828720092773}]}), 1_795_780_603_425)
ENDED = (EventType.ENDED, b"{}", 1_795_780_605_807)
WORDS = ("Put", " 100 g", " of\n", " “citric”", " 酸", " 🍋‍🟩", "", ' "\\', "\u2028", "\x00")


def delta(text: str, at: int = 1_795_780_603_726) -> Told:
    return EventType.DELTA, text, at


def events_in(packed: bytes | None) -> list[tuple[EventType, bytes]]:
    return [(run.type, data) for run in unpack(packed) for data in run.each()]


@pytest.mark.parametrize("seed", range(50))
def test_every_event_comes_back_as_it_was(seed: int) -> None:
    draw = random.Random(seed)
    others = [STARTED, RETRIEVED, ENDED]
    events: list[Told] = [
        draw.choice(others) if draw.random() < 0.1 else delta(draw.choice(WORDS), draw.randrange(10**13))
        for _ in range(draw.randrange(200))
    ]
    assert events_in(pack(events)) == [
        (kind, encode({"text": data}) if isinstance(data, str) else data) for kind, data, _ in events
    ]


def test_of_pieces_in_a_row_the_time_of_the_first_is_kept() -> None:
    packed = pack([STARTED, delta("a", 5), delta("b", 6), STARTED, delta("a", 9), ENDED])
    assert [(run.type, run.at) for run in unpack(packed)] == [
        (EventType.STARTED, STARTED[2]),
        (EventType.DELTA, 5),
        (EventType.STARTED, STARTED[2]),
        (EventType.DELTA, 9),
        (EventType.ENDED, ENDED[2]),
    ]


def test_a_log_that_is_too_long_is_not_packed() -> None:
    assert pack([delta("a")] * MAX_EVENTS) is not None
    assert pack([delta("a")] * (MAX_EVENTS + 1)) is None
    assert pack([delta("a" * (1 << 20))]) is None


@pytest.mark.parametrize(
    "runs",
    [
        {},
        7,
        [7],
        [[]],
        [["job.started"]],
        [["job.started", "1", {}]],
        [["job.started", 1, []]],
        [["job.started", 1, {}, []]],
        [["job.finished", 1, {}]],
        [[["job.started"], 1, {}]],
        [["answer.delta", 1, "ab"]],
        [["answer.delta", 1, {}, [0]]],
        [["answer.delta", 1, "ab", [1]]],
        [["answer.delta", 1, "ab", [3, -1]]],
        [["answer.delta", 1, "ab", [True, 1]]],
        [["answer.delta", 1, "ab", "ab"]],
        [["answer.delta", 1, "ab", [2], 1]],
    ],
)
def test_what_is_no_log_has_no_events(runs: object) -> None:
    assert unpack(zlib.compress(orjson.dumps(runs))) == []


@pytest.mark.parametrize("packed", [None, 7, b"", b"text", b"\x78\x9c", zlib.compress(b"{"), "text"])
def test_what_is_not_packed_has_no_events(packed: object) -> None:
    assert unpack(packed) == []
