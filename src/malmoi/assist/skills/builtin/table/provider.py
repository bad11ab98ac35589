"""Tables out of a person's documents: found, narrowed and written, without a model."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from malmoi.assist.skills.builtin.described import DescribedProvider
from malmoi.assist.skills.builtin.refusals import SkillRefused
from malmoi.assist.skills.builtin.table import grid as grids
from malmoi.assist.skills.builtin.table.asked import read_query
from malmoi.assist.skills.builtin.table.grid import Grid, grid_of
from malmoi.assist.skills.builtin.table.patterns import tables_in
from malmoi.assist.skills.builtin.table.writing import markdown, write
from malmoi.assist.skills.operation import CallContext, Card, Result

_CARD_ROWS = 30
_TOLD_ROWS = 20
_MOST_ROWS = 5000
_MOST_COLUMNS = 60
_LONGEST_TEXT = 200_000


class TableProvider(DescribedProvider):
    """The operations of `operations.toml`."""

    def __init__(self) -> None:
        super().__init__(__package__, {"list_tables": self._list, "make_table": self._make})

    def read_query(self, operation: str, query: str, now: datetime) -> Mapping[str, Any]:
        """The arguments that a sentence gives in so many words."""
        return read_query(operation, query, now)

    async def _tables(self, arguments: Mapping[str, Any], context: CallContext) -> list[Grid]:
        unnamed = self._texts.say(context.language, "column")
        document, text = arguments.get("document", ""), arguments.get("text", "")
        cells: list[tuple[Sequence[Sequence[str]], bool]] = []
        if document:
            if context.documents is None:
                raise SkillRefused("no_documents")
            cells = [(table, True) for table in await context.documents.tables(document)]
            if not cells:
                text = await context.documents.text(document)
        if not cells:
            if not text.strip():
                raise SkillRefused("nothing_given")
            cells = list(await asyncio.to_thread(tables_in, text[:_LONGEST_TEXT]))
        found = [grid_of(one, unnamed, named=named) for one, named in cells]
        found = [one for one in found if one.rows]
        if not found:
            raise SkillRefused("no_table")
        if any(len(one.columns) > _MOST_COLUMNS or len(one.rows) > _MOST_ROWS for one in found):
            raise SkillRefused("too_large", rows=_MOST_ROWS, columns=_MOST_COLUMNS)
        return found

    async def _list(self, arguments: Mapping[str, Any], context: CallContext) -> Result:
        tables = await self._tables(arguments, context)
        say, language = self._texts.say, context.language
        columns = tuple(say(language, f"head_{name}") for name in ("number", "columns", "rows"))
        rows = tuple((str(n), ", ".join(one.columns), str(len(one.rows))) for n, one in enumerate(tables, 1))
        data = [
            {"table": n, "columns": list(one.columns), "rows": len(one.rows)}
            for n, one in enumerate(tables, 1)
        ]
        text = say(language, "listed", count=len(tables))
        card = Card(kind="table", title=text, columns=columns, rows=rows[:_CARD_ROWS])
        return Result(data={"tables": data}, text=text, cards=(card,))

    async def _make(self, arguments: Mapping[str, Any], context: CallContext) -> Result:
        tables = await self._tables(arguments, context)
        language = context.language
        chosen = arguments.get("table", 1)
        if not 1 <= chosen <= len(tables):
            raise SkillRefused("no_such_table", number=chosen, count=len(tables))
        made = await asyncio.to_thread(self._narrowed, tables[chosen - 1], arguments, language)
        if not made.rows:
            raise SkillRefused("no_rows")
        name = arguments.get("name", "").strip() or self._texts.say(language, "file_name")
        form = arguments.get("format", "markdown")
        file = await asyncio.to_thread(write, made, form, name)
        text = self._texts.say(
            language, "made", rows=len(made.rows), columns=len(made.columns), file=file.name
        )
        card = Card(
            kind="table",
            title=name,
            subtitle=text,
            columns=made.columns,
            rows=made.rows[:_CARD_ROWS],
            file=file.name,
        )
        told = Grid(made.columns, made.rows[:_TOLD_ROWS])
        data = {"markdown": markdown(told), "rows": len(made.rows), "file": file.name}
        return Result(data=data, text=text, cards=(card,), files=(file,))

    def _narrowed(self, made: Grid, arguments: Mapping[str, Any], language: str) -> Grid:
        added = arguments.get("sum") or []
        if conditions := arguments.get("where"):
            made = grids.where(made, conditions)
        by = arguments.get("group_by", "")
        if by:
            made = grids.group(made, by, added, self._texts.say(language, "count"))
        if order := arguments.get("sort_by", ""):
            made = grids.sort(made, order, descending=arguments.get("descending", False))
        if limit := arguments.get("limit"):
            made = Grid(made.columns, made.rows[:limit])
        if added and not by:
            made = grids.total(made, added, self._texts.say(language, "total"))
        if names := arguments.get("columns"):
            made = grids.select(made, names)
        return made
