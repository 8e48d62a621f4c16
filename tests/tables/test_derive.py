"""Derive: exactly once, the same in every order, and as of any time what a lake of that time would say."""

import datetime as dt
import json
import random
from pathlib import Path
from unittest.mock import patch

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import tidelake
from tests.sampling import one_in
from tests.tables import lakes
from tests.tables.lakes import START_US, Lane, Received
from tidelake.errors import ConfigError, LedgerBroken, NotInLake, TableMoved
from tidelake.raw.entry import Entry
from tidelake.raw.segments import read_sealed
from tidelake.raw.store import Store
from tidelake.tables import derive as derive_module
from tidelake.tables.delta import open_or_create
from tidelake.tables.derive import MappingReader, derive_table, pending
from tidelake.tables.maintain import drop_tables
from tidelake.tables.mapping import load_mappings
from tidelake.tables.read import conflicts, scan, stored
from tidelake.tables.trades import TRADES

MINUTE = 60_000_000


def utc(us: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=us)


def quarantined(store: Store) -> pl.DataFrame:
    return pl.read_delta(store.table_uri("quarantine")).sort("lane", "seq", "line", "item")


def lane_of(
    *frames: tuple[int, bytes], name: str = "coinbase.capture.0", source: str = "coinbase", per_entry: int = 99
):
    return Lane(name, source, tuple(Received(us * 1_000, body) for us, body in frames), per_entry)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, list[Lane]]:
    """A lake with all sources, derived at once."""
    store = Store.open(tmp_path_factory.mktemp("market"))
    lanes = lakes.make_lanes(1, trades=9)
    lakes.seal_all(store, lanes)
    derive_table(store, TRADES)
    return store, lanes


def test_every_source_has_rows_and_nothing_is_doubled(market):
    rows = lakes.standing_rows(market[0])
    assert set(rows["source"]) == set(lakes.SOURCES)
    assert rows.select(TRADES.key).is_unique().all()
    assert conflicts(market[0], TRADES).height > 5
    versions = stored(market[0], TRADES).collect()
    assert versions.height > rows.height


def test_derive_again_changes_nothing(market):
    before = lakes.standing_rows(market[0])
    again = derive_table(market[0], TRADES)
    assert (again.entries, again.rows_added, again.commits) == (0, 0, 0)
    assert_frame_equal(lakes.standing_rows(market[0]), before)


def test_counts_add_up(market, tmp_path):
    _, lanes = market
    store = Store.open(tmp_path)
    lakes.seal_all(store, lanes)
    report = derive_table(store, TRADES)
    rows_in = 0
    for lane in lanes:
        for frame in lane.frames:
            try:
                rows_in += len(json.loads(frame.payload)) if frame.kind == "page" else 1
            except ValueError:
                rows_in += 1
    assert report.rows_read + report.rejected == rows_in
    assert report.rows_read == report.rows_added + report.repeats
    assert report.rejected == quarantined(store).height > 0
    assert report.rows_added == stored(store, TRADES).collect().height


def test_entry_by_entry_equals_one_derive(market, tmp_path):
    store = Store.open(tmp_path)
    lakes.seal_all(store, market[1])
    report = derive_table(store, TRADES, max_entries=1)
    assert report.commits == report.entries > 25
    assert_frame_equal(lakes.standing_rows(store), lakes.standing_rows(market[0]))
    assert_frame_equal(conflicts(store, TRADES), conflicts(market[0], TRADES))
    assert_frame_equal(quarantined(store), quarantined(market[0]))


def test_dropped_tables_come_back_the_same(market, tmp_path):
    store = Store.open(tmp_path)
    lakes.seal_all(store, market[1])
    derive_table(store, TRADES, max_entries=4)
    before = lakes.standing_rows(store)
    drop_tables(store)
    assert lakes.standing_rows(store).is_empty()
    derive_table(store, TRADES)
    assert_frame_equal(lakes.standing_rows(store), before)
    assert_frame_equal(before, lakes.standing_rows(market[0]))


