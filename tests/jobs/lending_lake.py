"""Lending markets of simulated chains from the nodes to the panel: collected, killed, and held against the truth."""

import datetime as dt
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path

import polars as pl

import tidelake
from tests.jobs.lending_truth import REGISTRY, DrawnPrices, assert_panel_is_true, days_of, true_rows
from tests.jobs.price_server import serving_prices
from tests.jobs.served_chains import Addresses, settings
from tests.processes import process
from tidelake.jobs.prices import PriceSettings, fetch_prices, wanted_by_markets
from tidelake.lending.panel.files import CSV, PARQUET, write_panel
from tidelake.lending.panel.page import write_panel_page
from tidelake.raw.verify import verify
from tidelake.sim.chains.truth import Truth
from tidelake.transport.rates import Pace

AMOUNTS = ("supplied_raw", "borrowed_raw", "available_raw", "shares_raw")
TAKEN = ("debt_repaid_raw", "collateral_seized_raw", "bad_debt_raw")


def collect(url: str, addresses: Addresses, paced: float, ids: Sequence[str], start: dt.date, days: int):
    """The report of one collection."""
    return tidelake.open(url).lending.collect(ids, start, start + dt.timedelta(days=days), settings(addresses, paced))


def collect_killed(url, served, ids, start, days, kills, apart, seed=1):
    """Collects, and kills it whenever the nodes were asked about `apart` more requests; how often it was killed."""
    draw, killed = random.Random(seed), 0
    for _ in range(kills):
        begun, most = served.asked().requests, draw.randint(apart // 2, apart * 3 // 2)
        child = process(collect, url, served.addresses, served.paced, ids, start, days)
        child.start()
        while child.is_alive() and served.asked().requests - begun < most:
            time.sleep(0.002)
        killed += child.is_alive()
        child.kill()
        child.join(30)
    return killed


def fill(lake, restated=False, refresh=False):
    """Derive, and ask the double of DefiLlama for prices."""
    derived = lake.derive(["chain_blocks", "chain_events", "lending_positions", "lending_liquidations"])
    with serving_prices() as server:
        server.prices = DrawnPrices(restated)
        where = PriceSettings(urls={"defillama": server.url}, paces={"defillama": Pace(1e6, 1.0)})
        report = fetch_prices(lake.store, wanted_by_markets(lake.store), ["defillama"], refresh=refresh, settings=where)
    assert report.exit_code == 0, report.summary
    assert all(each.rejected == 0 for each in [*derived, *lake.derive(["token_prices"])])


def assert_true(lake, chains, ids, start, days, folder: Path):
    """Tables, panel, and its files are the truth; the market days held against it."""
    asked = days_of(start, days)
    assert verify(lake.store).problems == []
    assert_positions_are_true(lake, chains, ids, asked)
    assert_liquidations_are_true(lake, chains, ids, asked)
    panel = lake.lending_panel(ids, start=asked[0], end=asked[-1] + dt.timedelta(days=1))
    count = assert_panel_is_true(panel.rows, true_rows(chains, ids, asked))
    write_panel(lake.store, panel, folder)
    for found in (
        pl.read_parquet(folder / PARQUET),
        pl.read_csv(folder / CSV, try_parse_dates=True, infer_schema_length=None),
    ):
        assert found.select("market", "date", "status", "total_value_usd").equals(
            panel.rows.select("market", "date", "status", "total_value_usd")
        )
    write_panel_page(folder / "panel.html", panel)
    page = (folder / "panel.html").read_text()
    assert all(name in page for name in ids)
    assert json.loads((folder / "metadata.json").read_text())["rows"] == count
    return count


def assert_positions_are_true(lake, chains, ids, days):
    key = ("market", "grid", "block_hash", "asset", "role", "part")
    rows = lake.scan("lending_positions").filter(pl.col("asset") != "").select(*key, *AMOUNTS).collect().iter_rows()
    told = {row[: len(key)]: row[len(key) :] for row in rows}
    for name in ids:
        truth = Truth(chains[REGISTRY[name].chain])
        for day in days:
            digest = truth.day_block(day)[1]
            for one in truth.positions_on(name, day) or ():
                where = (name, day.isoformat(), digest, one.asset, one.role, one.part)
                amounts = (one.supplied, one.borrowed, one.available, one.shares)
                found = told.pop(where)
                assert found == tuple(None if raw is None else str(raw) for raw in amounts), where
    assert told == {}


def assert_liquidations_are_true(lake, chains, ids, days):
    key = ("market", "block_hash", "tx_hash", "log_index")
    who = ("borrower", "liquidator")
    rows = lake.scan("lending_liquidations").select(*key, *who, *TAKEN).collect().iter_rows()
    told = {row[: len(key)]: row[len(key) :] for row in rows}
    for name in ids:
        truth = Truth(chains[REGISTRY[name].chain])
        first = truth.deployed(name)
        if REGISTRY[name].family != "morpho_blue":  # of which the logs since its deployment are asked for
            first = max(first, truth.chain.last_of(days[0] - dt.timedelta(days=1)) + 1)
        for one in truth.liquidations(name, first, truth.chain.last_of(days[-1])):
            what = one.what
            amounts = (what.debt_repaid, what.collateral_seized, what.bad_debt)
            found = told.pop((name, one.block_hash, one.tx_hash, one.log_index))
            raw = tuple(None if amount is None else str(amount) for amount in amounts)
            assert found == (what.borrower, what.liquidator, *raw), one
    assert told == {}
