"""Engines on other machines: any server that speaks the OpenAI API."""

from malmoi.engine.http.connection import Patience
from malmoi.engine.http.engine import HttpEngine, open_http

__all__ = ["HttpEngine", "Patience", "open_http"]
