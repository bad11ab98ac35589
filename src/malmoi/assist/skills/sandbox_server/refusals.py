"""Refusals of the sandbox, said in the language of the request."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from malmoi.assist.skills.builtin.texts import Texts


class SandboxRefused(Exception):
    """The request is understood and refused; `key` names the sentence in `texts.toml`."""

    def __init__(self, status: int, key: str, **values: Any) -> None:
        super().__init__(key)
        self.status = status
        self.key = key
        self.values = values


def language_of(request: Request) -> str:
    """English where the request asks for it first, else Korean."""
    return "en" if request.headers.get("accept-language", "").lower().startswith("en") else "ko"


def answer_refusals(app: FastAPI) -> None:
    """Let an app say its refusals as JSON: `code` and `message`."""
    texts = Texts(__package__)

    async def refuse(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, SandboxRefused)
        message = texts.say(language_of(request), error.key, **error.values)
        return JSONResponse({"code": error.key, "message": message}, status_code=error.status)

    app.add_exception_handler(SandboxRefused, refuse)
