"""The mark of a tenant that is being erased: while it stands in Valkey, nothing new of the tenant's is taken.

So what was erased cannot come back. `SUBMIT`, `REQUEUE` and the catalog's `PUT` look at it in the step that they are.
The job that erases sets it (`ingest.erase_job`); should nobody take that up again, it ends by itself.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a run of `python -m ingest` that finds nothing to do should not wait for its import
    from redis.asyncio import Redis


class TenantBeingErasedError(Exception):
    """All that the tenant has is just being erased: it can have nothing new until that is done."""


class TenantNotFoundError(Exception):
    """There is no such tenant, or it is not for whoever asks to erase."""


async def check_not_erased(valkey: "Redis", tenant: str) -> None:
    """For what makes neither a job nor a document. Raises `TenantBeingErasedError`."""
    if await valkey.exists(erasing_key(tenant)):
        raise TenantBeingErasedError


def erasing_key(tenant: str) -> str:
    """The key of the mark. Its value is the id of the job that erases."""
    return f"rag:erasing:{tenant}"
