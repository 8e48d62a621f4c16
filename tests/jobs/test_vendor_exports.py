"""Exports in the layouts of vendors, over lakes of simulated sessions and of a few frames."""

import json
import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from tests.books.slow_engine import UNPROVABLE, VALID, Said, SlowEngine
from tests.jobs.vendor_readers import csv_rows, lake_books, lake_rows, tardis_books
from tests.sampling import one_in
from tests.tables.lakes import Lane, Received, seal_all, trade
from tidelake.books.frames import read_book_frames
from tidelake.books.messages import KINDS, NONE
from tidelake.cli.app import run
from tidelake.errors import NotInLake
from tidelake.jobs.vendor_exports import export_to_vendor, plan_export
from tidelake.raw.frame import Frame, encode_line
from tidelake.raw.store import Store
from tidelake.sim.books.faults import FAULTS
from tidelake.sim.books.session import session
from tidelake.tables.segment_lines import split
from tidelake.vendors.registry import vendor as find_vendor

SOURCES = ("binance-spot", "binance-usdm", "binance-coinm", "okx", "kraken", "bybit", "deribit", "coinbase")
HAPPENING = ("", *(fault for fault in FAULTS if fault != "clock-jump"))
MIDNIGHT_NS = 1_723_161_600 * 10**9  # 2024-08-09
STEP_NS = 100_000_000
PAGE = "GET https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000"


def lake_of(folder, *lanes):
    store = Store.open(folder)
    seal_all(store, list(lanes))
    return store


def files(folder):
    return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}


def said_of(source, heard):
    """The messages of a session, and what the streams are."""
    lines = b"".join(
        encode_line(Frame(n, line.recv_ns, 0, line.kind, line.payload, line.request, "", line.symbol))
        for n, line in enumerate(heard.lines)
    )
    parted = split(lines, first_n=0, known_before_ns=0)
    frames = read_book_frames(source, parted, {})
    streams = {(s.symbol, s.channel): (s.depth, (s.price_places, s.size_places)) for s in frames.streams}
    said = []
    for i in range(len(frames)):
        stream = frames.streams[frames.stream[i]] if frames.stream[i] >= 0 else None
        names = ("first_id", "last_id", "prev_id", "conn_seq", "checksum")
        ids = {name: None if (n := int(getattr(frames, name)[i])) == NONE else n for name in names}
        levels = tuple(
            (
                ("bid", "ask")[frames.side[j]],
                format(Decimal(int(frames.price[j])).scaleb(int(frames.price_exponent[j])), "f"),
                format(Decimal(int(frames.size[j])).scaleb(int(frames.size_exponent[j])), "f"),
            )
            for j in range(frames.level_from[i], frames.level_from[i + 1])
        )
        said.append(
            Said(
                KINDS[frames.kind[i]],
                stream.symbol if stream else "",
                stream.channel if stream else "",
                levels,
                **ids,
                event_ns=int(frames.event_ns[i]),
                recv_ns=int(parted.recv_ns[frames.line[i]]),
                item=int(frames.item[i]),
            )
        )
    return said, streams


def true_books(source, heard):
    """By symbol and channel, receive clock and both sides of the book after each message that left it standing."""
    said, streams = said_of(source, heard)
    slow = SlowEngine(source, streams)
    found = {}
    for each in said:
        stood = {name: kept.state()[0] in (VALID, UNPROVABLE) for name, kept in slow.books.items()}
        *_, applied = slow.take(each)
        for name, kept in slow.books.items():
            begun = each.kind == "page" and name[0] == each.symbol and not stood.get(name)
            named = name == (each.symbol, each.channel) and each.kind != "quote"
            if applied and kept.state()[0] in (VALID, UNPROVABLE) and (begun or named):
                sides = tuple(
                    {p: Decimal(s) for p, (_, s) in side.items()} for side in (kept.book.bids, kept.book.asks)
                )
                found.setdefault(name, []).append((each.recv_ns, sides))
    return found


def last_of_clock(books):
    """Books without those that another of the same clock follows: their rows are one message to a reader."""
    listed = list(books)
    return [book for book, after in zip(listed, [*listed[1:], (None,)], strict=True) if book[0] != after[0]]


def assert_leads(replayed, expected):
    """What is replayed is what is expected, but for messages that change nothing and so have no rows."""
    replayed, places = last_of_clock(replayed), iter(last_of_clock(expected))
    before = None
    for clock, sides in replayed:
        for told_clock, told in places:
            if told_clock == clock and told == sides:
                before = told
                break
            assert told == before, (told_clock, clock)
        else:
            raise AssertionError(f"nothing is left of {clock}")
    assert all(told == before for _, told in places)


