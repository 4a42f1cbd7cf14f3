"""What tokens cost."""

import pytest

from app.core.prices import cost
from app.core.settings import Prices

PRICES: Prices = {"gpt-4.1": (2, 8), "free": (0, 0), "claude": (1, 5), "xai:grok": (3, 9)}


@pytest.mark.parametrize(
    ("model", "tokens", "dollars"),
    [
        ("gpt-4.1", (1_000_000, 0), 2.0),
        ("gpt-4.1", (0, 1_000_000), 8.0),
        ("gpt-4.1", (812, 9), 0.001696),
        ("gpt-4.1", (0, 0), 0.0),
        ("anthropic:claude", (1_000_000, 1_000_000), 6.0),
        ("xai:grok", (1_000_000, 0), 3.0),
        ("free", (10**9, 10**9), 0.0),
    ],
)
def test_a_price_is_for_a_million_tokens(model: str, tokens: tuple[int, int], dollars: float) -> None:
    assert cost(PRICES, model, *tokens) == pytest.approx(dollars)


@pytest.mark.parametrize("prices", [None, {}, PRICES])
def test_what_has_no_price_costs_nobody_knows_what(prices: Prices | None) -> None:
    assert cost(prices, "gpt-4.1-mini", 1, 1) is None
