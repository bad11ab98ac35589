"""OpenAI's API: models, chat completions, completions, embeddings."""

from malmoi.serve.openai.routes import openai_router

__all__ = ["openai_router"]
