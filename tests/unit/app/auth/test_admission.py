"""Admission as a route's own: who is let in, and what happens where a route lets nobody in."""

from typing import Annotated

import pytest
from fakeredis import FakeAsyncRedis
from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from app import problems
from app.auth import dependencies as auth
from app.auth.dependencies import Admin, AdmittedRoute, Asker
from app.core.queue.pipelined import Link
from app.core.settings import Settings
from tests.support.credentials import api_key, bearer

ASK_KEY, ASK_ENTRY = api_key("asker", role="ask")
ADMIN_KEY, ADMIN_ENTRY = api_key("boss", role="admin")


async def of_an_admin(principal: Admin) -> str:
    return principal.name


def client_of(route_class: type[APIRoute], *, prefix: str = "") -> TestClient:
    """A service whose only router has routes of `route_class`."""
    app, router = FastAPI(), APIRouter(route_class=route_class)
    problems.install(app)
    auth.install(app, Settings(api_keys=f"{ASK_ENTRY},{ADMIN_ENTRY}"), Link(FakeAsyncRedis()))

    @router.post("/asked")
    async def asked(body: dict[str, int], principal: Asker) -> str:
        return principal.name

    @router.post("/deeper")
    async def deeper(body: dict[str, int], name: Annotated[str, Depends(of_an_admin)], asker: Asker) -> str:
        return name

    @router.get("/public")
    async def public() -> str:
        return "anybody"

    app.include_router(router, prefix=prefix)
    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize("prefix", ["", "/below"])
def test_a_route_gives_its_function_whom_it_let_in(prefix: str) -> None:
    with client_of(AdmittedRoute, prefix=prefix) as client:
        assert client.post(f"{prefix}/asked", json={}, headers=bearer(ASK_KEY)).json() == "asker"
        assert client.post(f"{prefix}/asked", json={}).status_code == 401


def test_a_route_is_for_the_greatest_role_that_any_part_of_it_declares() -> None:
    with client_of(AdmittedRoute) as client:
        assert client.post("/deeper", json={}, headers=bearer(ADMIN_KEY)).json() == "boss"
        assert client.post("/deeper", content=b"no JSON", headers=bearer(ASK_KEY)).status_code == 403


def test_a_route_that_declares_nobody_is_for_everybody() -> None:
    with client_of(AdmittedRoute) as client:
        assert client.get("/public").json() == "anybody"


def test_a_route_of_another_class_lets_in_nobody_who_is_declared() -> None:
    """To forget the class is an error for everyone, and no way in."""
    with client_of(APIRoute) as client:
        shown: tuple[dict[str, str], ...] = (bearer(ADMIN_KEY), {})
        assert [client.post("/asked", json={}, headers=headers).status_code for headers in shown] == [500, 500]


def test_the_applications_own_routes_let_in_as_a_routers_do() -> None:
    app = FastAPI()
    problems.install(app)
    auth.install(app, Settings(api_keys=ASK_ENTRY), Link(FakeAsyncRedis()))

    @app.post("/own")
    async def own(body: dict[str, int], principal: Asker) -> str:
        return principal.name

    with TestClient(app) as client:
        assert client.post("/own", content=b"no JSON").status_code == 401
        assert client.post("/own", json={}, headers=bearer(ASK_KEY)).json() == "asker"
