"""The columnar reading of a segment gives what the slow reading gives, whatever the frames hold."""

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from msgspec import structs

from tests.tables.payloads import line, payload, styles_for
from tidelake.tables import decode as decode_module
from tidelake.tables.columns import Columns, read_columns
from tidelake.tables.decode import Decoded, decode
from tidelake.tables.mapping import Mapping, load_mappings
from tidelake.tables.registry import TABLES
from tidelake.tables.segment_lines import split

MAPPINGS = [m for m in load_mappings() if not m.spec.flatten]
BY_NAME = pytest.mark.parametrize("mapping", MAPPINGS, ids=lambda m: f"{m.source}/{m.spec.name}")
SEEDS = st.integers(0, 2**32 - 1)


def refuse_all(mapping, table, venue, lines, chosen):
    """Leaves every line to the slow reading."""
    empty = np.empty(0, dtype=np.int64)
    return Columns(read_columns(mapping, table, venue, lines, empty).rows, chosen)


def decoded(mapping: Mapping, plain: bytes) -> Decoded:
    lines = split(plain, first_n=0, known_before_ns=0)
    return decode(TABLES[mapping.spec.table], mapping.source, lines, "0" * 16, {}, [mapping])


def both(mapping: Mapping, plain: bytes) -> tuple[Decoded, Decoded]:
    fast = decoded(mapping, plain)
    with patch.object(decode_module, "read_columns", refuse_all):
        return fast, decoded(mapping, plain)


def assert_same(mapping: Mapping, plain: bytes) -> Decoded:
    fast, slow = both(mapping, plain)
    told = [(r.line, r.item) for r in fast.rejected]
    assert sorted(told) == sorted((r.line, r.item) for r in slow.rejected)
    assert len(told) == len(set(told))
    found, expected = fast.rows.to_pylist(), slow.rows.to_pylist()
    for row, other in zip(found, expected, strict=False):
        assert row == other, plain.splitlines()[row["line"]]
    assert len(found) == len(expected)
    assert fast.rows.schema == slow.rows.schema
    assert fast.lines_read == slow.lines_read
    return fast


def segment(mapping: Mapping, rng: random.Random, count: int, damage: float, torn: float) -> bytes:
    styles = styles_for(mapping, rng)
    lines = []
    for n in range(count):
        if rng.random() < torn:
            styles = styles_for(mapping, rng)
        body = payload(mapping, styles, n, rng, damage)
        if rng.random() < torn:
            body = rng.choice(
                [body[: rng.randrange(len(body))], body + b"\n", b" " + body, body + b"}", b"\xff" + body]
            )
        lines.append(line(mapping, n, body))
    return b"".join(lines)


def check_seed(mapping: Mapping, seed: int) -> None:
    rng = random.Random(seed)
    damage = rng.choice([0.0, 0.01, 0.05, 0.2, 0.5])
    assert_same(mapping, segment(mapping, rng, rng.choice([1, 3, 20, 70, 200]), damage, rng.choice([0.0, 0.02, 0.3])))


@BY_NAME
@settings(deadline=None, derandomize=True, max_examples=10)
@given(seed=SEEDS)
def test_columns_read_what_rows_read(mapping: Mapping, seed: int):
    check_seed(mapping, seed)


@BY_NAME
@pytest.mark.soak
@settings(deadline=None, derandomize=True, max_examples=2_000)
@given(seed=SEEDS)
def test_columns_read_what_rows_read_many_times(mapping: Mapping, seed: int):
    check_seed(mapping, seed)


@BY_NAME
def test_clean_frames_never_need_the_slow_reading(mapping: Mapping):
    plain = segment(mapping, random.Random(1), 100, 0.0, 0.0)
    with patch.object(decode_module, "_read_slowly", side_effect=lambda *a: ([], [])) as slowly:
        found = decoded(mapping, plain)
    assert sum(len(call.args[4]) for call in slowly.call_args_list) == 0
    assert len(found.rows) >= 50
    assert not found.rejected


def check_spoilt(mapping: Mapping, seed: int) -> None:
    """Of lines some of which were spoilt every row is read or rejected, and of those that were torn none is read."""
    rng = random.Random(seed)
    styles = styles_for(mapping, rng)
    good = [payload(mapping, styles, n, rng, 0.0) for n in range(80)]
    wanted = {(n, 0) for n in range(80)}
    if mapping.spec.rows:
        counts = decoded(mapping, b"".join(line(mapping, n, body) for n, body in enumerate(good))).rows
        wanted = set(zip(counts["line"].to_pylist(), counts["item"].to_pylist(), strict=True))
    spoilt = list(good)
    for n in rng.sample(range(80), 12):
        spoilt[n] = good[n].replace(b":", b": ", 1)  # other bytes, same meaning
    numbers = [n for n in range(80) if b'"1' in good[n]]
    for n in rng.sample(numbers, min(10, len(numbers))):
        spoilt[n] = good[n].replace(b'"1', b'"one', 1)
    torn = set(rng.sample(range(80), 8))
    for n in torn:
        spoilt[n] = good[n][:-1]
    found = assert_same(mapping, b"".join(line(mapping, n, body) for n, body in enumerate(spoilt)))
    rows = list(zip(found.rows["line"].to_pylist(), found.rows["item"].to_pylist(), strict=True))
    rejected = [(r.line, r.item) for r in found.rejected]
    out = rows + rejected
    assert len(out) == len(set(out))
    assert {at for at in out if at[0] not in torn} == {at for at in wanted if at[0] not in torn}
    assert {n for n, _ in rejected} >= torn
    assert not {n for n, _ in rows} & torn


