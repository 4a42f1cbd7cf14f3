"""Who a request comes from, and what they may do."""

from dataclasses import dataclass, field
from enum import StrEnum

from app.core.contract import DEFAULT_TENANT
from app.core.queue.usage import Spender, TokenBudget


class Role(StrEnum):
    """What a principal may do; each role may also do what those before it may."""

    ASK = "ask"
    INGEST = "ingest"
    ADMIN = "admin"

    def may(self, needed: "Role") -> bool:
        """Whether this role is enough where `needed` is asked for."""
        return _RANKS[self] >= _RANKS[needed]


_RANKS = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request comes from. `name` tells principals apart in logs and is never a key.

    `rate` is this principal's own limit of requests, e.g. "600/minute"; None leaves it to RATE_LIMIT. `until` is when
    what the request has shown expires (seconds since 1970); None where it does not. `tokens` is what its answers may
    take, e.g. "100000/day"; None: any number. `weight`, 1 to 100, is how many turns
    its tenant has for one of another's, where both wait.
    """

    tenant: str
    name: str
    role: Role
    rate: str | None = None
    until: int | None = field(default=None, compare=False)
    tokens: str | None = None
    weight: int = 1

    @property
    def key(self) -> str:
        """The principal's identity, unique over all tenants: neither part can hold a slash."""
        return f"{self.tenant}/{self.name}"

    @property
    def spender(self) -> Spender | None:
        """Whose budget it is that this principal's answers are counted in; None where there is none."""
        return None if self.tokens is None else Spender(self.name, TokenBudget.parse(self.tokens))

    @property
    def is_operator(self) -> bool:
        """Whether this is who runs the service, and not one of its tenants: an admin of the default tenant."""
        return self.role is Role.ADMIN and self.tenant == DEFAULT_TENANT


ANONYMOUS = Principal(tenant=DEFAULT_TENANT, name="anonymous", role=Role.ADMIN)
"""Everyone on this machine, when no credentials are configured."""


class NotAuthenticatedError(Exception):
    """The request shows no credentials, or wrong ones (`is_wrong`). Those that were ours and have come to their end
    (`is_over`) are no guess, and not counted as one.
    """

    def __init__(self, *, is_wrong: bool, is_over: bool = False) -> None:
        super().__init__("wrong credentials" if is_wrong else "no credentials")
        self.is_wrong = is_wrong
        self.is_over = is_over


class ForbiddenError(Exception):
    """The principal's role is less than `needed`."""

    def __init__(self, needed: Role) -> None:
        super().__init__(f"role {needed} is needed")
        self.needed = needed


class OtherSiteError(Exception):
    """A page of another site, or what does not say which, sends what only this service's own pages may."""


class NotLocalError(Exception):
    """No credentials are configured, and the request may come from elsewhere than this machine."""


class KeysUnavailableError(Exception):
    """The keys that tokens are checked with could not be fetched."""
