"""Accounts, sessions, keys, and who may do what."""

from malmoi.serve.identity.authorize import (
    authorize,
    current_principal,
    optional_principal,
    require,
    route_policies,
)
from malmoi.serve.identity.identity import Identity, check_may_listen
from malmoi.serve.identity.principal import KeyLimits, Principal, Role, Scope, account_principal

__all__ = [
    "Identity",
    "KeyLimits",
    "Principal",
    "Role",
    "Scope",
    "account_principal",
    "authorize",
    "check_may_listen",
    "current_principal",
    "optional_principal",
    "require",
    "route_policies",
]
