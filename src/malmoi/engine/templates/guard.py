"""Rewrite a template's syntax tree so that what Jinja offers no hook for is paid for, too."""

from collections.abc import Callable

from jinja2 import Environment, nodes
from jinja2.visitor import NodeTransformer

from malmoi.engine.templates.limits import LimitReached

REFUSED = (
    nodes.Block,
    nodes.EvalContextModifier,
    nodes.Extends,
    nodes.FromImport,
    nodes.Import,
    nodes.Include,
)


def guard(tree: nodes.Template, environment: Environment, *, max_nodes: int) -> nodes.Template:
    """The same template, paying for every turn and every character.

    Raises:
        LimitReached: it is too large, or uses a statement that no chat template needs.
    """
    for count, node in enumerate(_walk(tree)):
        if count >= max_nodes:
            raise LimitReached("it is too long")
        if isinstance(node, REFUSED):
            raise LimitReached(f"it uses {type(node).__name__.lower()}")
    guarded = _Guard().visit(tree)
    assert isinstance(guarded, nodes.Template)
    guarded.set_lineno(1)
    guarded.set_environment(environment)
    return guarded


def literals(tree: nodes.Template) -> list[str]:
    """Every literal text of a template: what it writes itself, in the order of its source."""
    texts: list[str] = []
    for node in _walk(tree):
        if isinstance(node, nodes.TemplateData):
            texts.append(node.data)
        elif isinstance(node, nodes.Const) and isinstance(node.value, str):
            texts.append(node.value)
    return texts


def _walk(tree: nodes.Node) -> list[nodes.Node]:
    found: list[nodes.Node] = []
    stack = [tree]
    while stack:  # not recursive: a hostile tree may be deep
        node = stack.pop()
        found.append(node)
        stack.extend(reversed(list(node.iter_child_nodes())))
    return found


class _Guard(NodeTransformer):
    def get_visitor(self, node: nodes.Node) -> Callable[[nodes.Node], nodes.Node] | None:
        """The method for a kind of node: `on_` and its name."""
        return getattr(self, f"on_{type(node).__name__.lower()}", None)

    def on_for(self, node: nodes.For) -> nodes.For:
        cost = _literal_chars(node)
        self.generic_visit(node)
        tick = _hook("tick", nodes.Const(cost))
        node.body.insert(0, nodes.ExprStmt(tick))
        if node.test is not None:
            node.test = nodes.And(_hook("tick", nodes.Const(0)), node.test)
        return node

    def on_macro(self, node: nodes.Macro) -> nodes.Macro:
        cost = _literal_chars(node)
        self.generic_visit(node)
        node.body.insert(0, nodes.ExprStmt(_hook("tick", nodes.Const(cost))))
        return node

    def on_callblock(self, node: nodes.CallBlock) -> nodes.CallBlock:
        cost = _literal_chars(node)
        self.generic_visit(node)
        node.body.insert(0, nodes.ExprStmt(_hook("tick", nodes.Const(cost))))
        return node

    def on_output(self, node: nodes.Output) -> nodes.Output:
        self.generic_visit(node)
        node.nodes = [
            child if isinstance(child, nodes.TemplateData) else _hook("emit", child) for child in node.nodes
        ]
        return node

    def on_concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _hook("tilde", *node.nodes)

    def on_getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Slice):
            return node
        part = node.arg
        bounds = [bound or nodes.Const(None) for bound in (part.start, part.stop, part.step)]
        return _hook("slice_of", node.node, *bounds)

    def on_compare(self, node: nodes.Compare) -> nodes.Compare:
        self.generic_visit(node)
        node.expr = _weighed(node.expr)
        for operand in node.ops:
            operand.expr = _weighed(operand.expr)
        return node

    def on_list(self, node: nodes.List) -> nodes.Node:
        self.generic_visit(node)
        return _weighed(node)

    def on_dict(self, node: nodes.Dict) -> nodes.Node:
        self.generic_visit(node)
        return _weighed(node)

    def on_tuple(self, node: nodes.Tuple) -> nodes.Node:
        self.generic_visit(node)
        return node if node.ctx == "store" else _weighed(node)


def _hook(name: str, *arguments: nodes.Expr) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute(name), list(arguments), [], None, None)


def _weighed(node: nodes.Expr) -> nodes.Expr:
    if isinstance(node, nodes.Const) or (
        isinstance(node, nodes.List | nodes.Tuple)
        and all(isinstance(item, nodes.Const) for item in node.items)
    ):
        return node  # as small as its source
    return _hook("weighed", node)


def _literal_chars(node: nodes.Node) -> int:
    return sum(len(data.data) for data in node.find_all(nodes.TemplateData))
