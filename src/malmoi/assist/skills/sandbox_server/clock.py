"""What day it is where the sandbox's cities are."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import WithJsonSchema

Today: TypeAlias = Callable[[], date]
# A day that may be left out; its schema says only what to write where it is given.
MaybeDay: TypeAlias = Annotated[date | None, WithJsonSchema({"type": "string", "format": "date"})]
ZONE = "Asia/Seoul"


def today() -> date:
    """The date in Korea."""
    return datetime.now(ZoneInfo(ZONE)).date()
