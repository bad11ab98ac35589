"""The error tree.

Every error that a person can cause is a `MalmoiError`: it says what is wrong, where (file, line, key or
field), and how to mend it. The command line prints `str(error)` and the fix; HTTP maps the class to a status
in one place (`serve/errors.py`). Anything else that escapes is a bug.

    MalmoiError
    ├── ConfigError            a configuration file, `--set` or MALMOI_* variable
    ├── UnknownName            a name that a registry, catalog or pool does not hold
    ├── InvalidInput           a request or argument; `field` says which
    │   └── ContextOverflow    a prompt longer than the model's context
    ├── NotFound               an object that does not exist, or not for this account
    ├── Conflict               the object's state forbids the change
    ├── Unauthenticated        no valid credentials
    ├── Forbidden              credentials without the right
    ├── RateLimited            a limit of this key or account; `retry_after` in seconds
    ├── Overloaded             the server's queue is full; `retry_after` in seconds
    ├── ModelFileInvalid       a model file that must not be loaded
    ├── DownloadFailed         a download that could not be finished; it can be resumed
    ├── DiskFull               no room; nothing that was there is lost
    ├── SandboxFailed          a parser in a child process crashed or took too much (core/sandbox.py)
    ├── DocumentUnreadable     a file whose text cannot be had; `reason` says why
    ├── SkillUnavailable       a skill's server does not answer
    ├── MissingExtra           an optional dependency is not installed
    ├── Unsupported            the engine cannot do this
    ├── StructuredOutputInvalid  the model's answer does not fit its schema, after one repair
    └── EngineError            the engine failed
        └── EngineUnavailable  it is starting, restarting, or gone; `retry_after` in seconds
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar


class MalmoiError(Exception):
    """Something a person can mend.

    Args:
        message: what is wrong, naming the file, line, key or field.
        fix: what to do about it; may be empty when the message says it all.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} {self.fix}".rstrip()


class ConfigError(MalmoiError):
    """A configuration file, `--set` or environment variable is wrong."""

    code = "config_invalid"


class UnknownName(MalmoiError):
    """A name that is not there, with the nearest ones that are."""

    code = "unknown_name"

    def __init__(self, kind: str, name: str, known: Iterable[str], *, fix: str = "") -> None:
        self.kind = kind
        self.name = name
        self.known = sorted(known)
        near = get_close_matches(name, self.known, n=3, cutoff=0.5)
        meant = f" (did you mean {' or '.join(repr(n) for n in near)}?)" if near else ""
        listed = f" Known: {', '.join(self.known)}." if self.known else ""
        super().__init__(f"no {kind} {name!r}{meant}.{listed}", fix=fix)


class InvalidInput(MalmoiError):
    """A request or an argument is wrong; `field` is its path, such as `messages.0.role`."""

    code = "invalid_input"

    def __init__(self, message: str, *, field: str | None = None, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.field = field


class ContextOverflow(InvalidInput):
    """The prompt does not fit the model's context; both counts are in tokens."""

    code = "context_overflow"

    def __init__(self, prompt_tokens: int, context_length: int) -> None:
        super().__init__(
            f"the prompt has {prompt_tokens} tokens, but this model's context holds {context_length}.",
            field="messages",
            fix="Shorten the prompt, or start a new conversation.",
        )
        self.prompt_tokens = prompt_tokens
        self.context_length = context_length


class NotFound(MalmoiError):
    """There is no such object, or it belongs to somebody else."""

    code = "not_found"


class Conflict(MalmoiError):
    """The object's present state forbids this change."""

    code = "conflict"


class Unauthenticated(MalmoiError):
    """No credentials, or credentials that are not valid."""

    code = "unauthenticated"


class Forbidden(MalmoiError):
    """The credentials are valid but do not allow this."""

    code = "forbidden"


class RateLimited(MalmoiError):
    """A limit of this key or account is used up; try again after `retry_after` seconds."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_after: int, fix: str = "") -> None:
        super().__init__(message, fix=fix or f"Try again in {retry_after} s.")
        self.retry_after = retry_after


class Overloaded(MalmoiError):
    """The server's queue is full; try again after `retry_after` seconds."""

    code = "overloaded"

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message, fix=f"Try again in {retry_after} s.")
        self.retry_after = retry_after


class ModelFileInvalid(MalmoiError):
    """A model file is truncated, corrupted, hostile, or of a kind that is never loaded."""

    code = "model_file_invalid"


class DownloadFailed(MalmoiError):
    """A download stopped; what has arrived is kept and the next try goes on from there."""

    code = "download_failed"


class DiskFull(MalmoiError):
    """There is no room to write; nothing that was there before is lost."""

    code = "disk_full"


class DocumentUnreadable(MalmoiError):
    """A file whose text cannot be had.

    `reason` is "encrypted", "locked" (its publisher lets nobody take the text), "damaged", "too_large",
    "unsupported" or "empty".
    """

    code = "document_unreadable"

    def __init__(self, message: str, *, reason: str, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.reason = reason


class SkillUnavailable(MalmoiError):
    """The server behind a skill does not answer, or not in time."""

    code = "skill_unavailable"


class MissingExtra(MalmoiError):
    """An optional dependency is needed; the fix is the pip command."""

    code = "missing_extra"

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs the extra [{extra}].", fix=f"Run: pip install 'malmoi[{extra}]'")
        self.extra = extra


class Unsupported(MalmoiError):
    """This engine or model cannot do what was asked."""

    code = "unsupported"


class StructuredOutputInvalid(MalmoiError):
    """The model's answer does not fit the schema it was given, even after one repair."""

    code = "structured_output_invalid"


class EngineError(MalmoiError):
    """The engine failed while it worked on a request."""

    code = "engine_error"


class EngineUnavailable(EngineError):
    """The engine is starting, restarting, or gone; try again after `retry_after` seconds."""

    code = "engine_unavailable"

    def __init__(self, message: str, *, retry_after: int = 5, fix: str = "") -> None:
        super().__init__(message, fix=fix or f"Try again in {retry_after} s.")
        self.retry_after = retry_after
