"""How a question is answered: by a template's flow, by skills, from documents, or by the model alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from malmoi.apps.chat.beginning import with_opening
from malmoi.apps.chat.conversations import find_conversation, messages_of
from malmoi.apps.chat.flowing import occasion_of
from malmoi.apps.chat.showing import told_branch
from malmoi.apps.chat.tree import path_to
from malmoi.apps.chat.types import DocumentChoice, SamplingOptions

if TYPE_CHECKING:
    from malmoi.apps.chat.generation import Generation, Outcome, Question
    from malmoi.apps.chat.grounding import Library
    from malmoi.apps.chat.personas import Personas
    from malmoi.apps.chat.skilled import SkilledReplies
    from malmoi.serve.db import Database


class Answering:
    """Finds out who answers a question, and with what.

    Args:
        db: the database.
        personas: who answers.
        library: the documents of conversations.
        skilled: the skills of replies.
    """

    def __init__(self, db: Database, personas: Personas, library: Library, skilled: SkilledReplies) -> None:
        self._db = db
        self._personas = personas
        self._library = library
        self._skilled = skilled

    async def answer(self, generation: Generation, question: Question) -> Outcome:
        """Answer a question into the reply of `generation`."""
        principal = question.principal
        async with self._db.reading() as session:
            account_id = principal.account_id
            conversation = await find_conversation(session, account_id, question.conversation_id)
            messages = await messages_of(session, account_id, question.conversation_id)
            branch = path_to(messages, question.message_id)
            character = await self._personas.character(
                session, account_id, conversation, branch[0].content if branch else ""
            )
        sampling = question.sampling.over(SamplingOptions.model_validate(conversation.sampling))
        sampling = sampling.over(character.sampling)
        model = question.model or conversation.model or character.model or ""
        if character.template is not None and character.template.flow is not None:
            form = character.form
            reads = self._skilled.reads(principal, form.language) if character.template.skills else None
            occasion = occasion_of(character.template, form, branch, sampling, reads=reads)
            return await generation.follow(principal, occasion, model=model)
        told = await told_branch(self._db, branch)
        outcome = await generation.use_skills(
            lambda live: self._skilled.begin(question, conversation, branch, told, model, live), model=model
        )
        if outcome is not None:
            return outcome
        system = with_opening(character.system_prompt, told)
        if conversation.documents is not None:
            choice = DocumentChoice.model_validate(conversation.documents)
            return await generation.answer_from(
                principal,
                lambda live: self._library.ground(principal, told, choice, live),
                model=model,
                system=system,
                sampling=sampling,
            )
        return await generation.run(principal, told, model=model, system=system, sampling=sampling)
