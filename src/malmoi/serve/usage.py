"""What was used: sums over the usage rows, and the route that shows them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel
from sqlalchemy import func, select
from sqlalchemy.sql.elements import ColumnElement

from malmoi.core.errors import Forbidden
from malmoi.serve.db import Database, utc_now
from malmoi.serve.db.tables import ApiKey, UsageEvent
from malmoi.serve.identity import Principal, Scope, current_principal

_SUMS: tuple[Any, ...] = (
    func.count().label("requests"),
    func.coalesce(func.sum(UsageEvent.prompt_tokens), 0).label("prompt_tokens"),
    func.coalesce(func.sum(UsageEvent.completion_tokens), 0).label("completion_tokens"),
    func.coalesce(func.sum(UsageEvent.cached_tokens), 0).label("cached_tokens"),
)


class UsageTotals(BaseModel):
    """Sums of requests and tokens."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int


class DayUsage(UsageTotals):
    """The sums of one UTC day and model."""

    day: str
    model: str


class KeyUsage(UsageTotals):
    """The sums of one key; `key_id` is null for the browser."""

    key_id: str | None
    name: str | None


class UsageReport(BaseModel):
    """Usage of one account, or of all."""

    totals: UsageTotals
    by_day: Sequence[DayUsage]
    by_key: Sequence[KeyUsage]


async def report_usage(
    db: Database, principal: Principal, *, days: int, everyone: bool = False
) -> UsageReport:
    """Sum the usage of the last `days` UTC days, today included.

    Raises:
        Forbidden: the caller may not see everyone's usage.
    """
    if everyone and not principal.may(Scope.USAGE):
        raise Forbidden("you may see your own usage only.")
    since = (utc_now() - timedelta(days=days - 1)).date().isoformat()
    where: list[ColumnElement[bool]] = [UsageEvent.day >= since]
    if not everyone:
        where.append(UsageEvent.account_id == principal.account_id)
    by_day = select(UsageEvent.day, UsageEvent.model, *_SUMS).where(*where)
    by_key = select(UsageEvent.key_id, ApiKey.name, *_SUMS).where(*where)
    async with db.reading() as session:
        totals = (await session.execute(select(*_SUMS).where(*where))).one()
        days_found = await session.execute(
            by_day.group_by(UsageEvent.day, UsageEvent.model).order_by(UsageEvent.day, UsageEvent.model)
        )
        keys_found = await session.execute(
            by_key.outerjoin(ApiKey, ApiKey.id == UsageEvent.key_id)
            .group_by(UsageEvent.key_id, ApiKey.name)
            .order_by(UsageEvent.key_id)
        )
        return UsageReport(
            totals=UsageTotals(**totals._mapping),
            by_day=[DayUsage(**row._mapping) for row in days_found],
            by_key=[KeyUsage(**row._mapping) for row in keys_found],
        )


def usage_router(db: Database) -> APIRouter:
    """The route of `GET /api/usage`."""
    router = APIRouter(prefix="/api", tags=["usage"])

    @router.get("/usage")
    async def usage(
        principal: Annotated[Principal, Depends(current_principal)],
        days: Annotated[int, Query(ge=1, le=366, description="UTC days to sum, today included.")] = 30,
        everyone: Annotated[bool, Query(description="All accounts; needs the right `usage`.")] = False,
    ) -> UsageReport:
        """Requests and tokens: in all, by day and model, and by key."""
        return await report_usage(db, principal, days=days, everyone=everyone)

    return router