def arrive(source: Path, target: Path, entries: list[Entry], rng: random.Random) -> Store:
    """Entries of each lane in their order, lanes shuffled into each other, derived now and then."""
    store = Store.open(target)
    queues: dict[str, list[Entry]] = {}
    for entry in entries:
        queues.setdefault(entry.lane, []).append(entry)
    cuts = rng.randint(1, 5)
    while queues:
        lane = rng.choice(sorted(queues))
        lakes.hand_over(source, target, [queues[lane].pop(0)])
        queues = {name: rest for name, rest in queues.items() if rest}
        if rng.random() < cuts / len(entries):
            derive_table(store, TRADES, max_entries=rng.choice([None, 3]))
    derive_table(store, TRADES)
    return store


@pytest.mark.parametrize("seeds", one_in(5, [range(at, at + 5) for at in range(0, 25, 5)]), ids=str)
@pytest.mark.parametrize("sources", [("coinbase", "bybit"), ("kraken", "deribit")], ids="+".join)
def test_any_order_of_arrival_ends_in_the_same_rows(sources, seeds, tmp_path):
    whole = Store.open(tmp_path / "whole")
    entries = lakes.seal_all(whole, lakes.make_lanes(2, sources, trades=9))
    derive_table(whole, TRADES)
    rows, contradicted = lakes.standing_rows(whole), conflicts(whole, TRADES)
    assert contradicted.height
    for seed in seeds:
        target = tmp_path / str(seed)
        store = arrive(tmp_path / "whole", target, entries, random.Random(seed))
        assert_frame_equal(lakes.standing_rows(store), rows)
        assert_frame_equal(conflicts(store, TRADES), contradicted)


def test_older_import_that_arrives_last_stands(tmp_path):
    store = Store.open(tmp_path)
    live = lane_of((START_US + 9, lakes.trade("coinbase", 1, START_US, "100")))
    lakes.seal_lane(store, live)
    derive_table(store, TRADES)
    older = lane_of((START_US + 5, lakes.trade("coinbase", 1, START_US, "99")), name="coinbase.import.0")
    lakes.seal_lane(store, older)
    derive_table(store, TRADES)
    (row,) = lakes.standing_rows(store).to_dicts()
    assert (str(row["price"]), row["recv_ns"]) == ("99.000000000000000000", (START_US + 5) * 1_000)
    (other,) = conflicts(store, TRADES).to_dicts()
    assert (str(other["price"]), other["revision"]) == ("100.000000000000000000", 2)


@pytest.mark.parametrize(("seed", "times"), [(0, 10), pytest.param(1, 25, marks=pytest.mark.soak)])
def test_as_of_equals_a_lake_that_holds_only_what_was_known(seed, times, tmp_path):
    lanes = lakes.make_lanes(10 + seed, ("coinbase", "kraken", "deribit"), trades=8)
    whole = Store.open(tmp_path / "whole")
    lakes.seal_all(whole, lanes)
    derive_table(whole, TRADES, max_entries=5)
    known = sorted(us for lane in lanes for us in lane.known_us())
    rng = random.Random(seed)
    seen = set()
    for number in range(times):
        at = rng.choice(known) - rng.choice([0, 0, 1])
        store = Store.open(tmp_path / str(number))
        lakes.seal_all(store, [lane.cut(at) for lane in lanes])
        derive_table(store, TRADES)
        expected = lakes.standing_rows(store).drop("segment")  # the last segment of a lane that was cut is another one
        assert_frame_equal(lakes.standing_rows(whole, as_of=utc(at)).drop("segment"), expected)
        seen.add(expected.height)
    assert len(seen) > 5


def test_as_of_needs_a_zone_and_latency_needs_as_of(market):
    with pytest.raises(ValueError, match="no time zone"):
        scan(market[0], TRADES, as_of=dt.datetime(2024, 1, 1))
    with pytest.raises(ValueError, match="as_of"):
        scan(market[0], TRADES, assume_latency=dt.timedelta(seconds=1))


