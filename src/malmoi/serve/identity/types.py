"""What the routes of sessions, keys, accounts and preferences take and give."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from malmoi.serve.db.tables import Account, ApiKey
from malmoi.serve.identity.principal import KeyLimits, Principal, Role


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LogIn(_Request):
    """A name and its password."""

    name: str = Field(max_length=128)
    password: SecretStr = Field(max_length=1024)


class AccountSummary(BaseModel):
    """Who is signed in."""

    id: str
    name: str
    role: Role


class SessionState(BaseModel):
    """What a page must know before anything else. `csrf` goes along with every change."""

    signed_in: bool
    login_required: bool
    csrf: str
    account: AccountSummary | None
    scopes: Sequence[str]
    version: str
    language: str | None


class NewKey(_Request):
    """A key to be made; limits that are not given are the server's."""

    name: str = Field(min_length=1, max_length=64)
    scopes: tuple[str, ...] = Field(min_length=1, max_length=16)
    expires_days: int | None = Field(default=None, ge=1, le=3650)
    requests_per_minute: int | None = Field(default=None, ge=1, le=10**6)
    tokens_per_minute: int | None = Field(default=None, ge=1, le=10**12)
    tokens_per_day: int | None = Field(default=None, ge=1, le=10**12)

    @property
    def limits(self) -> KeyLimits:
        """The limits of the key's own."""
        return KeyLimits(self.requests_per_minute, self.tokens_per_minute, self.tokens_per_day)


class KeyItem(BaseModel):
    """A key, without its secret."""

    id: str
    account_id: str
    name: str
    prefix: str
    scopes: Sequence[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    tokens_per_day: int | None

    @classmethod
    def of(cls, key: ApiKey) -> "KeyItem":
        """Of a row."""
        return cls(
            id=key.id,
            account_id=key.account_id,
            name=key.name,
            prefix=f"mm_{key.id}_",
            scopes=key.scopes,
            created_at=key.created_at,
            expires_at=key.expires_at,
            last_used_at=key.used_at,
            requests_per_minute=key.requests_per_minute,
            tokens_per_minute=key.tokens_per_minute,
            tokens_per_day=key.tokens_per_day,
        )


class KeyList(BaseModel):
    """Keys, newest first."""

    items: Sequence[KeyItem]


class MadeKey(BaseModel):
    """A new key; `secret` is shown this once and cannot be found again."""

    key: KeyItem
    secret: str


class NewAccount(_Request):
    """An account to be made."""

    name: str = Field(min_length=1, max_length=128)
    password: SecretStr = Field(max_length=1024)
    role: Role | None = None


class AccountChange(_Request):
    """What is to change; to change one's own password, the present one is needed."""

    role: Role | None = None
    disabled: bool | None = None
    password: SecretStr | None = Field(default=None, max_length=1024)
    current_password: SecretStr | None = Field(default=None, max_length=1024)


class AccountItem(BaseModel):
    """An account."""

    id: str
    name: str
    role: Role
    disabled: bool
    has_password: bool
    created_at: datetime

    @classmethod
    def of(cls, account: Account) -> "AccountItem":
        """Of a row."""
        return cls(
            id=account.id,
            name=account.name,
            role=Role(account.role),
            disabled=account.disabled,
            has_password=account.password_hash is not None,
            created_at=account.created_at,
        )


class AccountList(BaseModel):
    """Accounts, by name."""

    items: Sequence[AccountItem]


class SamplingPreferences(_Request):
    """How answers are chosen; null: the model's own way."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=0, le=1000)
    min_p: float | None = Field(default=None, ge=0, le=1)
    repetition_penalty: float | None = Field(default=None, gt=0, le=2)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    max_tokens: int | None = Field(default=None, ge=1, le=1_000_000)
    seed: int | None = Field(default=None, ge=0, le=2**32 - 1)
    stop: tuple[str, ...] | None = Field(default=None, max_length=16)


class Preferences(_Request):
    """How a person likes the apps."""

    language: Literal["ko", "en"] | None = None
    theme: Literal["system", "light", "dark"] = "system"
    send_on_enter: bool = True
    model: str | None = Field(default=None, max_length=255)
    persona_id: str | None = Field(default=None, max_length=64)
    sampling: SamplingPreferences = SamplingPreferences()


def summary(principal: Principal) -> AccountSummary:
    """Of a caller."""
    return AccountSummary(id=principal.account_id, name=principal.name, role=principal.role)
