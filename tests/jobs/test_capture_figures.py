"""Bars, funding, open interest and liquidations of simulated venues, captured over sockets: rows are the truth."""

import json
import time

import polars as pl
import pytest

import tidelake
from tests.jobs.ended_capture import captured_until
from tests.jobs.test_capture import QUICK
from tidelake.jobs.session import Settings
from tidelake.raw.store import Store
from tidelake.sim.market import Market
from tidelake.sim.server import SimServer
from tidelake.sim.sockets.plan import FramePlan

SPEED = 600  # of the clock: a minute's bar is told in a tenth of a second
START_NS = 1_792_000_000 * 10**9
SECONDS, UPDATES, BEFORE = 1.0, 500, 400  # steps of each product before the capture, 3 s of the clock apart
CHANNELS = ("candles", "funding", "open_interest", "liquidations")
MARKS = ("funding_rate", "mark_price", "index_price")
BARS = ("open", "high", "low", "close", "volume")
ORDERS = ("side", "price", "size")
FULL = (*BARS, "volume_quote")
BINANCE = (*ORDERS, "average_price", "filled")
# By source, table and the channel that its rows state ("" where they state none): the columns that the venue tells.
TELLS: dict[str, dict[str, dict[str, tuple[str, ...]]]] = {
    "binance-spot": {"candles": {"": (*FULL, "trades")}},
    "binance-usdm": {
        "candles": {"": (*FULL, "trades")},
        "funding": {"markPrice": (*MARKS, "next_funding_at")},
        "open_interest": {"openInterest": ("open_interest", "open_interest_base")},
        "liquidations": {"": BINANCE},
    },
    "binance-coinm": {
        "candles": {"": (*BARS, "trades")},
        "funding": {"markPrice": (*MARKS, "next_funding_at")},
        "open_interest": {"openInterest": ("open_interest",)},
        "liquidations": {"": BINANCE},
    },
    "coinbase-advanced": {"candles": {"": BARS}},
    "kraken": {"candles": {"": (*BARS, "trades")}},
    "okx": {
        "candles": {"": FULL},
        "funding": {
            "funding-rate": ("funding_rate", "interval_hours", "next_funding_at"),
            "mark-price": ("mark_price",),
        },
        "open_interest": {"open-interest": ("open_interest", "open_interest_base")},
        "liquidations": {"": ORDERS},
    },
    "bybit": {
        "candles": {"": FULL},
        "funding": {"tickers": (*MARKS, "interval_hours", "next_funding_at")},
        "open_interest": {"tickers": ("open_interest", "worth")},
        "liquidations": {"": ORDERS},
    },
    "deribit": {
        "candles": {"": FULL},
        "funding": {"ticker": (*MARKS, "interval_hours")},
        "open_interest": {"ticker": ("open_interest",)},
        "liquidations": {"": ORDERS},
    },
}
AT_ONCE = ("kraken", "coinbase-advanced")  # bars are told as they grow, those that ended at the subscription alone
GROWING = (*AT_ONCE, "deribit")  # of a bar it is not said whether it has ended
CHANGES = ("bybit",)  # tells what has changed alone


class Clock:
    """Runs `SPEED` times as fast as ours once it has begun, and may be set forward before."""

    def __init__(self):
        self.at_ns, self.began_ns = START_NS, 0

    def __call__(self):
        return self.at_ns + (SPEED * (time.monotonic_ns() - self.began_ns) if self.began_ns else 0)


def captured(path, source, faults=""):
    """The lake that a capture of all products filled, and the venue."""
    clock = Clock()
    market = Market(clock=clock)
    plan = FramePlan.parse(faults, 5)
    with SimServer(source, market, frame_faults=plan, updates=UPDATES, record=True, versions=16) as server:
        venue = server.sockets[source]
        for _ in range(BEFORE):
            clock.at_ns += 3 * 10**9
            for symbol in venue.wires:
                venue.step(symbol)
        history = clock.at_ns
        clock.began_ns = time.monotonic_ns()
        settings = Settings(url=server.url, patience=QUICK, clock=clock)
        asked, channels, first = {source: list(venue.wires)}, list(TELLS[source]), []

        def enough(heard):
            """A while after the first frame, however long that was in coming."""
            if heard > 0 and not first:
                first.append(time.monotonic())
            return bool(first) and time.monotonic() - first[0] >= SECONDS

        captured_until(enough, Store.open(path), asked, channels=channels, settings=settings)
    lake = tidelake.open(path)
    lake.derive(list(TELLS[source]))
    return lake, venue, history


def us(time_ns, grain=1_000_000):
    return time_ns // grain * grain // 1_000


def bars_of(figures, source):
    """By start in us: what each bar that has ended says."""
    tick, lot = figures.product.tick, figures.product.lot
    return {
        us(bar.start_ns): {
            "open": bar.open * tick,
            "high": bar.high * tick,
            "low": bar.low * tick,
            "close": bar.close * tick,
            "volume": bar.all.lots * lot if source == "binance-coinm" else bar.all.base,
            "volume_quote": bar.all.quote,
            "trades": bar.trades,
        }
        for bar in figures.now(0).ended
    }