def test_assumed_latency_moves_fetched_rows_and_never_captured_ones(tmp_path):
    store = Store.open(tmp_path)
    request = "GET https://api.exchange.coinbase.com/products/BTC-USD/trades?limit=5"
    body = lakes.page([1, 2], {1: "10", 2: "20"}, {1: START_US, 2: START_US + MINUTE})
    fetched = Received((START_US + 60 * MINUTE) * 1_000, body, "page", request, "BTC-USD")
    lakes.seal_lane(store, Lane("coinbase.trades.BTC-USD", "coinbase", (fetched,), 9))
    lakes.seal_lane(store, lane_of((START_US + 50 * MINUTE, lakes.trade("coinbase", 3, START_US, "30"))))
    derive_table(store, TRADES)
    latency = dt.timedelta(seconds=2)

    def ids(us: int, **options) -> list[str]:
        found = scan(store, TRADES, as_of=utc(us), **options).collect()
        assert ("assumed_known_at" in found.columns) == bool(options)
        return sorted(found["trade_id"])

    assert ids(START_US + 40 * MINUTE) == []
    assert ids(START_US + 2_000_000 - 1, assume_latency=latency) == []
    assert ids(START_US + 2_000_000, assume_latency=latency) == ["1"]
    assert ids(START_US + 40 * MINUTE, assume_latency=latency) == ["1", "2"]
    assert ids(START_US + 50 * MINUTE, assume_latency=latency) == ["1", "2", "3"]
    assumed = scan(store, TRADES, as_of=utc(START_US + 60 * MINUTE), assume_latency=latency).collect()
    known = dict(zip(assumed["trade_id"], assumed["assumed_known_at"], strict=True))
    assert known == {
        "1": utc(START_US + 2_000_000),
        "2": utc(START_US + MINUTE + 2_000_000),
        "3": utc(START_US + 50 * MINUTE),
    }


def test_rejected_rows_are_filed_once_when_a_run_dies_before_the_table_commit(tmp_path):
    store = Store.open(tmp_path)
    good, bad = lakes.trade("coinbase", 1, START_US, "1"), lakes.trade("coinbase", 2, START_US, "NaN")
    lane = lane_of((START_US, good), (START_US, bad), (START_US, b'{"type":"match"'), (START_US, bad), per_entry=2)
    lakes.seal_lane(store, lane)
    with (
        patch.object(derive_module, "_commit_contested", side_effect=RuntimeError("killed")),
        pytest.raises(RuntimeError),
    ):
        derive_table(store, TRADES)
    assert quarantined(store).height == 3
    assert scan(store, TRADES).collect().is_empty()
    report = derive_table(store, TRADES, max_entries=1)
    found = quarantined(store)
    assert report.rejected == found.height == 3
    assert found.select("lane", "seq", "line", "item").rows() == [
        ("coinbase.capture.0", 0, 1, 0),
        ("coinbase.capture.0", 1, 0, 0),
        ("coinbase.capture.0", 1, 1, 0),
    ]
    assert [reason.partition(":")[0] for reason in found["reason"]] == ["price", "not JSON", "price"]
    assert lakes.standing_rows(store)["trade_id"].to_list() == ["1"]


def test_a_lane_of_an_unknown_source_leaves_the_others_alone(tmp_path):
    store = Store.open(tmp_path)
    lakes.seal_lane(store, lane_of((START_US, lakes.trade("coinbase", 1, START_US, "1"))))
    strange = lane_of((START_US, b'{"type":"match"}'), name="atlantis.capture.0", source="atlantis")
    with patch.object(lakes, "describe_for", return_value=lambda lines, context: ((), context)):
        lakes.seal_lane(store, strange)
    assert derive_table(store, TRADES).rows_added == 1


