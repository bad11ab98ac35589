"""What the page of users asks of the server: rights at every route, people, maps, audiences, files."""

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from malmoi.apps.users.audience import render_csv
from malmoi.apps.users.types import NeighbourOut
from malmoi.serve.identity import route_policies
from users_gateway import fill, gateway, key_of


@pytest.fixture
async def server(home: Path) -> AsyncIterator[tuple[FastAPI, httpx.AsyncClient]]:
    fill(home)
    async with gateway(home) as made:
        yield made


@pytest.fixture
async def client(server: tuple[FastAPI, httpx.AsyncClient]) -> httpx.AsyncClient:
    app, client = server
    client.headers.update(await key_of(app, "audience"))
    return client


async def test_every_route_asks_for_the_right(server: tuple[FastAPI, httpx.AsyncClient]) -> None:
    policies = [policy for policy in route_policies(server[0]) if policy.path.startswith("/api/users")]
    assert len(policies) >= 9
    assert {str(policy).partition(": ")[2] for policy in policies} == {"audience"}


async def test_what_there_is(client: httpx.AsyncClient) -> None:
    found = (await client.get("/api/users/overview")).json()
    assert found["models"] == ["word-counts"]
    [people] = found["collections"]
    assert (people["name"], people["count"], people["campaigns"]) == ("people", 60, ["shoe-sale"])
    model = (await client.get("/api/users/models/word-counts")).json()
    assert model["services"] == ["shop", "travel", "webtoon"]
    assert (model["version"], model["items"]) == (people["model"], 5)


async def test_people_by_pages(client: httpx.AsyncClient) -> None:
    path = "/api/users/collections/people/people"
    first = (await client.get(path)).json()
    assert (len(first["keys"]), first["more"]) == (50, True)
    rest = (await client.get(path, params={"after": first["keys"][-1]})).json()
    assert (len(rest["keys"]), rest["more"]) == (10, False)
    some = (await client.get(path, params={"beginning": "u00"})).json()
    assert some["keys"] == [f"u00{number}" for number in range(10)]


async def test_a_person(client: httpx.AsyncClient) -> None:
    path = "/api/users/collections/people/person"
    found = (await client.get(path, params={"key": "u003"})).json()
    assert found["history"] == ["제주 호텔 예약", "제주 여행 예약", "3번 글 읽음"]
    assert (found["events"], found["last"], len(found["neighbours"])) == (3, 1_735_689_600, 10)
    answer = await client.post("/api/users/recommend", json={"history": found["history"], "top": 3})
    items = answer.json()["items"]
    assert len(items) == 3
    assert all(item["why"] for item in items if item["score"] > 0)
    assert (await client.delete(path, params={"key": "u003"})).status_code == 204
    assert (await client.get(path, params={"key": "u003"})).status_code == 404
    assert (await client.delete(path, params={"key": "u003"})).status_code == 404


async def test_the_map(client: httpx.AsyncClient) -> None:
    found = (await client.get("/api/users/collections/people/map", params={"limit": 20})).json()
    assert (len(found["points"]), found["count"]) == (20, 60)
    assert 0 < found["explained"] <= 1
    assert found == (await client.get("/api/users/collections/people/map", params={"limit": 20})).json()


async def test_an_audience_and_its_file(client: httpx.AsyncClient) -> None:
    body = {"users": ["u000", "nobody"], "size": 5, "campaign": "shoe-sale"}
    path = "/api/users/collections/people/audience"
    found = (await client.post(path, json=body)).json()
    assert found["unknown"] == ["nobody"]
    assert len(found["users"]) == 5
    answer = await client.post(f"{path}.csv", json=body)
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert rows[0] == ["user", "score", "probability"]
    assert [row[0] for row in rows[1:]] == [user["key"] for user in found["users"]]
    assert [float(row[2]) for row in rows[1:]] == pytest.approx(
        [user["probability"] for user in found["users"]], abs=1e-6
    )


@pytest.mark.parametrize("key", ["=HYPERLINK(1)", "+1", "-1", "@x", 'a,b\n"c"'])
def test_no_name_is_a_formula(key: str) -> None:
    text = render_csv([NeighbourOut(key=key, score=0.5)]).decode("utf-8-sig")
    [_, row] = list(csv.reader(io.StringIO(text)))
    assert row[0].lstrip("'") == key
    assert not row[0].startswith(("=", "+", "-", "@"))


async def test_sizes_are_limited(client: httpx.AsyncClient) -> None:
    path = "/api/users/collections/people/audience"
    assert (await client.post(path, json={"users": [], "size": 5})).status_code == 400
    assert (await client.post(path, json={"users": ["u000"], "size": 10**6})).status_code == 400
    assert (await client.get("/api/users/collections/people/map", params={"limit": 10**6})).status_code == 400
    assert (await client.get("/api/users/collections/..%2Fx/map")).status_code == 404
