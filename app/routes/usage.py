"""GET /usage: tokens and money by tenant, day and model, and where the caller's key stands in its budget."""

from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Annotated, NoReturn

from fastapi import APIRouter, Query
from fastapi.exceptions import RequestValidationError

from app.auth.dependencies import AdmittedRoute, Asker
from app.core.contract import Label
from app.core.prices import cost
from app.core.settings import Prices
from app.dependencies import ApiDep
from app.jobs.usage import DAYS_MAX, Spending, TooManyTenantsError, UsageBook
from app.routes.usage_schemas import TokenBudgetUse, UsageReport, UsageRow, UsageTotals
from app.schemas import problem_responses

router = APIRouter(tags=["operators"], route_class=AdmittedRoute)

PRICE_DIGITS = 9
"""Behind the point: a token costs some millionth of a dollar, or less; more digits are a float's noise."""


@router.get("/usage", responses=problem_responses(401, 403, 422, 429, 503))
async def usage(
    principal: Asker,
    api: ApiDep,
    first: Annotated[
        date | None, Query(alias="from", description="The first day; default: the first of that month")
    ] = None,
    last: Annotated[date | None, Query(alias="to", description="The last day; default: today")] = None,
    tenant: Annotated[Label | None, Query(description="This tenant alone")] = None,
) -> UsageReport:
    """What your tenant has spent of the models, by day and model. Whoever runs the service, an admin of the tenant
    `default`, sees all tenants.

    A question, a search and an ingestion count once, when they have ended well.
    """
    now = datetime.now(UTC)
    last = last or now.date()
    first = first or last.replace(day=1)
    if first > last:
        _wrong("from", "It is after the last day")
    if (last - first).days >= DAYS_MAX:
        _wrong("from", f"{DAYS_MAX} days at most are told at once")
    book = UsageBook(api.valkey)
    found = await _found(book, first, last, tenant if principal.is_operator else principal.tenant)
    if tenant is not None:
        found = [spending for spending in found if spending.tenant == tenant]
    spender = principal.spender
    budget = await book.budget(principal.tenant, spender, now) if spender is not None else None
    prices = api.settings.model_prices
    return UsageReport(
        **{"from": first, "to": last},
        usage=[UsageRow(**asdict(spending), cost_usd=_cost(prices, [spending])) for spending in found],
        total=UsageTotals(
            answers=sum(spending.answers for spending in found),
            input_tokens=sum(spending.input_tokens for spending in found),
            output_tokens=sum(spending.output_tokens for spending in found),
            cost_usd=_cost(prices, found),
        ),
        budget=TokenBudgetUse(**asdict(budget)) if budget is not None else None,
    )


async def _found(book: UsageBook, first: date, last: date, tenant: str | None) -> list[Spending]:
    try:
        return await book.of(first, last, tenant=tenant)
    except TooManyTenantsError:
        _wrong("from", "Too many tenants have spent something in this time: ask for fewer days, or for one tenant")


def _cost(prices: Prices | None, spendings: list[Spending]) -> float | None:
    each = [cost(prices, one.model, one.input_tokens, one.output_tokens) for one in spendings]
    known = [dollars for dollars in each if dollars is not None]
    return round(sum(known), PRICE_DIGITS) if known else None


def _wrong(parameter: str, message: str) -> NoReturn:
    raise RequestValidationError(
        [{"type": "value_error", "loc": ("query", parameter), "msg": message, "input": None}]
    )
