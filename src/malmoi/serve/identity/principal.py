"""Who asks, and what they may do. One table of rights, for people and for keys."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class Scope(StrEnum):
    """A right. A person has those of the role; a key those it was given, as far as its owner's role goes."""

    INFERENCE = "inference"
    """Run models through the APIs."""
    CHAT = "chat"
    """Have conversations."""
    MODELS = "models"
    """Download and remove models."""
    KEYS = "keys"
    """Make and revoke keys of one's own. No key can have it, so a leaked key cannot make others."""
    USAGE = "usage"
    """See everybody's usage (one's own needs no right)."""
    ADMIN = "admin"
    """Manage accounts, and see and revoke everybody's keys."""
    REDTEAM = "redteam"
    """Attack and score models in the red-team workbench."""
    REDTEAM_RESULTS = "redteam_results"
    """See what all annotators found, and save it. Whoever scores blind does not have it."""
    USERS = "users"
    """Send histories to models of users: vectors and recommendation. It shows nobody who is stored."""
    AUDIENCE = "audience"
    """See the users whose vectors are stored, choose audiences, and take users out."""
    DOCUMENTS = "documents"
    """Keep documents, search and share them."""
    SKILLS = "skills"
    """Switch skills on, and run them."""
    APPROVALS = "approvals"
    """Approve what a skill would change, and give it one's own keys. Only people can: no key has it."""


class Role(StrEnum):
    """What an account is."""

    OWNER = "owner"
    """Whoever runs the server; the only one who changes owners and admins."""
    ADMIN = "admin"
    """Manages models and the accounts of members and auditors."""
    MEMBER = "member"
    """Uses the server."""
    AUDITOR = "auditor"
    """Sees usage, uses nothing."""
    ANNOTATOR = "annotator"
    """A member who also attacks and scores models in the red-team workbench."""
    ANALYST = "analyst"
    """A member who also works with the stored users: personal data."""


_MEMBER = frozenset({Scope.INFERENCE, Scope.CHAT, Scope.KEYS, Scope.DOCUMENTS, Scope.SKILLS, Scope.APPROVALS})
RIGHTS: Mapping[Role, frozenset[Scope]] = MappingProxyType(
    {
        Role.OWNER: frozenset(Scope),
        Role.ADMIN: frozenset(Scope),
        Role.MEMBER: _MEMBER,
        Role.AUDITOR: frozenset({Scope.USAGE}),
        Role.ANNOTATOR: _MEMBER | {Scope.REDTEAM},
        Role.ANALYST: _MEMBER | {Scope.USERS, Scope.AUDIENCE},
    }
)
KEY_SCOPES = frozenset(Scope) - {Scope.KEYS, Scope.APPROVALS}
"""What a key may be given."""


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """Limits of one key; None: the server's default holds."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None


NO_LIMITS = KeyLimits()


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller: an account, or one of its keys (`key_id`), with what it may do (`scopes`)."""

    account_id: str
    name: str
    role: Role
    key_id: str | None = None
    scopes: frozenset[str] = frozenset()
    limits: KeyLimits = field(default=NO_LIMITS, compare=False)

    def may(self, scope: str) -> bool:
        """Whether this caller has the right."""
        return scope in self.scopes


def account_principal(account_id: str, name: str, role: Role) -> Principal:
    """The person of an account, with all rights of the role."""
    return Principal(account_id, name, role, scopes=frozenset(RIGHTS[role]))
