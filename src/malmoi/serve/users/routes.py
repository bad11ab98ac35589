"""The routes of the user models, in the manners of the Studio API."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response

from malmoi.serve.db import new_id
from malmoi.serve.identity import Principal, Scope, require
from malmoi.serve.openai.requests import ignored_header
from malmoi.serve.services import Services
from malmoi.serve.sse import dumps, while_connected
from malmoi.serve.studio.render import envelope_of
from malmoi.serve.studio.requests import Envelope
from malmoi.serve.users.requests import Encode, LookAlike, Propensity, Recommend
from malmoi.users.index.collection import MAX_KEY

if TYPE_CHECKING:
    from pydantic import BaseModel

    from malmoi.users.ranked import Recommended
    from malmoi.users.service import UserService

MayModel = Annotated[Principal, Depends(require(Scope.USERS))]
MayReach = Annotated[Principal, Depends(require(Scope.AUDIENCE))]
CollectionName = Annotated[str, Path(max_length=100)]
UserKey = Annotated[str, Path(max_length=MAX_KEY)]


def users_router(services: Services) -> APIRouter:
    """All routes under `/v1/users`."""
    router = APIRouter(prefix="/v1/users", tags=["Users API"])

    @router.post("/encode", response_model=Envelope)
    async def encode(principal: MayModel, request: Request, body: Encode) -> Response:
        """The vectors of histories that are sent; nothing of them is kept."""

        def work(service: UserService) -> dict[str, Any]:
            vectors = service.encode(body.histories, model=body.model)
            return {**_model(service, body.model), "vectors": vectors.tolist()}

        texts = (text for history in body.histories for text in history)
        return await _answer(services, principal, request, body, body.model, work, texts)

    @router.post("/recommend", response_model=Envelope)
    async def recommend(principal: MayModel, request: Request, body: Recommend) -> Response:
        """What somebody with this history may like, also somebody who was never seen before."""

        def work(service: UserService) -> dict[str, Any]:
            items = service.recommend(
                body.history,
                model=body.model,
                top=body.topN,
                services=body.services,
                exclude_seen=body.excludeSeen,
                why=body.includeReasons,
            )
            shown = [_item(item, has_reasons=body.includeReasons) for item in items]
            return {**_model(service, body.model), "items": shown}

        return await _answer(services, principal, request, body, body.model, work, body.history)

    @router.post("/look-alike", response_model=Envelope)
    async def look_alike(principal: MayReach, request: Request, body: LookAlike) -> Response:
        """The users of a collection who are most like some of them."""

        def work(service: UserService) -> dict[str, Any]:
            audience = service.look_alike(body.collection, body.userIds, body.size)
            found = zip(audience.found.keys, audience.found.scores.tolist(), strict=True)
            return {
                "collection": body.collection,
                "users": [{"userId": key, "score": score} for key, score in found],
                "unknownUserIds": list(audience.unknown),
            }

        return await _answer(services, principal, request, body, body.collection, work)

    @router.post("/propensity", response_model=Envelope)
    async def propensity(principal: MayReach, request: Request, body: Propensity) -> Response:
        """How likely users of a collection are to answer a campaign."""

        def work(service: UserService) -> dict[str, Any]:
            found = service.propensity(body.collection, body.campaign, body.userIds)
            return {
                "collection": body.collection,
                "campaign": body.campaign,
                "users": [{"userId": key, "probability": value} for key, value in found.items()],
                "unknownUserIds": [key for key in dict.fromkeys(body.userIds) if key not in found],
            }

        return await _answer(services, principal, request, body, body.collection, work)

    @router.delete("/{collection}/{user_id:path}", response_model=Envelope)
    async def forget(
        principal: MayReach, request: Request, collection: CollectionName, user_id: UserKey
    ) -> Response:
        """Take a user out for good: the vector, what is kept of the history, and every older version."""

        def work(service: UserService) -> dict[str, Any]:
            service.forget(collection, user_id)
            return {"collection": collection, "userId": user_id, "deleted": True}

        return await _answer(services, principal, request, None, collection, work)

    return router


async def _answer(
    services: Services,
    principal: Principal,
    request: Request,
    body: BaseModel | None,
    model: str | None,
    work: Callable[[UserService], dict[str, Any]],
    texts: Iterable[str] = (),
) -> Response:
    users = services.users
    request_id = new_id("users")
    name = model if model is not None else users.service.name_of(None)
    running = users.metered(principal, work, request_id=request_id, model=name, texts=texts)
    done = await while_connected(request.receive, running)
    if done is None:
        return Response(status_code=499)  # nobody reads it
    result, limits = done
    headers = {"x-request-id": request_id, **limits.headers()}
    if body is not None:
        headers |= ignored_header(body)
    return Response(dumps(envelope_of(result)), headers=headers, media_type="application/json")


def _model(service: UserService, name: str | None) -> dict[str, Any]:
    opened = service.open(name)
    return {"model": opened.name, "modelVersion": opened.version}


def _item(item: Recommended, *, has_reasons: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "itemId": item.item,
        "service": item.service,
        "text": item.text,
        "score": item.score,
    }
    if has_reasons:
        shown["reasons"] = [
            {"event": reason.event, "text": reason.text, "drop": reason.drop} for reason in item.why
        ]
    return shown
