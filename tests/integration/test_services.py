"""Valkey's password beside its address: any password is taken as it is."""

import asyncio
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr
from redis import Redis

from app.core.queue.connections import connect, connect_async
from app.core.services import redis_url
from app.core.settings import Settings
from app.embedded.credentials import credentials
from app.embedded.service import Service
from tests.support.conversations import VALKEY

PASSWORDS = ["plain", "p@ss:w/o?r%d&#", "%40", " a +b ", "[::1]", "'\"\\`$(x)", "päß", "x" * 512]


def settings_with(url: str, password: str) -> Settings:
    return Settings(redis_url=SecretStr(url), redis_password=SecretStr(password))


@pytest.mark.parametrize("password", PASSWORDS)
def test_valkey_lets_in_a_user_by_a_password_of_any_characters(valkey: Redis, password: str) -> None:
    place = os.environ[VALKEY].removeprefix("redis://")
    valkey.acl_setuser("anna", enabled=True, passwords=[f"+{password}"], categories=["+@all"])
    try:
        url = redis_url(settings_with(f"redis://anna@{place}", password))
        with connect(url) as client:
            assert client.acl_whoami() == "anna"

        async def ask() -> bool:
            async with connect_async(url) as api:
                return bool(await api.ping())

        assert asyncio.run(ask())
    finally:
        valkey.acl_deluser("anna")


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("redis://h:6379/0", "redis://:a%2Fb@h:6379/0"),
        ("redis://anna@h", "redis://anna:a%2Fb@h"),
        ("redis://anna:@h", "redis://anna:a%2Fb@h"),
        ("rediss://[::1]:1/2?ssl_cert_reqs=required", "rediss://:a%2Fb@[::1]:1/2?ssl_cert_reqs=required"),
        ("unix:///run/valkey.sock?db=1", "unix://:a%2Fb@/run/valkey.sock?db=1"),
        ("redis://:own@h", "redis://:own@h"),
        ("unix:///run/valkey.sock?password=own", "unix:///run/valkey.sock?password=own"),
    ],
)
def test_a_password_joins_the_address_that_has_none(url: str, whole: str) -> None:
    assert redis_url(settings_with(url, "a/b")) == whole


def test_the_whole_service_and_its_worker_use_it_for_a_given_valkey_and_not_for_their_own(tmp_path: Path) -> None:
    given = settings_with("redis://h", "p@ss").model_copy(update={"data_dir": tmp_path})
    for settings, password in ((given, "p%40ss"), (given.model_copy(update={"redis_url": None}), None)):
        secrets = credentials(tmp_path)
        services = Service(settings, documents=None)._services("http://127.0.0.1:1", secrets)
        expected = password or secrets.valkey_password
        assert urlsplit(services.redis_url.get_secret_value()).password == expected
