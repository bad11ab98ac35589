"""Branches: the messages of a conversation form a tree, a branch is the path from a root to a leaf."""

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar


class Node(Protocol):
    """A message of the tree."""

    @property
    def id(self) -> str:
        """Unique; later ones sort after earlier ones."""
        ...

    @property
    def parent_id(self) -> str | None:
        """None for a root."""
        ...


NodeT = TypeVar("NodeT", bound=Node)


def path_to(nodes: Iterable[NodeT], leaf_id: str | None) -> list[NodeT]:
    """The branch that ends at `leaf_id`, root first; empty when there is no such message."""
    by_id = {node.id: node for node in nodes}
    path: list[NodeT] = []
    node = by_id.get(leaf_id) if leaf_id else None
    while node is not None and len(path) <= len(by_id):
        path.append(node)
        node = by_id.get(node.parent_id) if node.parent_id else None
    path.reverse()
    return path


def newest_leaf(nodes: Iterable[Node], start_id: str) -> str:
    """The leaf to show below `start_id`: its newest child, that one's newest child, and so on."""
    children = children_of(nodes)
    current, seen = start_id, set[str]()
    while current not in seen and (below := children.get(current)):
        seen.add(current)
        current = max(below)
    return current


def children_of(nodes: Iterable[Node]) -> Mapping[str | None, list[str]]:
    """The ids of each message's children, in order; those of None are the roots."""
    children: dict[str | None, list[str]] = {}
    for node in nodes:
        children.setdefault(node.parent_id, []).append(node.id)
    return children


def in_order(nodes: Iterable[NodeT]) -> list[NodeT]:
    """Parents before their children.

    Raises:
        ValueError: two messages have one id, a parent is missing, or messages follow each other in a circle.
    """
    listed = list(nodes)
    by_id = {node.id: node for node in listed}
    if len(by_id) != len(listed):
        raise ValueError("two messages have the same id")
    children = children_of(listed)
    if missing := set(children) - set(by_id) - {None}:
        raise ValueError(f"the parent {min(str(parent) for parent in missing)!r} of a message is missing")
    ordered: list[NodeT] = []
    waiting = list(reversed(children.get(None, [])))
    while waiting:
        node_id = waiting.pop()
        ordered.append(by_id[node_id])
        waiting.extend(reversed(children.get(node_id, [])))
    if len(ordered) != len(listed):
        raise ValueError("messages follow each other in a circle")
    return ordered
