"""Versions of a key against the plain reading of the rules: which stands, as of any time, in any order of arrival."""

import datetime as dt
import random
from dataclasses import replace
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st

from tidelake.tables.schema import VERSION_ORDER, Column, Table, event_time, text
from tidelake.tables.versions import are_all_new, conflicts, drop_repeats, number_revisions, standing

TOLD = (text("source"), text("symbol"), text("id"), event_time(), Column("v", "text", nullable=True))
TOLD_ONCE = Table("told", TOLD,
                  key=("source", "symbol", "id"), restatable=False)  # fmt: skip
RESTATED = replace(TOLD_ONCE, restatable=True)
TOGETHER = replace(RESTATED, told_with=("source", "symbol"))
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
SEEDS = st.integers(0, 2**32 - 1)
Row = dict[str, Any]


def make(rng: random.Random, count: int) -> list[Row]:
    """Rows of a few lanes; `known_at` never falls within a lane, and does between lanes."""
    known = [0, 0, 0]
    ids = "kl" if rng.random() < 0.7 else "klmnopqrstuvw"  # of these most stand alone
    rows: list[Row] = []
    for number in range(count):
        lane = rng.randrange(3)
        recv = rng.randrange(12)
        known[lane] = max(known[lane], recv)
        facts = {
            "source": "s",
            "symbol": "X-Y",
            "id": rng.choice(ids),
            "event_time": START,
            "v": rng.choice(["A", "B", None]),
        }
        rows.append(facts | {
            "known_at": START + dt.timedelta(seconds=known[lane]), "recv_ns": recv, "status": "active",
            "segment": f"{lane}{number // 4}", "line": number, "item": 0, "parser_version": 1,
            "mapping_version": "m", "date": START.date(),
        })  # fmt: skip
    return rows


def frame(rows: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(pa.Table.from_pylist(rows, schema=TOLD_ONCE.schema)))


def told(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda r: (r["id"], r["recv_ns"], r["segment"], r["line"], r["item"], r["revision"]))


def naive_versions(rows: list[Row]) -> list[Row]:
    found: list[Row] = []
    for key in {r["id"] for r in rows}:
        last: Row | None = None
        revision = 0
        for row in sorted((r for r in rows if r["id"] == key), key=lambda r: [r[c] for c in VERSION_ORDER]):
            if last is None or row["v"] != last["v"]:
                revision += 1
                last = {**row, "revision": revision}
                found.append(last)
    return found


def naive_standing(table: Table, rows: list[Row]) -> list[Row]:
    stands: dict[object, Row] = {}
    for row in sorted(naive_versions(rows), key=lambda r: r["revision"], reverse=not table.restatable):
        stands[row["id"]] = row
    return list(stands.values())


def naive_conflicts(rows: list[Row]) -> set[tuple[object, object]]:
    first = {r["id"]: r["v"] for r in naive_standing(TOLD_ONCE, rows)}
    return {(r["id"], r["v"]) for r in rows if r["v"] != first[r["id"]]}


def store_in_batches(table: Table, rows: list[Row], rng: random.Random) -> tuple[pl.DataFrame, set[str]]:
    arriving = list(rows)
    rng.shuffle(arriving)
    stored, contested = frame([]), set()
    while arriving:
        size = rng.randint(1, 5)
        new, arriving = frame(arriving[:size]), arriving[size:]
        old = stored.join(new.select(table.key), on=list(table.key), how="semi")
        old = old.select([*table.key, *table.values, *VERSION_ORDER, "known_at"])
        if table.restatable or are_all_new(table, old, new):
            stored = pl.concat([stored, new])
            continue
        places, keys = drop_repeats(table, old, new)
        stored = pl.concat([stored, new[places]])
        contested |= set(keys["id"].to_list())
    return stored, contested


@pytest.mark.parametrize("table", [TOLD_ONCE, RESTATED], ids=["told-once", "restatable"])
@settings(deadline=None, derandomize=True, max_examples=50)
@given(seed=SEEDS)
def test_any_time_shows_what_the_rules_say_whatever_came_first(table: Table, seed: int):
    rng = random.Random(seed)
    rows = make(rng, rng.randint(1, 24))
    stored, contested = store_in_batches(table, rows, rng)
    for seconds in range(-1, 13):
        at = START + dt.timedelta(seconds=seconds)
        seen = [r for r in rows if r["known_at"] <= at]
        expected = told(naive_standing(table, seen))
        assert told(standing(table, stored.filter(pl.col("known_at") <= at)).to_dicts()) == expected
    if not table.restatable:
        twice = {key for key, n in stored.group_by("id").len().rows() if n > 1}
        assert twice <= contested
        found = conflicts(table, stored)
        assert {(r["id"], r["v"]) for r in found.to_dicts()} == naive_conflicts(rows)
        assert len(found) == len(naive_conflicts(rows))
        again, _ = store_in_batches(table, rows, rng)
        assert conflicts(table, again).equals(found)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(seed=SEEDS)
def test_revisions_are_the_rank_of_changes(seed: int):
    rng = random.Random(seed)
    rows = make(rng, rng.randint(1, 24))
    assert told(number_revisions(RESTATED, frame(rows)).to_dicts()) == told(naive_versions(rows))


def make_tellings(rng: random.Random) -> list[Row]:
    """Symbols, each told as a whole one to three times: some keys each time, in lines of their own."""
    rows: list[Row] = []
    for symbol in "ABC"[: rng.randint(1, 3)]:
        for telling, like in enumerate(make(rng, rng.choice((1, 1, 2, 3)))):
            ids = rng.sample("klm", rng.randint(1, 3))
            values = {"symbol": symbol, "line": telling}
            rows += [like | values | {"id": name, "item": item, "v": rng.choice("AB")} for item, name in enumerate(ids)]
    rng.shuffle(rows)
    return rows


@settings(deadline=None, derandomize=True, max_examples=100)
@given(seed=SEEDS)
def test_of_rows_told_together_those_of_the_last_telling_stand(seed: int):
    rows = make_tellings(random.Random(seed))
    expected = []
    for symbol in {row["symbol"] for row in rows}:
        mine = [row for row in rows if row["symbol"] == symbol]
        last = max((row["recv_ns"], row["segment"], row["line"]) for row in mine)
        held = {row["id"] for row in mine if (row["recv_ns"], row["segment"], row["line"]) == last}
        expected += [row for row in naive_standing(TOGETHER, mine) if row["id"] in held]

    def place(row: Row) -> tuple[str, str]:
        return str(row["symbol"]), str(row["id"])

    assert sorted(standing(TOGETHER, frame(rows)).to_dicts(), key=place) == sorted(expected, key=place)


def versions_of(values: str) -> list[tuple[str, int]]:
    rows = [
        row | {"id": "k", "v": v, "recv_ns": i, "line": i}
        for i, (row, v) in enumerate(zip(make(random.Random(0), len(values)), values, strict=True))
    ]
    numbered = number_revisions(RESTATED, frame(rows)).sort("revision")
    return list(zip(numbered["v"].to_list(), numbered["revision"].to_list(), strict=True))


def test_back_and_forth_is_three_versions():
    assert versions_of("ABA") == [("A", 1), ("B", 2), ("A", 3)]


def test_consecutive_equal_versions_collapse():
    assert versions_of("AABBBAA") == [("A", 1), ("B", 2), ("A", 3)]
