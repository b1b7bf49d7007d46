"""What an expression names, and what it may not do."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from podium.model.expressions.syntax import Node, Path, path_of
from podium.model.expressions.values import Tree, shown
from podium.model.expressions.work import SCALAR, ZONED
from podium.protocols import ExpressionError

MAX_LOOPS = 3
"""Levels of macros in each other."""

_ZONE = re.compile(r"[A-Za-z]\w*(?:/\w[\w+-]*)*|[+-]?\d\d:\d\d")


@dataclass(slots=True)
class Survey:
    """Walks once over the syntax: collects what an expression needs, and refuses what is not allowed."""

    text: str
    wanted: Tree = field(default_factory=dict[str, Tree])
    steps: set[str] = field(default_factory=set[str])
    is_plain: bool = True

    def visit(self, node: Node, bound: frozenset[str], loops: int) -> None:
        """Visit a node and all below it.

        Args:
            node: Any node.
            bound: Variables of the loops around it, which hide names.
            loops: How many macros it stands in.

        Raises:
            ExpressionError: Something in it is not allowed.
        """
        path = path_of(node.parts[0] if node.kind == "has" else node, bound)
        if path is not None:
            self._want((*path, node.text) if node.kind == "has" else path)
            return
        if node.kind == "loop":
            self._visit_loop(node, bound, loops + 1)
            return
        if node.kind == "message":
            raise self._refusal(f"`{node.text}` is not known")
        if node.text in ZONED and node.kind == "call":
            self._check_zone(node)
        is_plain = node.kind != "call" or node.text in SCALAR or node.text in ZONED or node.text in {"_?_:_", "_[_]"}
        self.is_plain &= is_plain and node.kind not in {"list", "map"}
        for part in node.parts:
            self.visit(part, bound, loops)

    def _visit_loop(self, node: Node, bound: frozenset[str], loops: int) -> None:
        if loops > MAX_LOOPS:
            raise self._refusal(f"macros such as `map` are nested more than {MAX_LOOPS} deep")
        self.is_plain = False
        inner = bound | set(node.value)
        over, initial, *rest = node.parts
        self.visit(over, bound, loops - 1)
        self.visit(initial, bound, loops)
        for part in rest:
            self.visit(part, inner, loops)

    def _want(self, path: Path) -> None:
        name, *keys = path
        if name == "steps":
            if not keys or not isinstance(keys[0], str):
                raise self._refusal('a step must be named, as in `steps.build` or `steps["build"]`')
            self.steps.add(keys[0])
        _add(self.wanted, path)

    def _check_zone(self, node: Node) -> None:
        for zone in node.parts[1:]:
            if not isinstance(zone.value, str) or not _ZONE.fullmatch(zone.value):
                raise self._refusal('a time zone must be written as in `"Europe/Berlin"` or `"+02:00"`')

    def _refusal(self, reason: str) -> ExpressionError:
        return ExpressionError(f"{shown(self.text)} is refused: {reason}")


def _add(tree: Tree, path: Path) -> None:
    """Add a path to a tree of wanted keys, in which an empty mapping stands for all that is there."""
    is_new = False
    for position, key in enumerate(path):
        if isinstance(key, int):
            tree.clear()
            return
        if position and not tree and not is_new:
            return
        is_new = key not in tree
        tree = tree.setdefault(key, {})
    tree.clear()
