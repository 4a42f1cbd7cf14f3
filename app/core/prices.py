"""What tokens cost, by MODEL_PRICES."""

from app.core.settings import Prices

TOKENS_PRICED = 1_000_000
"""What a price is for."""


def cost(prices: Prices | None, model: str, input_tokens: int, output_tokens: int) -> float | None:
    """US dollars for these tokens of `model`; None when `prices` do not name it."""
    price = (prices or {}).get(model)
    if price is None:
        return None
    return (input_tokens * price[0] + output_tokens * price[1]) / TOKENS_PRICED
