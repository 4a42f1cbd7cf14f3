"""What the processes that we start get of our environment: what they need, and no key that is another's.

Valkey and Qdrant get what any program needs to run. Workers get the settings too, and what our HTTP clients and
OpenTelemetry read. The packages of LangChain's providers and of fsspec's stores have names of their own for their
keys: where the settings name one, workers get all that the operator has set, since only the package knows what it
reads.

It imports nothing slow: the embedded Qdrant starts with it.
"""

from collections.abc import Callable, Collection, Mapping

QDRANT_KEY_VARIABLE = "QDRANT__SERVICE__API_KEY"
"""Where the embedded Qdrant finds its key: Qdrant's own name for it."""

Environment = Mapping[str, str]

PROGRAMS = {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TERM", "VIRTUAL_ENV"}
PROGRAMS |= {"LD_LIBRARY_PATH", "LD_PRELOAD"}
PROGRAMS_PREFIXES = ("LC_", "DYLD_", "PYTHON", "MALLOC_")
"""How programs and libraries are found, and how they write and allocate; Python's own switches."""

CLIENTS = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}
"""In either case, as their readers take them."""
CLIENTS_PREFIXES = ("SSL_CERT_", "REQUESTS_CA_", "CURL_CA_", "OTEL_")
TERMINALS = {"COLUMNS", "LINES", "COLORTERM", "NO_COLOR", "FORCE_COLOR"}
"""For `python -m ingest`, which shows how far it is."""
THE_APIS = {"database_url"}
"""Settings of the API's alone: a password that no worker has a use for."""
THREADS_SUFFIX = "_NUM_THREADS"
"""How many threads numpy's libraries and Rust's take."""


def for_store(environment: Environment) -> dict[str, str]:
    """What Valkey and Qdrant get."""
    return _kept(environment, _is_for_programs)


def for_worker(environment: Environment, settings: Collection[str], *, has_packages: bool) -> dict[str, str]:
    """What workers and `python -m ingest` get. `settings` are the settings' names, in lower case.

    `has_packages`: the settings name a package that reads variables of its own.
    """
    environment = _kept(environment, lambda name: name.lower() not in THE_APIS)
    if has_packages:
        return environment
    return _kept(environment, lambda name: _is_for_programs(name) or _is_for_workers(name, settings))


def _kept(environment: Environment, is_needed: Callable[[str], bool]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if is_needed(name)}


def _is_for_programs(name: str) -> bool:
    return name in PROGRAMS or name.startswith(PROGRAMS_PREFIXES) or name.endswith(THREADS_SUFFIX)


def _is_for_workers(name: str, settings: Collection[str]) -> bool:
    is_a_setting = name.lower() in settings
    return is_a_setting or name.lower() in CLIENTS or name in TERMINALS or name.startswith(CLIENTS_PREFIXES)
