"""Which proxy a URL is called through, by the variables that everybody knows."""

import os

import pytest

from app.core.errors import ConfigurationError
from app.core.proxies import proxy_for, shown

PROXY = "http://user:s3cret@proxy.example:3128"


@pytest.mark.parametrize("url", ["http://far.example/x", "https://far.example"])
def test_without_a_variable_calls_go_straight(url: str) -> None:
    assert proxy_for(url) is None


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("HTTP_PROXY", "http://far.example"),
        ("http_proxy", "http://far.example"),
        ("HTTPS_PROXY", "https://far.example"),
        ("https_proxy", "https://far.example"),
        ("ALL_PROXY", "http://far.example"),
        ("all_proxy", "https://far.example"),
    ],
)
def test_each_variable_is_heeded_for_its_urls(monkeypatch: pytest.MonkeyPatch, variable: str, url: str) -> None:
    monkeypatch.setenv(variable, PROXY)
    assert proxy_for(url) == PROXY


@pytest.mark.parametrize(
    ("variable", "url"), [("HTTP_PROXY", "https://x.example"), ("HTTPS_PROXY", "http://x.example")]
)
def test_a_variable_is_not_heeded_for_other_urls(monkeypatch: pytest.MonkeyPatch, variable: str, url: str) -> None:
    monkeypatch.setenv(variable, PROXY)
    assert proxy_for(url) is None


def test_a_scheme_s_own_variable_goes_before_the_one_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://other.example:1080")
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    assert proxy_for("https://far.example") == PROXY


def test_a_proxy_without_a_scheme_is_an_http_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    assert proxy_for("https://far.example") == "http://proxy.example:3128"


@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("far.example", "https://far.example/x"),
        ("far.example", "https://models.far.example"),
        (".far.example", "https://models.far.example"),
        ("a.example, far.example ,b.example", "https://far.example"),
        ("FAR.example", "https://Far.Example"),
        ("far.example:8443", "https://far.example:8443"),
        ("*", "https://far.example"),
        ("10.1.2.3", "https://10.1.2.3"),
        ("10.0.0.0/8", "https://10.1.2.3:8443"),
        ("fd00::/8", "https://[fd00::1]"),
        ("fd00::1", "https://[fd00::1]:8443"),
        ("[fd00::1]", "https://[fd00::1]"),
        ("qdrant", "https://qdrant:6333"),
    ],
)
def test_what_no_proxy_names_is_called_straight(
    monkeypatch: pytest.MonkeyPatch, variable: str, no_proxy: str, url: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    assert proxy_for(url) == PROXY
    monkeypatch.setenv(variable, no_proxy)
    assert proxy_for(url) is None


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("example", "https://farexample"),
        ("ar.example", "https://far.example"),
        ("far.example:8443", "https://far.example"),
        ("10.0.0.0/8", "https://11.1.2.3"),
        ("10.0.0.0/8", "https://10.example"),
        ("10.0.0.0/8", "https://[fd00::1]"),
    ],
)
def test_what_no_proxy_does_not_name_is_called_through_the_proxy(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str, url: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert proxy_for(url) == PROXY


@pytest.mark.parametrize("proxy", [PROXY, "socks5://localhost:1080"])
@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST", "rag.localhost", "127.0.0.1", "127.8.9.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"],
)
def test_this_machine_is_called_straight_whatever_the_variables_say(
    monkeypatch: pytest.MonkeyPatch, host: str, proxy: str
) -> None:
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(variable, proxy)
    assert proxy_for(f"http://{host}:6333/x") is None
    assert proxy_for(f"https://{host}") is None


@pytest.mark.parametrize(
    "proxy",
    ["socks5://user:s3cret@p.example:1080", "http://user:s3/cret@p.example:1", "http://", "http://p.example:s3cret"],
)
def test_a_proxy_that_can_not_be_used_is_an_error_that_does_not_show_it(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY or ALL_PROXY") as raised:
        proxy_for("https://far.example")
    assert "cret" not in str(raised.value)
    assert raised.value.__context__ is None


def test_a_proxy_is_shown_without_its_user() -> None:
    assert shown(PROXY) == "proxy.example:3128"
    assert shown("http://proxy.example") == "proxy.example"


def test_the_tests_own_environment_names_no_proxy() -> None:
    assert not [name for name in os.environ if name.lower().endswith("_proxy")]
