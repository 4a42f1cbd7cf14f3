"""API keys: what is made is found again, only its hash is kept, and a wrong API_KEYS is explained."""

from hashlib import sha256

import pytest

from app.auth.api_keys import KEY_BYTES, PREFIX, KeyEntry, KeyRing, make_key
from app.auth.principals import Principal, Role
from app.core.errors import ConfigurationError
from tests.support.credentials import api_key

DIGEST = "0" * 64


def test_a_new_key_is_found_by_its_entry_and_stands_nowhere_in_it() -> None:
    key, entry = api_key("web", tenant="acme", role="ingest", rate="600/minute")
    assert KeyRing([entry]).find(key.encode()) == Principal("acme", "web", Role.INGEST, "600/minute")
    assert key not in entry
    assert sha256(key.encode()).hexdigest() in entry


def test_a_key_has_256_random_bits_and_a_prefix_that_scanners_know() -> None:
    keys = {api_key("web")[0] for _ in range(50)}
    assert len(keys) == 50
    assert all(key.startswith(PREFIX) and len(key) - len(PREFIX) == (KEY_BYTES * 8 + 5) // 6 for key in keys)


def test_the_hash_of_a_key_does_not_open_what_the_key_opens() -> None:
    _, entry = api_key("web")
    assert KeyRing([entry]).find(entry.rsplit(":", 1)[1].encode()) is None


def test_a_tenant_may_have_colons() -> None:
    key, entry = api_key("web", tenant="org:1:team", rate=None)
    assert KeyEntry.parse(entry).tenant == "org:1:team"
    found = KeyRing([entry]).find(key.encode())
    assert found == Principal("org:1:team", "web", Role.ASK, None)


@pytest.mark.parametrize("weight", [2, 100])
@pytest.mark.parametrize("tokens", [None, "1/day"])
def test_an_entry_may_have_a_weight(weight: int, tokens: str | None) -> None:
    key, entry = api_key("web", tenant="org:1:team", rate="9/minute", tokens=tokens, weight=weight)
    found = KeyRing([entry]).find(key.encode())
    assert found == Principal("org:1:team", "web", Role.ASK, "9/minute", tokens=tokens, weight=weight)
    swapped = entry.replace(f":tokens={tokens}:weight={weight}", f":weight={weight}:tokens={tokens}")
    assert KeyRing([swapped]).find(key.encode()) == found


@pytest.mark.parametrize("tokens", ["1/day", "2000000/month", "999999999999999/day"])
def test_an_entry_may_have_a_budget_of_tokens(tokens: str) -> None:
    key, entry = api_key("web", tenant="org:1:team", rate="9/minute", tokens=tokens)
    assert entry.endswith(f":tokens={tokens}")
    found = KeyRing([entry]).find(key.encode())
    assert found == Principal("org:1:team", "web", Role.ASK, "9/minute", tokens=tokens)
    assert str(KeyEntry.parse(entry)) == entry


def test_an_entry_of_before_has_no_budget() -> None:
    assert KeyEntry.parse(f"web:acme:ask::{DIGEST}").principal().spender is None


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ("secret-word", "name:tenant:role:rate:sha256"),
        (f"web:acme:ask:{DIGEST}", "name:tenant:role:rate:sha256"),
        (f"we b:acme:ask::{DIGEST}", "name"),
        (f"web:a/b:ask::{DIGEST}", "tenant"),
        (f"web:acme:root::{DIGEST}", "role"),
        (f"web:acme:ask:0/minute:{DIGEST}", "rate"),
        (f"web:acme:ask:9/week:{DIGEST}", "rate"),
        (f"web:acme:ask::{DIGEST}:tokens=0/day", "tokens"),
        (f"web:acme:ask::{DIGEST}:tokens=9/week", "tokens"),
        (f"web:acme:ask::{DIGEST}:tokens=", "tokens"),
        (f"web:acme:ask::{DIGEST}:tokens=9/day:tokens=8/day", "tokens"),
        (f"web:acme:ask::{DIGEST}:weight=0", "weight"),
        (f"web:acme:ask::{DIGEST}:weight=101", "weight"),
        (f"web:acme:ask::{DIGEST}:weight=1.5", "weight"),
        (f"web:acme:ask::{DIGEST}:weight=2:weight=3", "weight"),
        (f"web:acme:ask::tokens=9/day:{DIGEST}", "name:tenant:role:rate:sha256"),
        ("web:acme:ask::rag_the-key-itself", "sha256"),
    ],
)
def test_a_wrong_entry_is_named_by_its_place_and_never_repeated(entry: str, what: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        KeyRing([api_key("good")[1], entry])
    assert "API_KEYS: entry 2" in str(caught.value)
    assert what in str(caught.value)
    for part in ("secret-word", "rag_", DIGEST):
        assert part not in str(caught.value)


def test_two_keys_of_one_tenant_have_two_names() -> None:
    with pytest.raises(ConfigurationError, match="entry 2"):
        KeyRing([api_key("web")[1], api_key("web")[1]])
    KeyRing([api_key("web", tenant="a")[1], api_key("web", tenant="b")[1]])


def test_the_same_key_can_not_stand_for_two() -> None:
    _, entry = api_key("web")
    with pytest.raises(ConfigurationError, match="entry 2"):
        KeyRing([entry, entry.replace("web:", "other:", 1)])


@pytest.mark.parametrize("part", [{"name": "a:b"}, {"tenant": "a b"}, {"rate": "many"}])
def test_a_key_of_a_wrong_form_is_not_made(part: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="pattern"):
        make_key(**{"name": "web", "tenant": "acme", "role": Role.ASK, "rate": None, **part})  # type: ignore[arg-type]