@BY_NAME
@settings(deadline=None, derandomize=True, max_examples=4)
@given(seed=SEEDS)
def test_rows_in_are_rows_out_and_rejected(mapping: Mapping, seed: int):
    check_spoilt(mapping, seed)


@BY_NAME
@pytest.mark.soak
@settings(deadline=None, derandomize=True, max_examples=200)
@given(seed=SEEDS)
def test_rows_in_are_rows_out_and_rejected_many_times(mapping: Mapping, seed: int):
    check_spoilt(mapping, seed)


ASKED = [m for m in MAPPINGS if m.spec.requests or m.spec.not_request]


@pytest.mark.parametrize("mapping", ASKED, ids=lambda m: f"{m.source}/{m.spec.name}")
def test_payloads_of_other_requests_are_left_alone(mapping: Mapping):
    rng = random.Random(3)
    good = [payload(mapping, styles_for(mapping, rng), n, rng, 0.0) for n in range(20)]
    mine = [line(mapping, n, body) for n, body in enumerate(good)]
    others = [own.replace(b"venue.test", b"venue.test/other?", 1) for own in mine]
    for word in mapping.spec.requests:
        others = [other.replace(word.encode(), b"", 1) for other in others]
    found = assert_same(mapping, b"".join(mine[n] if n % 3 else others[n] for n in range(20)))
    assert len(found.rows)
    assert not found.rejected
    assert {n for n in found.rows["line"].to_pylist() if n % 3 == 0} == set()


EXCLUDING = [m for m in MAPPINGS if m.spec.unless]


@pytest.mark.parametrize("mapping", EXCLUDING, ids=lambda m: f"{m.source}/{m.spec.name}")
def test_excluded_payloads_are_left_alone(mapping: Mapping):
    rng = random.Random(4)
    without = structs.replace(mapping.spec, unless={})
    for path, words in mapping.spec.unless.items():
        for word in words:
            excluded = replace(mapping, spec=structs.replace(without, where={**without.where, path: [word]}))
            bodies = [payload(excluded, styles_for(mapping, rng), n, rng, 0.0) for n in range(10)]
            plain = b"".join(line(mapping, n, body) for n, body in enumerate(bodies))
            assert len(decoded(excluded, plain).rows)
            found = assert_same(mapping, plain)
            assert not len(found.rows)
            assert not found.rejected


def spelled(text: str) -> str:
    """A JSON string in which the first letter is escaped."""
    return f'"\\u{ord(text[0]):04x}{text[1:]}"'


FITTED = [m for m in MAPPINGS if any(isinstance(w, str) for words in m.spec.where.values() for w in words)]


def _behind(said: str, word: str) -> str:
    return f'{said}"{word}"'


@pytest.mark.parametrize("mapping", FITTED, ids=lambda m: f"{m.source}/{m.spec.name}")
def test_escaped_words_are_found_and_doubled_ones_are_told_by_both_readings(mapping: Mapping):
    rng = random.Random(mapping.version)
    good = [payload(mapping, styles_for(mapping, rng), n, rng, 0.0).decode() for n in range(20)]
    plain = assert_same(mapping, b"".join(line(mapping, n, body.encode()) for n, body in enumerate(good)))
    digests = [name for name, rule in mapping.spec.fields.items() if rule.digest]  # of the bytes, not of what they mean
    for path, words in mapping.spec.where.items():
        if not isinstance(words[0], str):
            continue
        key = f'"{path.rpartition(".")[2]}":'
        other = [_change(body, key, lambda word: spelled(word)) for body in good]
        assert other != good
        found = assert_same(mapping, b"".join(line(mapping, n, body.encode()) for n, body in enumerate(other)))
        assert found.rows.drop_columns(digests).equals(plain.rows.drop_columns(digests))
        assert not found.rejected
        for first in (*words, "another"):
            twice = f'"{first}",{key}'
            other = [_change(body, key, partial(_behind, twice)) for body in good]
            found = assert_same(mapping, b"".join(line(mapping, n, body.encode()) for n, body in enumerate(other)))
            assert [r.line for r in found.rejected] == list(range(20))
            assert all(f"key {key[1:-2]!r} stands twice" in r.reason for r in found.rejected)
            assert not len(found.rows)


def _change(body: str, key: str, change: Callable[[str], str]) -> str:
    """The payload with another text for the value of a key."""
    word = body.partition(f'{key}"')[2].partition('"')[0]
    return body.replace(f'{key}"{word}"', key + change(word), 1)
