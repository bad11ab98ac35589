"""All tools. Their descriptions are what a model chooses by (`tools.toml`)."""

from __future__ import annotations

from malmoi.serve.mcp.documents import list_collections, read_document, search_documents
from malmoi.serve.mcp.models import list_models
from malmoi.serve.mcp.skills import list_skills, run_skill
from malmoi.serve.mcp.tool import Tool
from malmoi.serve.mcp.types import (
    CollectionItems,
    DocumentPart,
    ModelListings,
    Nothing,
    Passages,
    Read,
    Run,
    RunOutcome,
    Search,
    SkillListings,
)
from malmoi.serve.mcp.words import words_of

_DOCUMENTS = ("documents",)
_SKILLS = ("skills",)
_MODELS = ("models", "inference", "chat")  # as for /api/models


def all_tools() -> dict[str, Tool]:
    """The tools by their names."""

    def words(name: str) -> tuple[str, str, str]:
        return name, *words_of(name)

    tools = [
        Tool(*words("search_documents"), _DOCUMENTS, Search, Passages, search_documents),
        Tool(*words("list_collections"), _DOCUMENTS, Nothing, CollectionItems, list_collections),
        Tool(*words("read_document"), _DOCUMENTS, Read, DocumentPart, read_document),
        Tool(*words("run_skill"), _SKILLS, Run, RunOutcome, run_skill, is_open=True),
        Tool(*words("list_skills"), _SKILLS, Nothing, SkillListings, list_skills),
        Tool(*words("list_models"), _MODELS, Nothing, ModelListings, list_models),
    ]
    return {tool.name: tool for tool in tools}
