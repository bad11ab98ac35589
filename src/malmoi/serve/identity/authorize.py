"""Every route needs a caller, unless it is on the list of public ones: authorisation is on by default.

`authorize` is a dependency of the whole application (`FastAPI(dependencies=[Depends(authorize)])`), so it
cannot be forgotten on a route. What a route needs beyond a caller stands at the route:
`Depends(require("models"))`. An API key may use only routes that name one of its scopes; all others are for
people.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from malmoi.core.errors import Forbidden, Unauthenticated
from malmoi.serve.identity.principal import Principal, Scope
from malmoi.serve.identity.sessions import COOKIE
from malmoi.serve.pages import PUBLIC_PATHS as PAGES

PUBLIC_PATHS: Final = frozenset({"/healthz", "/readyz", "/api/session", *PAGES})
"""Routes that anybody may call. They tell nothing about anybody."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """A dependency: the caller must have one of the rights."""

    any_of: frozenset[str]

    async def __call__(self, request: Request) -> Principal:
        """The caller.

        Raises:
            Unauthenticated: there is none.
            Forbidden: the caller has none of the rights.
        """
        principal = await current_principal(request)
        self.check(principal)
        return principal

    def check(self, principal: Principal) -> None:
        """Raise Forbidden unless the caller has one of the rights."""
        if not self.any_of & principal.scopes:
            who = "this API key" if principal.key_id else "your account"
            raise Forbidden(f"{who} lacks the right {self}.", fix="Ask an admin, or use another key.")

    def __str__(self) -> str:
        return " | ".join(sorted(self.any_of))


@dataclass(frozen=True, slots=True)
class RoutePolicy:
    """What one route asks of its caller.

    `kind` is `public`, `person` (any signed-in person, no key), `rights` (one right of each requirement), or
    None when the route is outside of `authorize`: such a route must not exist.
    """

    path: str
    methods: tuple[str, ...]
    kind: str | None
    requirements: tuple[Requirement, ...] = ()

    def __str__(self) -> str:
        needs = " & ".join(map(str, self.requirements)) or str(self.kind)
        return f"{','.join(self.methods)} {self.path}: {needs}"


async def authorize(request: Request) -> None:
    """Find out who calls, and refuse callers whom the route does not admit.

    Raises:
        Unauthenticated: the route needs a caller and there is none, or the credentials are not valid.
        Forbidden: the caller is a key, and the route is not for keys or not for this one.
    """
    policy = _policies_of(request.app).get(request.scope["endpoint"])
    identity = request.app.state.services.identity
    is_public = policy is not None and policy.kind == "public"
    try:
        principal = await identity.authenticate(request.scope["headers"], request.cookies.get(COOKIE))
    except Unauthenticated:
        if not is_public:
            raise
        principal = None
    request.state.principal = principal
    if is_public:
        return
    if principal is None:
        raise Unauthenticated("this needs a log-in or an API key.", fix="Log in, or send an API key.")
    requirements = policy.requirements if policy is not None else ()
    for requirement in requirements:
        requirement.check(principal)
    if principal.key_id is not None and not requirements:
        raise Forbidden("this is for people who are logged in, not for API keys.")


async def current_principal(request: Request) -> Principal:
    """Dependency: the caller.

    Raises:
        Unauthenticated: nobody is signed in.
    """
    principal = await optional_principal(request)
    if principal is None:
        raise Unauthenticated("this needs a log-in or an API key.", fix="Log in, or send an API key.")
    return principal


async def optional_principal(request: Request) -> Principal | None:
    """Dependency for public routes: the caller, if there is one."""
    principal: Principal | None = request.state.principal  # set by `authorize`, which runs first
    return principal


def require(*any_of: str) -> Requirement:
    """A dependency for a route or router: the caller must have one of the rights of `Scope`.

    Raises:
        ValueError: there is no such right, or none is named.
    """
    if not any_of:
        raise ValueError("require() needs the name of a right")
    return Requirement(frozenset(Scope(scope) for scope in any_of))


def route_policies(app: FastAPI) -> list[RoutePolicy]:
    """What each route of an application asks of its caller, in the order of the routes."""
    return [policy for _, policy in _policies(app)]


def _policies(app: FastAPI) -> Iterator[tuple[Callable[..., Any] | None, RoutePolicy]]:
    for route in iter_route_contexts(app.routes):
        path = route.path if route.path is not None else type(route.route).__name__
        methods = tuple(sorted(set(route.methods or ()) - {"HEAD"}))
        dependant: Dependant | None = getattr(route, "dependant", None)
        calls = list(_calls(dependant)) if dependant is not None else []
        requirements = tuple(dict.fromkeys(call for call in calls if isinstance(call, Requirement)))
        kind: str | None = "rights" if requirements else "person"
        if authorize not in calls:
            kind = None
        elif path in PUBLIC_PATHS:
            kind = "public"
        yield route.endpoint, RoutePolicy(path, methods, kind, requirements)


def _calls(dependant: Dependant) -> Iterator[Any]:
    for dependency in dependant.dependencies:
        yield dependency.call
        yield from _calls(dependency)


def _policies_of(app: FastAPI) -> Mapping[Any, RoutePolicy]:
    """By endpoint; made at the first request, when all routes are there."""
    known: Mapping[Any, RoutePolicy] | None = getattr(app.state, "route_policies", None)
    if known is not None:
        return known
    found: dict[Any, RoutePolicy] = {}
    for endpoint, policy in _policies(app):
        other = found.setdefault(endpoint, policy)
        if (other.kind, other.requirements) != (policy.kind, policy.requirements):
            raise RuntimeError(f"one endpoint under two policies: {other} and {policy}")
    app.state.route_policies = MappingProxyType(found)
    return found