def test_equal_trades_without_ids_are_counted_on_over_segments(tmp_path):
    store = Store.open(tmp_path)
    same = lakes.trade("kraken", 0, START_US, "5")
    other = lakes.trade("kraken", 0, START_US + 300_000, "6")
    frames = [(START_US + 10, same), (START_US + 20, same), (START_US + 30, other), (START_US + 40, same)]
    lakes.seal_lane(store, lane_of(*frames, name="kraken.capture.0", source="kraken", per_entry=1))
    derive_table(store, TRADES, max_entries=1)
    nths = [trade_id.rpartition(":")[2] for trade_id in lakes.standing_rows(store)["trade_id"].sort()]
    assert nths == ["1", "2", "3", "1"]


def test_a_contradiction_far_off_in_number_is_found(tmp_path):
    store = Store.open(tmp_path)
    first = lakes.trade("deribit", 7, START_US, "1")
    moved = first.replace(b'"trade_seq":7', b'"trade_seq":900000')
    lakes.seal_lane(
        store,
        lane_of((START_US, first), (START_US + 1, moved), name="deribit.capture.0", source="deribit", per_entry=1),
    )
    derive_table(store, TRADES, max_entries=1)
    (row,) = lakes.standing_rows(store).to_dicts()
    assert row["trade_seq"] == 7
    assert conflicts(store, TRADES)["trade_seq"].to_list() == [900_000]


MAPPING = """
source: coinbase
mappings:
  - name: match
    table: trades
    kind: frame
    where: {type: [match]}
    set: {grain: trade, transport: ws, size_unit: base, side: buy}
    fields:
      symbol: {path: product_id, as: symbol}
      trade_id: {path: trade_id, as: integer_text}
      event_time: {path: time, as: iso8601}
      price: {path: size, as: decimal}
      size: {path: price, as: decimal}
"""


def test_mappings_of_a_user_stand_in_place_of_ours(tmp_path):
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "mine.yaml").write_text(MAPPING)
    lakes.seal_lane(
        Store.open(tmp_path / "lake"), lane_of((START_US, lakes.trade("coinbase", 1, START_US, "7", "0.5", "sell")))
    )
    lake = tidelake.open(tmp_path / "lake", mappings=tmp_path / "maps")
    lake.derive(["trades"])
    (row,) = lake.trades().to_dicts()
    assert (float(row["price"]), float(row["size"]), row["side"], row["trade_seq"]) == (0.5, 7.0, "buy", None)
    ours = next(m for m in load_mappings() if (m.source, m.spec.name) == ("coinbase", "match"))
    assert row["mapping_version"] != ours.version


def test_mappings_hold_for_the_receive_days_they_say(tmp_path):
    (tmp_path / "maps").mkdir()
    old = MAPPING.replace("    kind: frame", "    kind: frame\n    valid_to: 2024-01-02")
    new = MAPPING.split("mappings:\n")[1].replace("name: match", "name: match-2").replace(
        "    kind: frame", "    kind: frame\n    valid_from: 2024-01-02"
    ).replace("side: buy", "side: sell")  # fmt: skip
    (tmp_path / "maps" / "mine.yml").write_text(old + new)
    day = 86_400_000_000
    frames = [(START_US + day + off, lakes.trade("coinbase", n, START_US, "7")) for n, off in ((1, -1), (2, 0), (3, 5))]
    lakes.seal_lane(Store.open(tmp_path / "lake"), lane_of(*frames))
    lake = tidelake.open(tmp_path / "lake", mappings=tmp_path / "maps")
    lake.derive(["trades"])
    assert lake.trades().sort("trade_id")["side"].to_list() == ["buy", "sell", "sell"]


def test_unknown_table_names_those_that_exist(tmp_path):
    with pytest.raises(NotInLake, match="trades"):
        tidelake.open(tmp_path).scan("trade")


