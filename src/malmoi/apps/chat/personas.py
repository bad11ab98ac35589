"""Personas: who answers, and how. Built-in ones are templates (`assist/templates`); people make their own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from malmoi.apps.chat.tables import Conversation, Persona
from malmoi.apps.chat.types import Localised, NewPersona, PersonaOut, PersonaPatch, SamplingOptions
from malmoi.assist.templates import Form, Template, blank_form, load_builtin, system_prompt
from malmoi.core.errors import Conflict, NotFound
from malmoi.core.hangul import is_hangul
from malmoi.serve.db import Database, new_id, utc_now

MAX_PERSONAS = 500


@dataclass(frozen=True, slots=True)
class Character:
    """What a persona says to a model; a built-in one has its template and what was filled in."""

    system_prompt: str = ""
    model: str | None = None
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    template: Template | None = None
    form: Form = field(default_factory=Form)


def load_builtin_personas() -> dict[str, Template]:
    """The built-in personas and templates by id, in the order of the list."""
    return load_builtin()


class Personas:
    """The built-in personas and those of an account."""

    def __init__(self, db: Database, builtin: Mapping[str, Template]) -> None:
        self._db = db
        self._builtin = builtin

    async def all(self, account_id: str) -> list[PersonaOut]:
        """The built-in ones, then the account's own, oldest first."""
        async with self._db.reading() as session:
            query = select(Persona).where(Persona.account_id == account_id).order_by(Persona.id)
            own = list(await session.scalars(query))
        return [*(_show_builtin(key, persona) for key, persona in self._builtin.items()), *map(_show, own)]

    async def create(self, account_id: str, new: NewPersona) -> PersonaOut:
        """Add a persona.

        Raises:
            Conflict: there are too many.
        """
        now = utc_now()
        persona = Persona(
            id=new_id("pers"),
            account_id=account_id,
            name=new.name,
            description=new.description,
            system_prompt=new.system_prompt,
            model=new.model,
            sampling=new.sampling.to_json(),
            created_at=now,
            updated_at=now,
        )
        async with self._db.session() as session:
            query = select(func.count()).where(Persona.account_id == account_id)
            if (await session.scalar(query) or 0) >= MAX_PERSONAS:
                raise Conflict(f"there are {MAX_PERSONAS} personas already.", fix="Delete one first.")
            session.add(persona)
        return _show(persona)

    async def change(self, account_id: str, persona_id: str, patch: PersonaPatch) -> PersonaOut:
        """Change one of the account's own personas.

        Raises:
            NotFound: there is none.
            Conflict: it is a built-in one.
        """
        changes = patch.changes
        if "sampling" in changes:
            changes["sampling"] = changes["sampling"].to_json()
        async with self._db.session() as session:
            persona = await self._find(session, account_id, persona_id)
            for name, value in changes.items():
                setattr(persona, name, value)
            persona.updated_at = utc_now()
        return _show(persona)

    async def delete(self, account_id: str, persona_id: str) -> None:
        """Delete one of the account's own personas; conversations that had it go on without.

        Raises:
            NotFound: there is none.
            Conflict: it is a built-in one.
        """
        async with self._db.session() as session:
            await session.delete(await self._find(session, account_id, persona_id))

    async def character(
        self, session: AsyncSession, account_id: str, conversation: Conversation, first_message: str
    ) -> Character:
        """What a conversation's persona says.

        A built-in one speaks the language of the form, or else of the first message.
        """
        persona_id = conversation.persona_id
        if persona_id is None:
            return Character()
        builtin = self._builtin.get(persona_id)
        if builtin is not None:
            form = _form_of(conversation, builtin, first_message)
            sampling = SamplingOptions(**builtin.sampling.model_dump(exclude_none=True))
            return Character(system_prompt(builtin, form), None, sampling, builtin, form)
        query = select(Persona).where(Persona.id == persona_id, Persona.account_id == account_id)
        persona = await session.scalar(query)
        if persona is None:  # it was deleted
            return Character()
        sampling = SamplingOptions.model_validate(persona.sampling)
        return Character(persona.system_prompt.strip(), persona.model, sampling)

    async def _find(self, session: AsyncSession, account_id: str, persona_id: str) -> Persona:
        if persona_id in self._builtin:
            raise Conflict(
                "this persona comes with the app and cannot be changed.", fix="Make one of your own from it."
            )
        query = select(Persona).where(Persona.id == persona_id, Persona.account_id == account_id)
        persona = await session.scalar(query)
        if persona is None:
            raise NotFound("there is no such persona.")
        return persona


def _show(persona: Persona) -> PersonaOut:
    return PersonaOut(
        id=persona.id,
        name=persona.name,
        description=persona.description,
        system_prompt=persona.system_prompt,
        model=persona.model,
        sampling=persona.sampling,
        builtin=False,
    )


def _form_of(conversation: Conversation, template: Template, first_message: str) -> Form:
    """What was filled in. Where nothing was, the marks must still be the same for each answer."""
    if conversation.form is not None:
        return Form.model_validate(conversation.form)
    korean = any(is_hangul(char) for char in first_message)
    mark = blake2b(conversation.id.encode(), digest_size=5).hexdigest()
    return blank_form(template, "ko" if korean else "en", mark=mark)


def _show_builtin(persona_id: str, persona: Template) -> PersonaOut:
    return PersonaOut(
        id=persona_id,
        name=Localised(**persona.name.model_dump()),
        description=Localised(**persona.description.model_dump()),
        system_prompt=Localised(**persona.system_prompt.model_dump()),
        model=None,
        sampling=persona.sampling.model_dump(exclude_none=True),
        builtin=True,
        kind=persona.kind,
    )
