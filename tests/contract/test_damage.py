"""A row or frame that was cut short ends in quarantine with its reason, and its neighbours are kept."""

import json
import random
from collections import Counter
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

import polars as pl
import pytest

from tests.contract.samples import Sample, facts, read
from tests.contract.test_samples import ORIGINS, every_sample, needed, with_trades
from tidelake.raw.frame import Frame
from tidelake.tables.decode import Decoded
from tidelake.tables.mapping import Mapping, load_mappings
from tidelake.tables.registry import TABLES

Step = str | int
FRAMES = 4  # tried of each sample
COLUMNS = TABLES["trades"].required


class Digits(str):
    """A JSON number, kept as it was spelled."""

    __slots__ = ()


def spelled(node: Any) -> str:
    """JSON text in which every number stands as it was read."""
    if isinstance(node, Digits):
        return str(node)
    if isinstance(node, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{spelled(child)}" for key, child in node.items()) + "}"
    if isinstance(node, list):
        return "[" + ",".join(map(spelled, node)) + "]"
    return json.dumps(node)


def leaves(node: Any, path: tuple[Step, ...] = ()) -> list[tuple[tuple[Step, ...], str]]:
    """Path and text of every string and number."""
    if isinstance(node, dict):
        return [found for key, child in node.items() for found in leaves(child, (*path, key))]
    if isinstance(node, list):
        return [found for place, child in enumerate(node) for found in leaves(child, (*path, place))]
    return [(path, str(node))] if isinstance(node, str) else []


def cut_at(payload: bytes, path: tuple[Step, ...]) -> bytes:
    """The payload without the value at the path; an array ends there, as an object goes on without the key."""
    tree = json.loads(payload, parse_float=Digits, parse_int=Digits)
    node = tree
    for step in path[:-1]:
        node = node[step]
    last = path[-1]
    if isinstance(last, int):
        del node[last:]
    else:
        del node[last]
    return spelled(tree).encode()


def number(text: str) -> Decimal | None:
    try:
        return abs(Decimal(text))
    except InvalidOperation:
        return None


def some_frames(found: Sample, rows: pl.DataFrame, seed: str) -> list[tuple[Frame, list[Frame]]]:
    """A few frames with trades, those with most trades among them, each with what was said before it."""
    counts = Counter(rows["line"].to_list())
    lines = [line for line, _ in counts.most_common(1)]
    lines += random.Random(seed).sample(sorted(counts), min(FRAMES - 1, len(counts)))
    return [(found.frames[line], list(found.frames[:line])) for line in dict.fromkeys(lines)]


def announcing(source: str, before: list[Frame], frame: Frame) -> tuple[Frame, ...]:
    """The few earlier frames that the frame needs to be understood, if it needs any: those without trades of their own.

    A handful of the connection's first frames is enough for every venue that announces its channels.
    """
    short = [said for said in before if len(said.payload) < 400][:200]
    return (*short, frame)


@every_sample
def test_torn_payload_is_quarantined_and_its_neighbours_are_kept(source, origin):
    found, rows = with_trades(source, origin)
    rng = random.Random(f"{source} {origin}")
    lines = sorted(set(rows["line"].to_list()))
    for line in rng.sample(lines, min(3, len(lines))):
        frame = found.frames[line]
        cut = replace(frame, payload=frame.payload[: rng.randrange(1, len(frame.payload))])
        decoded = read(source, (*found.frames[:line], cut, *found.frames[line + 1 :]))
        assert [(bad.line, bad.reason.startswith("not JSON")) for bad in decoded.rejected] == [(line, True)]
        assert facts(decoded.rows) == facts(rows.filter(pl.col("line") != line))


