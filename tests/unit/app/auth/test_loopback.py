"""A service without keys serves its own machine: what counts as such, and what does not."""

from typing import Any

import pytest

from app.auth.gate import check_address
from app.auth.loopback import is_local, is_local_origin
from app.core.errors import ConfigurationError
from app.core.loopback import is_loopback
from app.core.settings import Settings
from tests.support.credentials import SECRET, api_key


def scope(*, server: Any = ("127.0.0.1", 8000), host: str = "127.0.0.1:8000", **headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = [(name.encode(), value.encode()) for name, value in {"host": host, **named}.items()]
    return {"method": "GET", "http_version": "1.1", "server": server, "headers": sent}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_loopback_addresses(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "10.0.0.1", "192.168.1.5", "::ffff:10.0.0.1", "localhost", "", "x"]
)
def test_all_else_is_no_loopback_address(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "localhost", "localhost:8000", "LOCALHOST", "[::1]:8000", "rag.localhost"]
)
def test_a_loopback_name_at_a_loopback_address_is_local(host: str) -> None:
    assert is_local(scope(host=host))


@pytest.mark.parametrize(
    "server",
    [("10.0.0.1", 8000), ("0.0.0.0", 8000), ("testserver", 80), ("/run/rag.sock", None), None],
    ids=["address", "unspecified", "name", "unix socket", "unknown"],
)
def test_another_address_is_not_local_whatever_its_name_is(server: Any) -> None:
    assert not is_local(scope(server=server))


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "notlocalhost",
     "10.0.0.1", "", "[::1", "user@127.0.0.1@evil.example", "\xff", "0", "2130706433.evil"],
)  # fmt: skip
def test_a_name_that_was_pointed_here_is_not_local(host: str) -> None:
    """DNS rebinding: the browser of this machine believes that the page and the service are one site."""
    assert not is_local(scope(host=host))


@pytest.mark.parametrize("header", ["x_forwarded_for", "forwarded", "via", "x_real_ip"])
def test_what_a_proxy_passed_on_is_not_local(header: str) -> None:
    assert not is_local(scope(**{header: "127.0.0.1"}))


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example", "", "file://"])
def test_a_page_of_another_site_is_not_local(origin: str) -> None:
    """A browser sends simple POSTs to any site; it says where from."""
    assert not is_local(scope(origin=origin))


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8000", "http://localhost:3000", "http://[::1]:8000"])
def test_a_page_of_this_machine_is_local(origin: str) -> None:
    assert is_local(scope(origin=origin))
    assert is_local_origin(origin.encode())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1"])
def test_the_service_does_not_start_on_another_address_without_keys(host: str) -> None:
    with pytest.raises(ConfigurationError, match="API_KEYS"):
        check_address(host, Settings())
    check_address(host, Settings(api_keys=api_key("web", tenant="acme")[1]))
    check_address(host, Settings(jwt_secret=SECRET))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_service_starts_on_loopback_without_keys(host: str) -> None:
    check_address(host, Settings())
