"""What GET /usage answers."""

from datetime import date, datetime

from pydantic import Field

from app.core.models import QuietModel


class UsageTotals(QuietModel):
    """What was spent in all."""

    answers: int = Field(ge=0, description="Answers that a model has written")
    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)
    cost_usd: float | None = Field(
        description="By MODEL_PRICES, of the models that it names; null when it names none"
    )


class UsageRow(UsageTotals):
    """What a tenant has spent of a model, named as in the settings, on a day of UTC."""

    day: date
    tenant: str
    model: str


class TokenBudgetUse(QuietModel):
    """What the answers of your key may take, and have taken so far."""

    limit: int = Field(ge=1)
    used: int = Field(ge=0, description="It may be more than the limit, by what the last answers took")
    window: str = Field(description="day or month, of UTC")
    ends_at: datetime = Field(description="When the window ends, and the budget is whole again")


class UsageReport(QuietModel):
    """Tokens that the models' providers have counted, the latest day first."""

    first: date = Field(alias="from")
    last: date = Field(alias="to")
    usage: list[UsageRow]
    total: UsageTotals
    budget: TokenBudgetUse | None = Field(description="Null for a key without a budget")
