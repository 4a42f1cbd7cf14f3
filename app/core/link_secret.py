"""The secret that signs links and tickets: LINK_SECRET, or one made once and kept in Valkey for all processes."""

import re
from secrets import token_hex
from time import monotonic
from typing import Any

from redis import Redis

from app.core.queue.pipelined import Link, Script
from app.core.queue.scripts import BEYOND_MAXMEMORY
from app.core.settings import Settings
from app.core.signed import SECRET_BYTES

KEY = "rag:link-secret"
KEPT_SECONDS = 60.0
"""After which it is read again: a Valkey that was emptied has another one."""

MAKE = Script(f"""{BEYOND_MAXMEMORY}
local found = redis.pcall('GET', KEYS[1])
if type(found) == 'string' and #found == {2 * SECRET_BYTES} and not string.find(found, '[^0-9a-f]') then
  return found
end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
""")
"""KEYS: secret. ARGV: a new one. The secret; the new one where there is none yet, or what stands there is none."""

_FORM = re.compile(rb"[0-9a-f]{64}")


class LinkSecret:
    """The secret as the API has it, which makes it where there is none yet."""

    def __init__(self, link: Link, settings: Settings) -> None:
        self._link = link
        self._given = given_secret(settings)
        self._kept: bytes | None = None
        self._read_at = 0.0

    async def get(self) -> bytes:
        """The secret; Valkey is asked for it once a minute. Raises one of `VALKEY_UNAVAILABLE`."""
        if self._given is not None:
            return self._given
        if self._kept is None or monotonic() - self._read_at > KEPT_SECONDS:
            return await self.renewed()
        return self._kept

    async def renewed(self) -> bytes:
        """The secret as Valkey has it now. Raises one of `VALKEY_UNAVAILABLE`."""
        if self._given is not None:
            return self._given
        kept: bytes = await self._link.run(MAKE, keys=[KEY], args=[token_hex(SECRET_BYTES)])
        self._kept, self._read_at = kept, monotonic()
        return kept


def kept_secret(connection: Redis, settings: Settings) -> bytes | None:
    """The secret for a worker; None where the API has made none, as it asks nobody for a key."""
    given = given_secret(settings)
    if given is not None:
        return given
    found: Any = connection.getrange(KEY, 0, 2 * SECRET_BYTES)  # not more, whatever stands there
    return found if _FORM.fullmatch(found) else None


def given_secret(settings: Settings) -> bytes | None:
    """LINK_SECRET."""
    return settings.link_secret.get_secret_value().encode() if settings.link_secret is not None else None