@pytest.mark.parametrize(("fault", "source"), one_in(3, [(fault, source) for fault in HAPPENING for source in SOURCES]))
def test_exports_of_a_session_lead_to_its_true_books_whatever_happens_on_the_way(tmp_path, source, fault):
    heard = session(source, seed=len(fault), fault=fault)
    frames = tuple(Received(line.recv_ns, line.payload, line.kind, line.request, line.symbol) for line in heard.lines)
    store = lake_of(tmp_path / "lake", Lane(f"capture.{source}.a", source, frames, 37))
    expected = true_books(source, heard)
    for vendor, table in (("crypto-lake", "book_delta_v2"), ("tardis", "incremental_book_L2")):
        report = export_to_vendor(store, tmp_path / vendor, vendor)
        assert {(row.symbol, row.channel) for row in report.rows} == set(expected) - {
            (s, "orderbook.1") for s, _ in expected
        }
        for row in report.rows:
            paths = [p for name, p in files(tmp_path / vendor).items() if table in name and row.vendor_symbol in name]
            assert len(paths) == 1
            if vendor == "tardis":
                books = [(us * 1_000, sides) for us, sides in tardis_books(csv_rows(paths[0]))]
                assert_leads(books, [(ns // 1_000 * 1_000, sides) for ns, sides in expected[row.symbol, row.channel]])
            else:
                floats = [
                    (ns, tuple({float(p): float(s) for p, s in side.items()} for side in sides))
                    for ns, sides in expected[row.symbol, row.channel]
                ]
                assert_leads(lake_books(lake_rows(paths[0])), floats)


def depth(first, last, bids=(("100.10", "1.000"),), asks=(), recv_ns=0):
    data = {"e": "depthUpdate", "E": recv_ns // 10**6, "s": "BTCUSDT", "U": first, "u": last, "b": bids, "a": asks}
    return Received(recv_ns, json.dumps({"stream": "btcusdt@depth@100ms", "data": data}).encode())


def page(last, recv_ns, bids=(("100.10", "1.000"), ("100.00", "2.000")), asks=(("100.20", "5.0"),)):
    body = json.dumps({"lastUpdateId": last, "bids": bids, "asks": asks}).encode()
    return Received(recv_ns, body, "page", PAGE, "BTC-USDT")


def spot(*frames, name="capture.binance-spot.a", per_entry=3):
    return Lane(name, "binance-spot", frames, per_entry)


def at(n):
    """A moment before (negative) or after midnight, in tenths of a second."""
    return MIDNIGHT_NS + n * STEP_NS


EARLY = depth(9, 10, recv_ns=at(-4))
BROKEN = (
    EARLY,
    page(10, at(1)),
    depth(11, 12, [("100.05", "3")], recv_ns=at(2)),
    depth(14, 15, [("100.06", "9")], recv_ns=at(3)),  # 13 was lost
    depth(16, 17, [("100.00", "0")], recv_ns=at(4)),
    page(18, at(5), bids=[("100.10", "1.000"), ("100.06", "9")]),
    depth(18, 19, [("100.10", "2")], recv_ns=at(6)),
)


def test_after_a_lost_message_nothing_is_told_until_the_whole_book_is(tmp_path):
    store = lake_of(tmp_path / "lake", spot(*BROKEN))
    for vendor in ("crypto-lake", "tardis"):
        (row,) = export_to_vendor(store, tmp_path / vendor, vendor).rows
        assert (row.messages, row.whole, row.left_out) == (4, 2, 2)
        assert row.reason == "1 x no snapshot yet; 2 x sequence break"
    found = files(tmp_path / "crypto-lake")
    rows = lake_rows(found["book_delta_v2/exchange=BINANCE/symbol=BTC-USDT/dt=2024-08-09/1.snappy.parquet"])
    told = [(r["sequence_number"], r["side_is_bid"], r["price"], r["size"]) for r in rows]
    assert told == [
        (10, True, 100.1, 1.0),
        (10, True, 100.0, 2.0),
        (10, False, 100.2, 5.0),
        (12, True, 100.05, 3.0),
        (18, True, 100.0, 0.0),
        (18, True, 100.05, 0.0),
        (18, True, 100.1, 1.0),
        (18, True, 100.06, 9.0),
        (18, False, 100.2, 5.0),
        (19, True, 100.1, 2.0),
    ]
    lines = csv_rows(files(tmp_path / "tardis")["binance/incremental_book_L2/2024/08/09/BTCUSDT.csv.gz"])
    assert [(r["is_snapshot"], r["side"], r["price"], r["amount"]) for r in lines[-5:]] == [
        ("false", "bid", "100.05", "3"),
        ("true", "bid", "100.1", "1"),
        ("true", "bid", "100.06", "9"),
        ("true", "ask", "100.2", "5"),
        ("false", "bid", "100.1", "2"),
    ]


def test_each_day_begins_with_the_whole_book_and_start_and_end_cut_what_is_written(tmp_path):
    frames = [EARLY, page(10, at(-3)), *(depth(10 + n, 10 + n, recv_ns=at(n - 3)) for n in range(1, 7))]
    store = lake_of(tmp_path / "lake", spot(*frames))
    (row,) = export_to_vendor(store, tmp_path / "all", "tardis").rows
    assert (row.whole, row.messages, row.files, str(row.first), str(row.last)) == (2, 7, 4, "2024-08-08", "2024-08-09")
    (row,) = export_to_vendor(store, tmp_path / "part", "tardis", start_ns=at(1), end_ns=at(3)).rows
    assert (row.whole, row.messages, row.files) == (1, 2, 2)
    name = "binance/incremental_book_L2/2024/08/09/BTCUSDT.csv.gz"
    every, part = (csv_rows(files(tmp_path / which)[name]) for which in ("all", "part"))
    assert {row["local_timestamp"] for row in every} == {str(at(n) // 1_000) for n in range(4)}
    assert {row["local_timestamp"] for row in part} == {str(at(n) // 1_000) for n in (1, 2)}


def test_of_two_lanes_of_one_time_the_first_is_told_and_then_the_other(tmp_path):
    updates = [depth(10 + n, 10 + n, recv_ns=at(n)) for n in range(1, 9)]
    first = spot(EARLY, page(10, at(0)), *updates[:5])
    second = spot(page(12, at(2) + 1), *updates[2:], name="capture.binance-spot.b")
    (row,) = export_to_vendor(lake_of(tmp_path / "lake", first, second), tmp_path / "out", "crypto-lake").rows
    (path,) = (p for name, p in files(tmp_path / "out").items() if "book_delta" in name)
    clocks = [clock for clock, _ in lake_books(lake_rows(path))]
    assert clocks == [at(n) for n in range(9)]
    assert (row.whole, row.left_out) == (2, 3)
    assert "3 x another lane told that time" in row.reason


def test_trades_of_one_taker_order_are_one_for_lake_and_repeated_ids_are_none(tmp_path):
    us = at(5) // 1_000
    told = [
        (1, us, "100.1", "0.1", "buy"),
        (2, us, "100.1", "0.2", "buy"),
        (3, us, "100.2", "0.4", "buy"),
        (3, us, "100.2", "0.4", "buy"),
        (4, us + 1_000, "100.2", "0.8", "buy"),
        (5, us + 1_000, "100.2", "1.6", "sell"),
    ]
    frames = [Received(at(6) + n, trade("binance-spot", *each)) for n, each in enumerate(told)]
    store = lake_of(tmp_path / "lake", spot(*frames, per_entry=2))
    (row,) = export_to_vendor(store, tmp_path / "lake-files", "crypto-lake").rows
    assert (row.trades, row.left_out, row.reason) == (4, 0, "1 x trades whose id came before")
    (path,) = files(tmp_path / "lake-files").values()
    shown = [(r["trade_id"], r["received_time"], r["quantity"]) for r in lake_rows(path)]
    assert shown == [("2", at(6) + 1, 0.3), ("3", at(6) + 2, 0.4), ("4", at(6) + 4, 0.8), ("5", at(6) + 5, 1.6)]
    (row,) = export_to_vendor(store, tmp_path / "tardis", "tardis").rows
    (path,) = files(tmp_path / "tardis").values()
    assert [r["id"] for r in csv_rows(path)] == ["1", "2", "3", "4", "5"]


def test_bytes_do_not_depend_on_how_lanes_are_cut_into_segments(tmp_path):
    heard = session("okx", seed=5, fault="lost")
    frames = tuple(Received(line.recv_ns, line.payload, line.kind, line.request, line.symbol) for line in heard.lines)
    written = []
    for per_entry in (1, 11, 1_000):
        store = lake_of(tmp_path / f"lake{per_entry}", Lane("capture.okx.a", "okx", frames, per_entry))
        out = tmp_path / f"out{per_entry}"
        for vendor in ("crypto-lake", "tardis"):
            export_to_vendor(store, out / vendor, vendor)
        written.append({name: path.read_bytes() for name, path in files(out).items()})
    assert written[0] == written[1] == written[2]
    assert len(written[0]) >= 8


CHILD = """
import os, signal, sys
from pathlib import Path
from tidelake.jobs import vendor_exports, vendor_files
from tidelake.raw.store import Store
finish = vendor_files.CsvFile.finish
left = [1]
def kill_at_the_second(self):
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    left.pop()
    finish(self)
vendor_files.CsvFile.finish = kill_at_the_second
vendor_exports.export_to_vendor(Store.open(sys.argv[1]), Path(sys.argv[2]), "tardis")
"""


def test_a_kill_leaves_whole_files_alone_and_the_next_run_is_as_undisturbed(tmp_path):
    store = lake_of(tmp_path / "lake", spot(*BROKEN))
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path / "lake"), str(killed)], env=os.environ, check=False
    )
    assert child.returncode == -signal.SIGKILL
    export_to_vendor(store, whole, "tardis")
    left = {name for name in files(killed) if not name.endswith(".part")}
    assert len(left) == 1
    assert all(files(killed)[name].read_bytes() == files(whole)[name].read_bytes() for name in left)
    export_to_vendor(store, killed, "tardis")
    assert {n: p.read_bytes() for n, p in files(killed).items()} == {n: p.read_bytes() for n, p in files(whole).items()}


def test_a_venue_that_the_vendor_does_not_have_is_named_and_others_are_written(tmp_path):
    advanced = Lane("capture.coinbase-advanced.a", "coinbase-advanced", (Received(at(1), b"{}"),), 1)
    store = lake_of(tmp_path / "lake", spot(*BROKEN), advanced)
    report = export_to_vendor(store, tmp_path / "out", "crypto-lake")
    unknown = next(row for row in report.rows if row.source == "coinbase-advanced")
    assert (unknown.exchange, unknown.files) == ("", 0)
    assert "no exchange is 'coinbase-advanced'" in unknown.reason
    assert report.exit_code == 3
    assert len(files(tmp_path / "out")) == 2
    with pytest.raises(NotInLake, match="no exchange is 'coinbase-advanced'"):
        export_to_vendor(store, tmp_path / "out", "crypto-lake", source="coinbase-advanced")
    with pytest.raises(NotInLake, match="no trades or books of ETH-USDT"):
        export_to_vendor(store, tmp_path / "out", "crypto-lake", symbol="ETH-USDT")
    with pytest.raises(NotInLake, match="no vendor 'kaiko'"):
        plan_export(store, "kaiko")
    with pytest.raises(NotInLake, match="nothing was received of 'kraken'"):
        plan_export(store, "tardis", source="kraken")


def test_the_command_writes_files_says_what_was_left_out_and_plans_without_writing(tmp_path, capsys):
    lake_of(tmp_path / "lake", spot(*BROKEN))
    asked = ["--lake", str(tmp_path / "lake"), "--format", "json", "export", str(tmp_path / "out"), "--to", "tardis"]
    assert run([*asked, "--dry-run"]) == 0
    (plan,) = json.loads(capsys.readouterr().out)
    assert (plan["source"], plan["exchange"], plan["lanes"], plan["entries"]) == ("binance-spot", "binance", 1, 3)
    assert not (tmp_path / "out").exists()
    assert run([*asked, "--symbol", "BTC-USDT", "--start", "2024-08-09T00:00Z"]) == 3
    out, err = capsys.readouterr()
    (row,) = json.loads(out)
    assert (row["messages"], row["whole"], row["left_out"]) == (4, 2, 2)
    assert "2 x sequence break" in err
    assert run([*asked, "--lane", "x"]) == 2
    assert run(["--lake", str(tmp_path / "lake"), "export", str(tmp_path / "out"), "--venue", "kraken"]) == 2
    assert Path(tmp_path / "out" / "binance").is_dir()


@pytest.mark.parametrize(
    ("source", "symbol", "exchange"),
    [
        ("okx", "BTC-USDT", "okex"),
        ("okx", "BTC-USD-PERP", "okex-swap"),
        ("okx", "BTC-USD-20220527", "okex-futures"),
        ("bybit", "BTC-USDT", "bybit-spot"),
        ("bybit", "BTC-USDT-PERP", "bybit"),
        ("kraken", "BTC-USD", "kraken"),
    ],
)
def test_of_several_names_of_an_exchange_the_one_that_lists_the_symbol_is_taken(source, symbol, exchange):
    assert find_vendor("tardis").exchange(source, symbol) == exchange


def test_an_option_that_no_name_of_the_exchange_lists_is_refused():
    with pytest.raises(NotInLake, match="none of okex, okex-swap, okex-futures lists 'BTC-USD-20210924-8000-P'"):
        find_vendor("tardis").exchange("okx", "BTC-USD-20210924-8000-P")