def test_derive_on_s3_is_exactly_once_and_reads_as_of(s3_lake_url, tmp_path):
    lanes = lakes.make_lanes(5, ("coinbase", "kraken"), trades=6)
    store, local = Store.open(s3_lake_url), Store.open(tmp_path)
    for each in (store, local):
        lakes.seal_all(each, lanes)
    derive_table(store, TRADES, max_entries=3)
    derive_table(local, TRADES)
    assert derive_table(store, TRADES).entries == 0
    assert_frame_equal(lakes.standing_rows(store), lakes.standing_rows(local))
    known = sorted(us for lane in lanes for us in lane.known_us())
    for at in (known[len(known) // 3], known[-2]):
        assert_frame_equal(lakes.standing_rows(store, as_of=utc(at)), lakes.standing_rows(local, as_of=utc(at)))


def test_frames_with_white_space_around_or_within_their_json_are_read(tmp_path):
    store = Store.open(tmp_path)
    body = lakes.trade("coinbase", 1, START_US, "7")
    wide = json.dumps(json.loads(lakes.trade("coinbase", 2, START_US, "8")), indent=2).encode()
    flat = json.dumps(json.loads(lakes.trade("kraken", 3, START_US, "9")), indent=1).encode()
    lakes.seal_lane(store, lane_of((START_US, body + b"\n"), (START_US, wide)))
    lakes.seal_lane(store, lane_of((START_US, b" " + flat), name="kraken.capture.0", source="kraken"))
    report = derive_table(store, TRADES)
    assert (report.rows_added, report.rejected) == (3, 0)
    assert sorted(int(price) for price in lakes.standing_rows(store)["price"]) == [7, 8, 9]


def test_a_line_that_two_mappings_refuse_is_filed_once(tmp_path):
    store = Store.open(tmp_path)
    counted = b'{"arg":{"channel":"trades"},"data":[{"instId":"BTC-USDT","count":"1","count":"2"}]}'
    bodies = [counted, b'{"arg":{"channel":"trades"},"data":[', counted, lakes.trade("okx", 1, START_US, "7")]
    frames = [(START_US + n, body) for n, body in enumerate(bodies)]
    lakes.seal_lane(store, lane_of(*frames, name="okx.capture.0", source="okx"))
    report = derive_table(store, TRADES)
    assert (report.rows_added, report.rejected) == (1, 3)
    assert quarantined(store)["line"].to_list() == [0, 1, 2]


@pytest.mark.parametrize("break_lane", ["hole", "tail", "key"])
def test_a_broken_lane_stops_alone_and_is_named(tmp_path, monkeypatch, break_lane):
    store = Store.open(tmp_path)
    frames = [(START_US + n * MINUTE, lakes.trade("coinbase", n, START_US + n, "1")) for n in range(1, 7)]
    bad = lane_of(*frames[:3], name="coinbase.capture.0", per_entry=1)
    entries = lakes.seal_lane(store, bad)
    if break_lane == "tail":
        derive_table(store, TRADES)
    lakes.seal_lane(store, lane_of(*frames[3:], name="coinbase.capture.1"))
    gone = {"hole": 1, "tail": 2}.get(break_lane)
    if gone is not None:
        store.delete(f"ledger/{bad.name}/{gone:012d}.json")
        with pytest.raises(LedgerBroken, match=rf"{gone:012d}.json is missing.*other lanes, are in") as raised:
            derive_table(store, TRADES)
        assert (raised.value.lane, raised.value.seq) == (bad.name, gone)
    else:

        def locked(of, segment, key=None):
            if segment.key == entries[1].segment.key:
                raise ConfigError("the segment is encrypted", tried=("TIDELAKE_KEY",))
            return read_sealed(of, segment, key)

        monkeypatch.setattr(derive_module, "read_sealed", locked)
        with pytest.raises(ConfigError, match=r"coinbase.capture.0: the segment is encrypted.*other lanes, are in"):
            derive_table(store, TRADES)
    expected = {"1", "4", "5", "6"} | ({"2", "3"} if break_lane == "tail" else set())
    assert set(lakes.standing_rows(store)["trade_id"]) == expected


def rewritten_tail(store: Store, *, kept: int, longer: int = 0) -> str:
    """A lane of three derived entries whose end is lost after `kept` of them and written again with other trades."""
    frames = [(START_US + n * MINUTE, lakes.trade("coinbase", n, START_US + n, "1")) for n in range(1, 4)]
    name = "coinbase.capture.0"
    lakes.seal_lane(store, lane_of(*frames, name=name, per_entry=1))
    derive_table(store, TRADES)
    for seq in range(kept, 3):
        store.delete(f"ledger/{name}/{seq:012d}.json")
    again = [
        (START_US + n * MINUTE, lakes.trade("coinbase", n, START_US + n, "2")) for n in range(11, 14 - kept + longer)
    ]
    lakes.seal_lane(store, lane_of(*again, name=name, per_entry=1))
    return name


@pytest.mark.parametrize(("kept", "longer"), [(2, 0), (2, 2), (0, 1)])
def test_a_lane_whose_end_was_written_again_is_named_and_the_others_go_on(tmp_path, kept, longer):
    store = Store.open(tmp_path)
    name = rewritten_tail(store, kept=kept, longer=longer)
    lakes.seal_lane(store, lane_of((START_US, lakes.trade("coinbase", 99, START_US, "1")), name="coinbase.capture.1"))
    assert pending(store, TRADES, MappingReader(TRADES, load_mappings())).broken == 1
    with pytest.raises(
        LedgerBroken, match=r"000000000002.json is not the one.*derive --rebuild.*other lanes"
    ) as raised:
        derive_table(store, TRADES)
    assert (raised.value.lane, raised.value.seq) == (name, 2)
    assert set(lakes.standing_rows(store)["trade_id"]) == {"1", "2", "3", "99"}
    drop_tables(store)
    derive_table(store, TRADES)
    fresh = {str(n) for n in range(11, 14 - kept + longer)}
    assert set(lakes.standing_rows(store)["trade_id"]) == {"1", "2", "3"} - {
        str(n) for n in range(kept + 1, 4)
    } | fresh | {"99"}


def test_what_quarantine_holds_of_an_end_that_was_written_again_is_named(tmp_path):
    store = Store.open(tmp_path)
    lakes.seal_lane(store, lane_of((START_US, lakes.trade("coinbase", 1, START_US, "1"))))
    derive_table(store, TRADES)
    lakes.seal_lane(store, lane_of((START_US + 1, b'{"type":"match"'), per_entry=1))
    with (
        patch.object(derive_module, "_commit_contested", side_effect=RuntimeError("killed")),
        pytest.raises(RuntimeError),
    ):
        derive_table(store, TRADES)
    store.delete("ledger/coinbase.capture.0/000000000001.json")
    with pytest.raises(LedgerBroken, match=r"000000000001.json is missing"):
        derive_table(store, TRADES)
    lakes.seal_lane(store, lane_of((START_US + 2, b'{"type":"match","other'), per_entry=1))
    with pytest.raises(LedgerBroken, match=r"000000000001.json is not the one"):
        derive_table(store, TRADES)
    assert quarantined(store)["recv_ns"].to_list() == [(START_US + 1) * 1_000]
    drop_tables(store)
    derive_table(store, TRADES)
    assert quarantined(store)["recv_ns"].to_list() == [(START_US + 2) * 1_000]


def test_a_writer_that_lost_the_race_is_stopped_also_where_its_mark_is_higher(tmp_path):
    store = Store.open(tmp_path)
    lakes.seal_lane(store, lane_of((START_US, lakes.trade("coinbase", 1, START_US, "1"))))
    derive_table(store, TRADES)
    lane = "coinbase.capture.0"
    slow, quick = (open_or_create(store, "trades", TRADES.schema, TRADES.partition_by) for _ in range(2))
    empty = TRADES.schema.empty_table()
    quick.commit(empty, {lane: 1 << 60})
    for mark in (0, 1 << 60, 1 << 62):
        with pytest.raises(TableMoved):
            slow.commit(empty, {lane: mark})
