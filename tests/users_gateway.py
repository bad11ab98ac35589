"""A gateway that serves a small user model, with a collection of people."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from fastapi import FastAPI

from fake_text_model import WordCounts, fake_kinds, items_of, store_model
from malmoi.apps.users import UsersApp
from malmoi.serve.app import create_app
from malmoi.serve.identity import KeyLimits, Role, account_principal
from malmoi.serve.settings import LimitSettings, ServeSettings, UserSettings
from malmoi.testing import ScriptedEngine
from malmoi.users.campaigns import learn_campaign
from malmoi.users.index import Collection, Facts

TEXTS = ["빨간 운동화 구매", "파란 운동화 구매", "제주 여행 예약", "제주 호텔 예약", "로맨스 웹툰 열람"]
SERVICES = ["shop", "shop", "travel", "travel", "webtoon"]


def fill(home: Path, people: int = 60) -> None:
    """A model `word-counts`, and a collection `people` of users who did two things each."""
    model = WordCounts(items_of(TEXTS, SERVICES))
    version = store_model(home, model).digest[:16]
    histories = {
        f"u{number:03d}": (TEXTS[number % 5], TEXTS[(number * 2 + 1) % 5], f"{number}번 글 읽음")
        for number in range(people)
    }
    vectors = np.array([model.encode_items(texts).sum(axis=0) for texts in histories.values()])
    collection = Collection.create(home, "people", model=version, size=model.size)
    facts = {key: Facts(b"x", len(texts), 1_735_689_600, texts) for key, texts in histories.items()}
    collection.upsert(list(histories), vectors.astype(np.float32), model=version, facts=facts)
    shoes = [key for key, texts in histories.items() if any("운동화" in text for text in texts)]
    others = [key for key in histories if key not in shoes]
    if len(others) >= 20:
        learn_campaign(collection, "shoe-sale", shoes, others)


@asynccontextmanager
async def gateway(
    home: Path, *, models: tuple[str, ...] = ("word-counts",), limits: Any = None
) -> AsyncIterator[tuple[FastAPI, httpx.AsyncClient]]:
    settings = ServeSettings(
        home=home, users=UserSettings(models=models), limits=LimitSettings.model_validate(limits or {})
    )
    app = create_app(settings, apps=[UsersApp()], engines={"standard": ScriptedEngine()})
    app.state.services.users.service._registry = fake_kinds()
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
            yield app, client


async def key_of(app: FastAPI, *scopes: str, **limits: int) -> dict[str, str]:
    identity = app.state.services.identity
    owner = await identity.open_to()
    principal = account_principal(owner.account_id, owner.name, Role.OWNER)
    _, secret = await identity.keys.create(principal, "test", scopes, limits=KeyLimits(**limits))
    return {"authorization": f"Bearer {secret}"}
