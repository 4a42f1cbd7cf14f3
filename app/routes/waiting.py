"""Waiting for a job's end on behalf of a client, which takes one of its key's places."""

from app.auth.dependencies import Principal
from app.core.errors import Limit
from app.core.queue.records import JobView
from app.dependencies import Api


async def wait_for_end(view: JobView, seconds: float, principal: Principal, api: Api) -> JobView:
    """As `Waiters.wait_for_end`. Raises `LimitReachedError` when the client may not wait and would have to."""
    if view.status.is_terminal or seconds <= 0:
        return view
    with api.places.held(Limit.WAITS, principal.key):
        return await api.waiters.wait_for_end(view, seconds, tenant=principal.tenant)
