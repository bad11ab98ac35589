"""The HTTP interface of the page of users. A handler parses, asks the service in a thread, and renders."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from malmoi.apps.users.audience import build_audience, render_csv
from malmoi.apps.users.types import (
    AudienceIn,
    AudienceOut,
    CollectionOut,
    ItemOut,
    Key,
    MapOut,
    ModelOut,
    NeighbourOut,
    Overview,
    PeopleOut,
    PersonOut,
    PointOut,
    RecommendIn,
    RecommendOut,
)
from malmoi.serve.identity import Principal, Scope, require
from malmoi.serve.users.work import Users
from malmoi.users.service import MAX_POINTS, UserService

Caller = Annotated[Principal, Depends(require(Scope.AUDIENCE))]
Collection = Annotated[str, Path(max_length=100)]
PersonKey = Annotated[Key, Query(description="The user's key.")]
_PAGE = 50


def users_page_router(users: Users) -> APIRouter:
    """The routes under `/api/users`."""
    router = APIRouter(prefix="/api/users", tags=["users"])
    _add_models(router, users)
    _add_people(router, users)
    _add_groups(router, users)
    return router


def _add_models(router: APIRouter, users: Users) -> None:
    @router.get("/overview", summary="Served models, and collections of users")
    async def overview(caller: Caller) -> Overview:
        def work(service: UserService) -> Overview:
            found = [CollectionOut(**asdict(info)) for info in service.collections()]
            return Overview(models=service.models, collections=found)

        return await users.run(caller, work)

    @router.get("/models/{name}", summary="A served model, opened now if it was not")
    async def model(caller: Caller, name: Annotated[str, Path(max_length=200)]) -> ModelOut:
        return await users.run(caller, lambda service: ModelOut(**asdict(service.info(name))))

    @router.post("/recommend", summary="What somebody with this history may like, and why")
    async def recommend(caller: Caller, body: RecommendIn) -> RecommendOut:
        def work(service: UserService) -> RecommendOut:
            items = service.recommend(body.history, model=body.model, top=body.top, services=body.services)
            return RecommendOut(
                model=service.name_of(body.model), items=[ItemOut(**asdict(item)) for item in items]
            )

        return await users.run(caller, work)


def _add_people(router: APIRouter, users: Users) -> None:
    @router.get("/collections/{collection}/people", summary="Users of a collection, by key")
    async def people(
        caller: Caller,
        collection: Collection,
        beginning: Annotated[str, Query(max_length=200, description="What the keys begin with.")] = "",
        after: Annotated[str, Query(max_length=200, description="The last key of the page before.")] = "",
    ) -> PeopleOut:
        def work(service: UserService) -> PeopleOut:
            version = service.collection(collection).active
            keys = version.keys(beginning=beginning, after=after, limit=_PAGE + 1)
            return PeopleOut(keys=keys[:_PAGE], more=len(keys) > _PAGE)

        return await users.run(caller, work)

    @router.get("/collections/{collection}/person", summary="A user's history and nearest neighbours")
    async def person(
        caller: Caller,
        collection: Collection,
        key: PersonKey,
        neighbours: Annotated[int, Query(ge=1, le=100)] = 10,
    ) -> PersonOut:
        def work(service: UserService) -> PersonOut:
            facts = service.person(collection, key)
            found = service.neighbours(collection, key, neighbours)
            near = [
                NeighbourOut(key=name, score=score)
                for name, score in zip(found.keys, found.scores.tolist(), strict=True)
            ]
            return PersonOut(
                key=key, events=facts.events, last=facts.last, history=facts.texts, neighbours=near
            )

        return await users.run(caller, work)

    @router.delete("/collections/{collection}/person", status_code=204, summary="Take a user out for good")
    async def forget(caller: Caller, collection: Collection, key: PersonKey) -> None:
        await users.run(caller, lambda service: service.forget(collection, key))


def _add_groups(router: APIRouter, users: Users) -> None:
    @router.get("/collections/{collection}/map", summary="Users in the plane")
    async def show_map(
        caller: Caller,
        collection: Collection,
        limit: Annotated[int, Query(ge=1, le=MAX_POINTS)] = 1000,
    ) -> MapOut:
        def work(service: UserService) -> MapOut:
            made = service.map2d(collection, limit=limit)
            rows = zip(made.keys, made.points.tolist(), strict=True)
            points = [PointOut(key=key, x=x, y=y) for key, (x, y) in rows]
            return MapOut(points=points, explained=made.explained, count=len(service.collection(collection)))

        return await users.run(caller, work)

    @router.post("/collections/{collection}/audience", summary="Users like some others")
    async def audience(caller: Caller, collection: Collection, body: AudienceIn) -> AudienceOut:
        return await users.run(caller, lambda service: build_audience(service, collection, body))

    @router.post(
        "/collections/{collection}/audience.csv",
        response_class=Response,
        summary="The same, as a CSV file",
        responses={200: {"content": {"text/csv": {}}}},
    )
    async def audience_csv(caller: Caller, collection: Collection, body: AudienceIn) -> Response:
        made = await users.run(caller, lambda service: build_audience(service, collection, body))
        headers = {"Content-Disposition": 'attachment; filename="audience.csv"', "Cache-Control": "no-store"}
        return Response(render_csv(made.users), media_type="text/csv", headers=headers)
