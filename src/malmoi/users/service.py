"""User models at work: what the gateway and its page ask, without knowing any kind of model.

    service = UserService(home, ["webtoon"])
    service.recommend("webtoon", ["스릴러 웹툰을 봤다"])
    service.look_alike("webtoon", ["kim", "lee"], 100)

Everything here blocks (a model is opened at its first use, and torch with it where its kind needs it), so a
server calls it in a thread. Histories are never written to a log; vectors of histories are remembered for a
few minutes under a hash of the history and of the model's content.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from malmoi.core.errors import Conflict, InvalidInput, NotFound, UnknownName
from malmoi.core.registry import Registry
from malmoi.users.base import Recommender
from malmoi.users.campaigns import campaign_names, load_campaign
from malmoi.users.index import Collection, Facts, Found, collection_names, open_collection
from malmoi.users.logs import History
from malmoi.users.opening import OpenModel, open_model
from malmoi.users.projection import Projection, project
from malmoi.users.ranked import Recommended, rank

MAX_EVENTS = 2_000
"""Events of one history that a request may hold."""
MAX_TEXT = 2_000
"""Characters of one event."""
MAX_HISTORIES = 256
"""Histories of one request."""
MAX_TOP = 1_000
"""Items that one recommendation may hold."""
MAX_AUDIENCE = 100_000
"""Users that an audience may hold, and that one request may name."""
MAX_POINTS = 5_000
"""Users on a map."""
_REMEMBERED = 20_000  # vectors of histories
_REMEMBERED_SECONDS = 300.0  # so that nobody who was taken out elsewhere stays for long


@dataclass(frozen=True)
class ModelInfo:
    """A served model that is open."""

    name: str
    kind: str
    version: str
    items: int
    services: tuple[str, ...]
    size: int | None
    """Length of its vectors; None: it gives none."""


@dataclass(frozen=True)
class CollectionInfo:
    """A collection, as it is now."""

    name: str
    count: int
    model: str
    size: int
    watermark: int | None
    campaigns: tuple[str, ...]


@dataclass(frozen=True)
class Audience:
    """Users like some others, the most alike first."""

    found: Found
    unknown: tuple[str, ...]
    """Seeds that the collection does not hold."""


class UserService:
    """The served models and the collections under one home.

    Args:
        home: Malmoi's home.
        models: names of "users" artifacts that are served; the first one is the default.
        registry: kinds of models; None: all that are installed.
    """

    def __init__(
        self, home: Path, models: Sequence[str], *, registry: Registry[type[Recommender]] | None = None
    ) -> None:
        self.home = home
        self.models = tuple(dict.fromkeys(models))
        self._registry = registry
        self._opened: dict[str, OpenModel] = {}
        self._collections: dict[str, Collection] = {}
        self._opening = Lock()
        self._lock = Lock()
        self._vectors: OrderedDict[bytes, tuple[float, NDArray[np.float32]]] = OrderedDict()

    def name_of(self, model: str | None) -> str:
        """The served model that is meant.

        Raises:
            NotFound: none is served.
            UnknownName: this one is not.
        """
        if not self.models:
            raise NotFound(
                "this server serves no user model.",
                fix="Name one: malmoi serve --set 'users.models=[\"NAME\"]'.",
            )
        if model is None:
            return self.models[0]
        if model not in self.models:
            raise UnknownName("served user model", model, self.models)
        return model

    def open(self, model: str | None = None) -> OpenModel:
        """A served model, opened now if it was not; what `open_model` raises.

        Raises:
            NotFound, UnknownName: it is not served.
        """
        name = self.name_of(model)
        with self._opening:
            if name not in self._opened:
                self._opened[name] = open_model(self.home, name, registry=self._registry)
            return self._opened[name]

    def info(self, model: str | None = None) -> ModelInfo:
        """What a served model is; it is opened for that."""
        opened = self.open(model)
        vectors = opened.item_vectors
        items = opened.model.items
        size = None if vectors is None else int(vectors.shape[1])
        return ModelInfo(opened.name, opened.kind, opened.version, len(items), items.services, size)

    def encode(self, histories: Sequence[Sequence[str]], *, model: str | None = None) -> NDArray[np.float32]:
        """Vectors of histories of texts, (B, D).

        Raises:
            InvalidInput: there are too many, or one is too long.
            Unsupported: this kind of model gives no vectors.
        """
        if len(histories) > MAX_HISTORIES:
            raise InvalidInput(
                f"{len(histories)} histories are too many, at most {MAX_HISTORIES}.", field="histories"
            )
        for number, texts in enumerate(histories):
            _check_history(texts, f"histories.{number}")
        opened = self.open(model)
        opened.encoder  # noqa: B018 - says now if the kind gives no vectors
        return self._encode(opened, [opened.history(texts) for texts in histories])

    def recommend(
        self,
        texts: Sequence[str],
        *,
        model: str | None = None,
        top: int = 10,
        services: Sequence[str] | None = None,
        exclude_seen: bool = True,
        why: bool = True,
    ) -> list[Recommended]:
        """What somebody with this history may like, known or not, best first.

        Args:
            texts: what the person did, oldest first; may be empty.
            model: a served model; None: the first.
            top: how many items.
            services: only items of these.
            exclude_seen: leave out what the person did already.
            why: tell for each item which events speak for it: how far its score falls without each.

        Raises:
            InvalidInput: the history is too long, or `top` is out of range.
            UnknownName: the model knows no such service.
        """
        _check_history(texts, "history")
        _check_number(top, "top", MAX_TOP)
        opened = self.open(model)
        return rank(
            opened,
            opened.history(texts),
            top=top,
            services=services,
            exclude_seen=exclude_seen,
            why=why,
            encode=lambda histories: self._encode(opened, histories),
        )

    def collection(self, name: str) -> Collection:
        """A collection by name.

        Raises:
            UnknownName: there is none.
        """
        with self._lock:
            known = self._collections.get(name)
        if known is None or not (known.folder / "current.json").is_file():
            known = open_collection(self.home, name)
            with self._lock:
                self._collections[name] = known
        return known

    def collections(self) -> list[CollectionInfo]:
        """All collections."""
        return [self.collection_info(name) for name in collection_names(self.home)]

    def collection_info(self, name: str) -> CollectionInfo:
        """One collection as it is now."""
        collection = self.collection(name)
        meta = collection.meta
        return CollectionInfo(
            name, meta.count, meta.model, meta.size, meta.watermark, tuple(campaign_names(collection))
        )

    def person(self, collection: str, key: str) -> Facts:
        """What is kept of a user.

        Raises:
            NotFound: the collection does not hold the user.
        """
        facts = self.collection(collection).active.facts(key)
        if facts is None:
            raise NotFound(f"there is no user {key!r} in collection {collection!r}.")
        return facts

    def neighbours(self, collection: str, key: str, k: int = 10) -> Found:
        """The users most like one, without that one.

        Raises:
            NotFound: the collection does not hold the user.
        """
        return self.look_alike(collection, [key], k).found

    def look_alike(self, collection: str, seeds: Sequence[str], k: int) -> Audience:
        """The users nearest to the mean of the seeds' directions, without the seeds.

        Raises:
            InvalidInput: there are too many seeds, or `k` is out of range.
            NotFound: the collection holds none of the seeds.
        """
        _check_number(k, "k", MAX_AUDIENCE)
        _check_keys(seeds, "seeds")
        version = self.collection(collection).active
        wanted = list(dict.fromkeys(seeds))
        here, vectors = version.vectors_of(wanted)
        if not here:
            raise NotFound(f"collection {collection!r} holds none of these users.")
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        mean = np.mean(vectors / np.where(lengths > 0, lengths, 1), axis=0)
        [found] = version.search(mean, k + len(here))
        kept = [place for place, key in enumerate(found.keys) if key not in set(here)][:k]
        unknown = tuple(key for key in wanted if key not in set(here))
        return Audience(Found(tuple(found.keys[place] for place in kept), found.scores[kept]), unknown)

    def propensity(self, collection: str, campaign: str, users: Sequence[str]) -> dict[str, float]:
        """How likely each of the users is to answer a campaign; users who are not here are left out.

        Raises:
            UnknownName: there is no such campaign.
            Conflict: it was learned on vectors of another model.
        """
        _check_keys(users, "users")
        known = self.collection(collection)
        learned = load_campaign(known, campaign)
        version = known.active
        if learned.model != version.meta.model:
            raise Conflict(
                f"campaign {campaign!r} was learned on vectors of another model.",
                fix="Learn it again: malmoi users campaign.",
            )
        here, vectors = version.vectors_of(list(dict.fromkeys(users)))
        if not here:
            return {}
        return dict(zip(here, learned.probability(vectors).tolist(), strict=True))

    def map2d(self, collection: str, users: Sequence[str] | None = None, *, limit: int = 1_000) -> Projection:
        """Users in the plane: the two directions in which their vectors differ most.

        Args:
            collection: of whom.
            users: these; None: up to `limit` spread evenly over the collection, the same ones each time.
            limit: most users.
        """
        _check_number(limit, "limit", MAX_POINTS)
        version = self.collection(collection).active
        keys = version.sample(limit) if users is None else list(dict.fromkeys(users))[:limit]
        here, vectors = version.vectors_of(keys)
        return project(here, vectors)

    def forget(self, collection: str, key: str) -> None:
        """Take a user out for good, and forget every vector that is remembered.

        Raises:
            NotFound: the collection does not hold the user.
            Conflict: another process is writing the collection.
        """
        self.collection(collection).remove(key)
        with self._lock:
            self._vectors.clear()

    def _encode(self, opened: OpenModel, histories: Sequence[History]) -> NDArray[np.float32]:
        """The model's `encode`, which remembers; each history that is new is encoded once."""
        names = [_name(opened.version, history.texts) for history in histories]
        known = self._recall(names)
        new = {name: history for name, history in zip(names, histories, strict=True) if name not in known}
        if new:
            vectors = opened.encoder.encode(list(new.values()))
            made = dict(zip(new, np.asarray(vectors, dtype=np.float32), strict=True))
            self._remember(made)
            known |= made
        if not names:
            return np.zeros((0, opened.encoder.size), dtype=np.float32)
        return np.stack([known[name] for name in names])

    def _recall(self, names: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        oldest = time.monotonic() - _REMEMBERED_SECONDS
        with self._lock:
            found = {name: self._vectors[name] for name in names if name in self._vectors}
            return {name: vector for name, (at, vector) in found.items() if at >= oldest}

    def _remember(self, made: Mapping[bytes, NDArray[np.float32]]) -> None:
        now = time.monotonic()
        with self._lock:
            for name, vector in made.items():
                self._vectors[name] = (now, vector)
                self._vectors.move_to_end(name)
            while self._vectors and (
                len(self._vectors) > _REMEMBERED
                or next(iter(self._vectors.values()))[0] < now - _REMEMBERED_SECONDS
            ):
                self._vectors.popitem(last=False)


def _name(version: str, texts: Sequence[str]) -> bytes:
    digest = hashlib.blake2b(version.encode(), digest_size=16)
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.digest()


def _check_history(texts: Sequence[str], field: str) -> None:
    if len(texts) > MAX_EVENTS:
        raise InvalidInput(
            f"{field}: {len(texts)} events are too many, at most {MAX_EVENTS}.",
            field=field,
            fix="Send the newest ones.",
        )
    for number, text in enumerate(texts):
        if len(text) > MAX_TEXT:
            raise InvalidInput(
                f"{field}.{number}: an event has at most {MAX_TEXT} characters.", field=f"{field}.{number}"
            )


def _check_number(value: int, field: str, most: int) -> None:
    if not 1 <= value <= most:
        raise InvalidInput(f"{field} is {value}, but must be from 1 to {most}.", field=field)


def _check_keys(keys: Sequence[str], field: str) -> None:
    if not 1 <= len(keys) <= MAX_AUDIENCE:
        raise InvalidInput(
            f"{field}: {len(keys)} users, but there must be from 1 to {MAX_AUDIENCE}.", field=field
        )