@every_sample
@pytest.mark.parametrize("column", ["price", "size"])
def test_row_without_a_value_is_quarantined_by_name_and_the_rows_beside_it_are_kept(source, origin, column):
    found, rows = with_trades(source, origin)
    for frame, before in some_frames(found, rows, f"{source} {origin} {column}"):
        frames = announcing(source, before, frame)
        line = len(frames) - 1
        whole = pl.DataFrame(pl.from_arrow(read(source, frames).rows)).filter(pl.col("line") == line)
        assert len(whole)
        others = read(source, frames[:-1]).rejected
        values = set(whole[column].to_list())
        named = 0
        tree = json.loads(frame.payload, parse_float=Digits, parse_int=Digits)
        places = [path for path, text in leaves(tree) if number(text) in values]
        for path in random.Random(0).sample(places, min(6, len(places))):
            decoded = read(source, (*frames[:-1], replace(frame, payload=cut_at(frame.payload, path))))
            left = pl.DataFrame(pl.from_arrow(decoded.rows)).filter(pl.col("line") == line)
            refused = [bad for bad in decoded.rejected if bad not in others]
            if not refused:
                assert facts(left) == facts(whole), path  # another field that happens to hold the same number
                continue
            assert len(refused) == 1
            assert refused[0].line == line
            assert len(left) == len(whole) - 1, (path, refused)
            assert not facts(left) - facts(whole)
            # An array that ends early lacks other columns too: any of them may be named.
            missing = (column,) if isinstance(path[-1], str) else COLUMNS
            assert any(name in refused[0].reason for name in missing), refused[0].reason
            named += 1
        assert named, (column, frame.payload[:300])


BAD = ("x", [Digits("7")], Digits('{"a":1,"a":1}'))  # the last spells an object that holds a key twice


def lists_in(node: Any) -> list[Any]:
    """Every list and object with two members or more, each once."""
    below = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    own = [node] if isinstance(node, dict | list) and len(node) > 1 else []
    return own + [found for child in below for found in lists_in(child)]


def flattened() -> list[Any]:
    """Each mapping with a flatten function, and each origin of a sample."""
    mappings = [mapping for mapping in load_mappings() if mapping.spec.flatten]
    return [pytest.param(m, origin, id=f"{m.source}-{m.spec.name}-{origin}") for m in mappings for origin in ORIGINS]


def rows_of(decoded: Decoded) -> Counter[tuple[object, ...]]:
    """What each row says, but for the place of its item, and for ids that are counted."""
    cells = decoded.rows.drop_columns(["item", *(["trade_id"] if "trade_id" in decoded.rows.schema.names else [])])
    return Counter(tuple(row.values()) for row in cells.to_pylist())


@pytest.mark.parametrize(("mapping", "origin"), flattened())
def test_damaged_item_spoils_no_other(mapping, origin):
    found = needed(mapping.source, origin)
    spec = mapping.spec
    whole = read(mapping.source, found.frames, spec.table, [mapping])
    lines = Counter(whole.rows["line"].to_pylist())
    if not lines or lines.most_common(1)[0][1] < 2:
        pytest.skip(f"no payload with two items for {spec.name}")
    line, count = lines.most_common(1)[0]
    frame = found.frames[line]
    frames = announcing(mapping.source, list(found.frames[:line]), frame)
    before = read(mapping.source, frames, spec.table, [mapping])
    tree = json.loads(frame.payload, parse_float=Digits, parse_int=Digits)
    places = [n for n, node in enumerate(lists_in(tree)) if len(node) >= count]
    assert any(all(kept_others(mapping, frames, before, place, bad) for bad in BAD) for place in places)


def kept_others(mapping: Mapping, frames: tuple[Frame, ...], before: Decoded, place: int, bad: Any) -> bool:
    """Whether one damaged member of the list or object at a place is refused alone."""
    tree = json.loads(frames[-1].payload, parse_float=Digits, parse_int=Digits)
    items = lists_in(tree)[place]
    items[list(items)[1] if isinstance(items, dict) else 1] = bad
    spoilt = replace(frames[-1], payload=spelled(tree).encode())
    after = read(mapping.source, (*frames[:-1], spoilt), mapping.spec.table, [mapping])
    refused = len(after.rejected) - len(before.rejected)
    lost = len(before.rows) - len(after.rows)
    return refused == 1 and lost in (0, 1) and not rows_of(after) - rows_of(before)