def states_of(figures, source):
    """By time in us: what funding and open interest were."""
    product = figures.product
    return {
        us(state.event_ns): {
            "funding_rate": state.rate,
            "mark_price": state.mark * product.tick,
            "index_price": state.index * product.tick,
            "interval_hours": 8,
            "next_funding_at": us(state.next_funding_ns),
            "open_interest": state.interest.lots * product.lot,
            "open_interest_base": state.interest.base,
            "worth": state.interest.base if product.inverse else state.interest.quote,
        }
        for state in figures.states
    }


def orders_of(figures, source):
    """By time in us: each trade that closed a position by force."""
    tick, lot = figures.product.tick, figures.product.lot
    return {
        us(trade.event_ns): {
            "side": trade.side,
            "price": (trade.ticks if source == "deribit" else trade.bankrupt) * tick,
            "average_price": trade.ticks * tick,
            "size": trade.lots * lot,
            "filled": trade.lots * lot,
        }
        for trade in figures.liquidations
    }


TRUTHS = {"candles": bars_of, "funding": states_of, "open_interest": states_of, "liquidations": orders_of}


def rows_of(lake, source, table):
    """The rows of a table, oldest first, times in us; what a venue that tells changes left out is what it was."""
    rows = lake.scan(table).collect().sort("symbol", "event_time")
    if table == "candles":
        rows = rows.filter(pl.col("origin") == "venue")
        assert set(rows["interval"]) == {"5m" if source == "coinbase-advanced" else "1m"}
        if source not in GROWING:
            assert set(rows["revision"]) == {1}, "a bar that still grew was told as ended"
        assert set(rows["size_unit"]) == {"contracts" if source == "binance-coinm" else "base"}
    if table == "open_interest":
        rows = rows.with_columns(worth=pl.coalesce("open_interest_base", "open_interest_quote"))
    times = [name for name, kind in rows.schema.items() if isinstance(kind, pl.Datetime)]
    rows = rows.with_columns(pl.col(times).dt.epoch("us"))
    if source in CHANGES and table == "funding":
        rows = rows.with_columns(pl.col(TELLS[source][table]["tickers"]).forward_fill().over("symbol"))
    return rows


@pytest.mark.parametrize("source", TELLS)
def test_rows_of_every_channel_are_the_truth_of_the_simulated_venue(source, tmp_path):
    lake, venue, history = captured(tmp_path / "lake", source)
    for table, told in TELLS[source].items():
        rows = rows_of(lake, source, table)
        perpetuals = {symbol for symbol, figures in venue.figures.items() if figures.product.perpetual}
        heard = set(rows["symbol"])
        if "openInterest" in told or table == "liquidations":  # not of each product in a second
            assert heard
            assert heard <= perpetuals
        else:
            assert heard == (set(venue.wires) if table == "candles" else perpetuals), table
        for (symbol,), mine in rows.group_by("symbol"):
            truth = TRUTHS[table](venue.figures[symbol], source)
            for channel, columns in told.items():
                part = mine.filter(pl.col("channel") == channel) if channel else mine
                ours = {row["event_time"]: {name: row[name] for name in columns} for row in part.to_dicts()}
                assert ours, (table, symbol)
                first, last = min(ours), max(ours)
                if table == "candles" and source in AT_ONCE:
                    first, last = min(truth), max(at for at in truth if at < us(history) - 300 * 10**6)
                elif table == "candles":
                    last = max(ours.keys() - {last})  # the capture may have ended between two frames of the newest
                wanted = {at: {name: row[name] for name in columns} for at, row in truth.items() if first <= at <= last}
                if channel == "openInterest":
                    wanted = {at: wanted[at] for at in ours}
                got = {at: row for at, row in ours.items() if at <= last}
                assert got == wanted, (table, symbol, channel)
                assert len(got) >= {"candles": 2, "funding": 8}.get(table, 1)


def test_lost_frames_leave_no_row_and_doubled_and_late_ones_one_each(tmp_path):
    lake, venue, _ = captured(tmp_path / "lake", "okx", "lost:0.2,doubled:0.2,late:0.2")
    symbol = "BTC-USDT-PERP"
    truth, rows = states_of(venue.figures[symbol], "okx"), rows_of(lake, "okx", "open_interest")
    told = {}
    for client in venue.clients:
        for frame in client.sent:
            if frame.what == "open-interest:BTC-USDT-SWAP":
                at = int(json.loads(frame.payload)["data"][0]["ts"]) * 1_000
                told[at] = told.get(at, 0) + 1
    ours = {row["event_time"]: row["open_interest"] for row in rows.to_dicts()}
    assert len(ours) == len(rows)
    assert 2 in told.values(), "a frame was doubled"
    assert set(ours) <= set(told)
    assert len(set(told) - set(ours)) <= 8, "more is missing than can be on its way when a capture ends"
    assert all(truth[at]["open_interest"] == value for at, value in ours.items())
    assert len([at for at in truth if min(ours) <= at <= max(ours) and at not in ours]) > 2, "frames were lost"
    assert rows.sort("recv_ns")["event_time"].to_list() != sorted(ours), "frames were late"
