"""Replies of the models to a turn: each is a task that goes on whether or not anybody watches.

A page shows replies only when all of a turn are there: what comes quickly would betray its model.
"""

import asyncio
import logging
import random
from collections.abc import Sequence

from sqlalchemy import select, update

from malmoi.apps.redteam.dialogue import conversation
from malmoi.apps.redteam.tables import Reply, Session, Turn
from malmoi.apps.redteam.types import ErrorOut
from malmoi.core.errors import Conflict, MalmoiError
from malmoi.core.types import Chat
from malmoi.engine.base import Sampling
from malmoi.serve.db import Database, new_id, utc_now
from malmoi.serve.identity import Principal
from malmoi.serve.inference import Inference
from malmoi.serve.running import InferenceRequest

_logger = logging.getLogger(__name__)


class Replies:
    """Asks the models and keeps what they say."""

    def __init__(self, db: Database, inference: Inference) -> None:
        self._db = db
        self._inference = inference
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closing = False

    async def start(self) -> None:
        """Mark what an earlier run has left; a server that still writes one will say so when it is done."""
        async with self._db.session() as session:
            await session.execute(update(Reply).where(Reply.status == "writing").values(status="interrupted"))

    async def stop(self) -> None:
        """Interrupt what is being written, and save that."""
        self._closing = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def idle(self) -> None:
        """Wait until nothing is being written."""
        while self._tasks:
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def rows(self, turn: Turn, models: Sequence[str]) -> list[Reply]:
        """New rows for a turn, one a model, in random places."""
        if self._closing:
            raise Conflict("the server is shutting down.", fix="Try again in a moment.")
        places = random.SystemRandom().sample(range(len(models)), len(models))
        return [
            Reply(
                id=new_id("rep"),
                turn_id=turn.id,
                session_id=turn.session_id,
                model=model,
                position=place,
                content="",
                status="writing",
                finish_reason=None,
                error=None,
                usage=None,
                created_at=utc_now(),
            )
            for model, place in zip(models, places, strict=True)
        ]

    def begin(self, principal: Principal, reply: Reply, chat: Chat, max_tokens: int) -> None:
        """Ask a model; its answer is saved when it is whole."""
        task = asyncio.create_task(
            self._write(principal, reply.id, reply.model, chat, max_tokens), name=f"red-team reply {reply.id}"
        )
        self._tasks[reply.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(reply.id, None))

    async def ask_again(
        self, principal: Principal, annotator_id: str, session_id: str, reply_id: str
    ) -> None:
        """Ask a model again whose reply failed or was interrupted.

        Raises:
            Conflict: the reply is there, or is being written, or the session is not one's own.
        """
        async with self._db.session() as db:
            owner = await db.get(Session, session_id, with_for_update=True)
            reply = await db.get(Reply, reply_id, with_for_update=True)
            assert owner is not None  # whoever calls has seen both
            assert reply is not None
            if owner.annotator_id != annotator_id:
                raise Conflict(
                    "this session is another annotator's.", fix="Score the replies that are there."
                )
            if reply.status not in ("failed", "interrupted"):
                raise Conflict("this reply has not failed.")
            turns = list(
                await db.scalars(select(Turn).where(Turn.session_id == session_id).order_by(Turn.number))
            )
            replies = {
                row.id: row for row in await db.scalars(select(Reply).where(Reply.session_id == session_id))
            }
            turn = next(turn for turn in turns if turn.id == reply.turn_id)
            chat = conversation(turns, replies, turn)
            reply.status, reply.error = "writing", None
        self.begin(principal, reply, chat, owner.max_tokens)

    async def _write(
        self, principal: Principal, reply_id: str, model: str, chat: Chat, max_tokens: int
    ) -> None:
        request = InferenceRequest(
            model=model,
            prompt=chat,
            sampling=Sampling(max_tokens=max_tokens),
            source="redteam",
            request_id=new_id("red"),
        )
        try:
            answer = await self._inference.generate(principal, request)
        except MalmoiError as error:
            shown = ErrorOut(code=error.code, message=error.message, fix=error.fix)
            await self._save(reply_id, status="failed", error=shown.model_dump())
        except asyncio.CancelledError:
            await self._save(reply_id, status="interrupted")
            raise
        except Exception:
            # A bug must not leave a reply that is written for ever; it is logged here and named in the reply.
            _logger.exception("a red-team reply failed")
            shown = ErrorOut(code="internal_error", message="something went wrong in the server.")
            await self._save(reply_id, status="failed", error=shown.model_dump())
        else:
            await self._save(
                reply_id,
                status="complete",
                # Neither NUL nor half a character can be kept by every database.
                content=answer.text.replace("\x00", "").encode("utf-8", "replace").decode(),
                finish_reason=answer.finish_reason,
                usage={
                    "prompt_tokens": answer.usage.prompt_tokens,
                    "completion_tokens": answer.usage.completion_tokens,
                },
            )

    async def _save(self, reply_id: str, **values: object) -> None:
        async with self._db.session() as session:
            await session.execute(update(Reply).where(Reply.id == reply_id).values(**values))
