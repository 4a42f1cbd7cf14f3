"""GET /history: a tenant's ended questions from the chat log, by page, or all of them as CSV or JSON lines."""

from collections.abc import AsyncIterator, Iterable
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from app.auth.dependencies import Admin, AdmittedRoute
from app.chat_log.entries import Entry
from app.chat_log.export import MEDIA_TYPES, csv_head, csv_lines, json_lines
from app.chat_log.filters import Filter, Place
from app.core.errors import Limit
from app.dependencies import ApiDep, UntilAnswered
from app.routes.history_schemas import Format, HistoryEntry, HistoryPage, HistoryQuery
from app.schemas import problem_responses

EXPORT_PAGE = 200
"""Rows that an export reads at once."""

router = APIRouter(tags=["operators"], route_class=AdmittedRoute)


@router.get(
    "/history",
    response_model=HistoryPage,
    responses={
        200: {
            "description": "A page in JSON; as CSV or JSON lines all of them, as a stream",
            "content": {name: {"schema": {"type": "string"}} for name in MEDIA_TYPES.values()},
        },
        **problem_responses(401, 403, 404, 422, 429, 503),
    },
)
async def history(
    principal: Admin,
    api: ApiDep,
    request: Request,
    until_answered: UntilAnswered,
    asked: Annotated[HistoryQuery, Query()],
) -> Response:
    """The tenant's questions that have ended, the latest first: who asked what, what it cost, what people said of it.

    404 where there is no chat log (DATABASE_URL). A CSV cell that a spreadsheet would take for a formula begins with
    an apostrophe.
    """
    form = asked.format or _accepted(request.headers.get("accept", ""))
    if form != "json":
        until_answered.enter_context(api.places.held(Limit.STREAMS, principal.key))
    log, wanted = api.logged(), _filter(asked)
    after = Place.of(asked.cursor) if asked.cursor is not None else None
    limit = asked.limit if form == "json" else EXPORT_PAGE
    entries = await log.page(principal.tenant, wanted, limit=limit, after=after)
    if form == "json":
        page = HistoryPage(
            entries=[HistoryEntry.model_validate(entry, from_attributes=True) for entry in entries],
            next_cursor=_place(entries).cursor if len(entries) == limit else None,
        )
        return Response(page.model_dump_json(), media_type="application/json")

    async def rest() -> AsyncIterator[list[Entry]]:
        found = entries
        while found:
            yield found
            found = (
                await log.page(principal.tenant, wanted, limit=limit, after=_place(found))
                if len(found) == limit
                else []
            )

    return StreamingResponse(
        _lines(form, rest()),
        media_type=MEDIA_TYPES[form],
        headers={"Content-Disposition": f'attachment; filename="history.{form}"'},
    )


async def _lines(form: Format, pages: AsyncIterator[list[Entry]]) -> AsyncIterator[str]:
    if form == "csv":
        yield csv_head()
    write = csv_lines if form == "csv" else json_lines
    async for page in pages:
        yield write(page)


def _accepted(accept: str) -> Format:
    """The form that Accept names, if it names one of ours before any other."""
    names = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return next((form for name in names for form in _named(name)), "json")


def _named(name: str) -> Iterable[Format]:
    forms: dict[str, Format] = {
        "application/json": "json",
        "text/csv": "csv",
        "application/jsonl": "jsonl",
        "application/x-ndjson": "jsonl",
    }
    return [forms[name]] if name in forms else []


def _place(entries: list[Entry]) -> Place:
    return Place(entries[-1].ended_at, entries[-1].job_id)


def _filter(asked: HistoryQuery) -> Filter:
    return Filter(asked.since, asked.until, asked.rating, asked.grounded, asked.text, asked.session_id)
