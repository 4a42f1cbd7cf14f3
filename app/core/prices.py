"""What tokens cost, by MODEL_PRICES."""

from app.core.settings import Prices

TOKENS_PRICED = 1_000_000
"""What a price is for."""


def cost(prices: Prices | None, model: str, input_tokens: int, output_tokens: int) -> float | None:
    """US dollars for these tokens of `model`, as the settings name it; None when `prices` do not.

    `anthropic:claude-haiku-4-5` may have its price with the provider's name or without it.
    """
    known = prices or {}
    price = known.get(model) or known.get(model.partition(":")[2])
    if price is None:
        return None
    return (input_tokens * price[0] + output_tokens * price[1]) / TOKENS_PRICED
