"""API keys: how one is made, and how API_KEYS says who may use the API.

An entry of API_KEYS is `name:tenant:role:rate:sha256`, with an empty rate for RATE_LIMIT's, and behind it may stand
what the key's answers may take of the model, `:tokens=100000/day` or `:tokens=2000000/month`, and how many turns the
tenant has for one of another's where both wait, `:weight=3`. Only the key's hash stands there. Keys are 256 random
bits, so nobody finds one by guessing, with or without its hash: a slow salted hash, which protects passwords that
people choose, would cost each request its time and protect nothing. For the same reason a look-up by hash is safe:
how long it takes tells something about the hash of a wrong key, nothing about a right one.
"""

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from secrets import token_urlsafe
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints, ValidationError

from app.auth.principals import Principal, Role
from app.core.contract import Label, Sha256
from app.core.errors import ConfigurationError
from app.core.models import QuietModel
from app.core.queue.lines import WEIGHT_MAX
from app.core.queue.usage import BUDGET
from app.core.settings import Rate

PREFIX = "rag_"
"""Tells people and secret scanners what the string is."""
KEY_BYTES = 32
MARK_CHARACTERS = 32

OPTION = re.compile(r":(?=(?:tokens|weight)=)")
"""Before what may stand behind an entry: no part of one holds an equals sign."""

Tokens = Annotated[str, StringConstraints(pattern=BUDGET.pattern)]
Weight = Annotated[int, Field(ge=1, le=WEIGHT_MAX)]
KeyName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


class KeyEntry(QuietModel):
    """One entry of API_KEYS."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: KeyName
    tenant: Label
    role: Role
    rate: Rate | None
    sha256: Sha256
    tokens: Tokens | None = None
    weight: Weight = 1

    def __str__(self) -> str:
        budget = f":tokens={self.tokens}" if self.tokens else ""
        weight = f":weight={self.weight}" if self.weight != 1 else ""
        return f"{self.name}:{self.tenant}:{self.role}:{self.rate or ''}:{self.sha256}{budget}{weight}"

    @classmethod
    def parse(cls, text: str) -> "KeyEntry":
        """The entry that `text` is. Raises `ValueError` (pydantic's, too)."""
        text, *options = OPTION.split(text)
        given: dict[str, str] = {}
        for option in options:
            label, _, value = option.partition("=")
            if label in given:
                raise ValueError(f"it has {label} twice")
            given[label] = value
        name, colon, rest = text.partition(":")
        parts = rest.rsplit(":", 3)  # a tenant may have colons, what follows it has none
        if not colon or len(parts) != 4:
            raise ValueError("it is not name:tenant:role:rate:sha256")
        tenant, role, rate, digest = parts
        return cls.model_validate(
            {"name": name, "tenant": tenant, "role": role, "rate": rate or None, "sha256": digest} | given
        )

    def principal(self) -> Principal:
        """Who the key stands for."""
        return Principal(self.tenant, self.name, self.role, self.rate, tokens=self.tokens, weight=self.weight)


def make_key(
    *, name: str, tenant: str, role: Role, rate: str | None, tokens: str | None = None, weight: int = 1
) -> tuple[str, KeyEntry]:
    """A new key, and the entry that makes it known. Raises `ValueError` when a part has a wrong form."""
    key = PREFIX + token_urlsafe(KEY_BYTES)
    digest = sha256(key.encode()).hexdigest()
    return key, KeyEntry(name=name, tenant=tenant, role=role, rate=rate, sha256=digest, tokens=tokens, weight=weight)


class KeyRing:
    """The keys of API_KEYS. Raises `ConfigurationError` when an entry has a wrong form or a name stands twice."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._principals = _principals_by_digest(entries)
        self._by_name = {principal.key: (principal, digest) for digest, principal in self._principals.items()}

    def find(self, key: bytes) -> Principal | None:
        """Who `key` stands for."""
        return self._principals.get(sha256(key).digest())

    def named(self, name: str) -> Principal | None:
        """Who has this name, with the tenant's before it (`Principal.key`), and a key still."""
        return self._by_name[name][0] if name in self._by_name else None

    def mark(self, name: str) -> str:
        """What tells the key of this name from a later one, and that only who has API_KEYS or the key can tell."""
        return sha256(b"rag-queue session\n" + self._by_name[name][1]).hexdigest()[:MARK_CHARACTERS]


def _principals_by_digest(entries: Iterable[str]) -> Mapping[bytes, Principal]:
    found: dict[bytes, Principal] = {}
    names: set[str] = set()
    for number, text in enumerate(entries, start=1):
        entry = _entry(number, text)
        principal, digest = entry.principal(), bytes.fromhex(entry.sha256)
        if digest in found or principal.key in names:
            raise ConfigurationError(f"API_KEYS: entry {number} has the name or the hash of an earlier one")
        names.add(principal.key)
        found[digest] = principal
    return found


def _entry(number: int, text: str) -> KeyEntry:
    try:
        return KeyEntry.parse(text)
    except ValidationError as error:
        wrong = ", ".join(str(problem["loc"][0]) for problem in error.errors(include_input=False))
        raise ConfigurationError(f"API_KEYS: entry {number} has a wrong {wrong}; `make key` makes one") from None
    except ValueError as error:
        raise ConfigurationError(f"API_KEYS: entry {number}: {error}; `make key` makes one") from None
