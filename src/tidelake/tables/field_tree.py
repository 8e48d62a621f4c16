"""Fields that are wanted of a line, as the tree of keys that `kernels.json_tokens` walks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tidelake.tables.mapping import Mapping

PAYLOAD = "payload"
MAPPINGS = 1_024  # more than ship: a live capture asks for them a hundred times a second


@dataclass
class _Node:
    children: dict[str, "_Node"] = field(default_factory=dict)
    slot: int = -1


@dataclass(frozen=True)
class FieldTree:
    """See `kernels.json_tokens` for the arrays.

    Attributes:
        slots: Number of the field at each full path from the line's root, such as "payload.data.p".
        rows: Full path of the list of rows; "" where each line is one row.
        outer: bool[m], nodes that hold a list on the way to the rows.
    """

    slots: dict[str, int]
    rows: str
    key_bytes: NDArray[np.uint8]
    key_at: NDArray[np.int32]
    children: NDArray[np.int32]
    slot: NDArray[np.int32]
    outer: NDArray[np.bool_]
    rows_node: int


def _join(*steps: str) -> str:
    return ".".join(step for step in steps if step)


def full_path(mapping: Mapping, path: str) -> str:
    """Path from the line's root of a field's `path`."""
    if path.startswith("^."):
        return _join(PAYLOAD, path[2:])
    return _join(PAYLOAD, _lists(mapping)[-1] if mapping.spec.rows else "", path)


def _lists(mapping: Mapping) -> list[str]:
    """Paths of the lists that lead to the rows, and of that of the rows itself, which is the last."""
    steps = mapping.spec.rows.removesuffix("[]").split("[].")
    return [".".join(steps[: place + 1]) for place in range(len(steps))]


def _flatten(root: _Node) -> tuple[list[tuple[str, _Node, str]], list[tuple[int, int]]]:
    """Nodes in breadth-first order with key and path, and the range of each one's children."""
    order: list[tuple[str, _Node, str]] = [("", root, "")]
    ranges: list[tuple[int, int]] = []
    for _, node, path in order:
        ranges.append((len(order), len(order) + len(node.children)))
        order += [(key, child, _join(path, key)) for key, child in node.children.items()]
    return order, ranges


@lru_cache(MAPPINGS)
def build_tree(mapping: Mapping) -> FieldTree | None:
    """The tree of a mapping; None where it steps into lists by number or wants both a field and what is inside it."""
    spec = mapping.spec
    paths = [_join(PAYLOAD, path) for path in (*spec.where, *spec.unless)]
    paths += [full_path(mapping, rule.path) for rule in spec.fields.values() if rule.path]
    paths += [full_path(mapping, path) for path in (*spec.has, *spec.lacks)]
    paths += ["kind", "symbol"]
    *outer, rows = [_join(PAYLOAD, path) for path in _lists(mapping)] if spec.rows else [""]
    steps = [step for path in paths for step in path.split(".")]
    if any(step.removeprefix("-").isdecimal() for step in steps) or {rows, *outer} & set(paths):
        return None
    tree = tree_of(paths, rows, outer)
    inner = tree.children[:, 0] < tree.children[:, 1]
    return None if ((tree.slot >= 0) & inner).any() else tree


def tree_of(paths: Iterable[str], rows: str, outer: Sequence[str] = ()) -> FieldTree:
    """The tree of these full paths; a field that has others below it is one only where its value is no object.

    `outer`: full paths of the lists on the way to the rows.
    """
    root = _Node()
    slots: dict[str, int] = {}
    for path in dict.fromkeys(paths):
        node = root
        for step in path.split("."):
            node = node.children.setdefault(step, _Node())
        node.slot = slots[path] = len(slots)
    if rows:
        node = root
        for step in rows.split("."):
            node = node.children.setdefault(step, _Node())
    nodes, ranges = _flatten(root)
    keys = [key.encode() for key, _, _ in nodes]
    ends = np.cumsum([len(key) for key in keys])
    return FieldTree(
        slots=slots,
        rows=rows,
        key_bytes=np.frombuffer(b"".join(keys), dtype=np.uint8),
        key_at=np.stack([ends - [len(key) for key in keys], ends], axis=1).astype(np.int32),
        children=np.array(ranges, dtype=np.int32),
        slot=np.array([node.slot for _, node, _ in nodes], dtype=np.int32),
        outer=np.array([path in outer for _, _, path in nodes]),
        rows_node=next((n for n, (_, _, path) in enumerate(nodes) if rows and path == rows), -1),
    )
