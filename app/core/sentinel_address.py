"""REDIS_URL that names Sentinels: redis+sentinel://user:password@host:26379,host:26379/name/0.

`name` is the master's among those that the Sentinels watch. Whoever is asked first tells where it is now.
"""

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

PLAIN = "redis+sentinel"
TLS = "rediss+sentinel"
"""To the Sentinels and to Valkey alike."""
SCHEMES = (PLAIN, TLS)
PORT = 26_379
HOSTS_MAX = 32
OF_SENTINELS = {"sentinel_username": "username", "sentinel_password": "password"}
"""Parts of the query that are for the Sentinels, and the client's names for them."""


@dataclass(frozen=True, slots=True)
class SentinelAddress:
    """What such an address says. `master` is the rest of it as a plain redis:// or rediss:// URL, without a host."""

    hosts: tuple[tuple[str, int], ...]
    name: str
    is_tls: bool
    login: dict[str, str]
    """User and password of the Sentinels."""
    master: str


def is_sentinel(url: str) -> bool:
    """Whether `url` names Sentinels rather than Valkey."""
    return urlsplit(url).scheme in SCHEMES


def parse_sentinel(url: str) -> SentinelAddress:
    """Take such an address apart. Raises `ValueError`, without what stands in it."""
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    name, _, database = parts.path.removeprefix("/").partition("/")
    if parts.scheme not in SCHEMES or not name or not ((database.isascii() and database.isdigit()) or not database):
        raise ValueError("must be like redis+sentinel://host:26379,host:26379/name/0")
    query = dict(parse_qsl(parts.query))
    scheme = "rediss" if parts.scheme == TLS else "redis"
    rest = urlencode({key: value for key, value in query.items() if key not in OF_SENTINELS})
    return SentinelAddress(
        hosts=_hosts(hosts),
        name=unquote(name),
        is_tls=parts.scheme == TLS,
        login={theirs: query[ours] for ours, theirs in OF_SENTINELS.items() if ours in query},
        master=f"{scheme}://{login}{'@' if login else ''}/{database}?{rest}",
    )


def _hosts(text: str) -> tuple[tuple[str, int], ...]:
    hosts = []
    for part in text.split(","):
        try:
            one = urlsplit(f"//{part}")
            port = one.port
        except ValueError:  # its words have the value
            one, port = urlsplit("//"), None
        if not one.hostname or one.path or one.query or one.fragment or "@" in one.netloc:
            raise ValueError("must name Sentinels like host:26379, with commas between them") from None
        hosts.append((one.hostname, port or PORT))
    if len(hosts) > HOSTS_MAX:
        raise ValueError(f"must name {HOSTS_MAX} Sentinels at most")
    return tuple(hosts)
