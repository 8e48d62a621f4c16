"""Prices of a market's own oracle, asked beside its state: true where they are told, and never the market's failure."""

import datetime as dt
from decimal import Decimal

import msgspec
import pytest

import tidelake
from tests.sim.chains.driving import REGISTRY
from tidelake.jobs.collect_lending import CollectSettings, collect_lending
from tidelake.jobs.lending_status import lending_status
from tidelake.lending import oracle_prices
from tidelake.sim.answer import gateway_error
from tidelake.sim.chains.chain import SimChain
from tidelake.sim.chains.node import SimNode
from tidelake.sim.chains.server import ChainServer
from tidelake.sim.chains.truth import Truth
from tidelake.transport.http import Patience
from tidelake.transport.rates import Pace
from tidelake.transport.rpc_providers import Provider

MARKET = "aave_v3_gnosis"
ORACLE = REGISTRY[MARKET].contracts["oracle"].lower()
START = dt.date(2025, 1, 1)
DAYS = [START + dt.timedelta(days=n) for n in range(3)]
QUICK = Patience(attempts=2, total=2.0, timeout=5.0, first_wait=0.001, longest_wait=0.01)


class Balking(SimNode):
    """Does not answer calls that speak of the oracle: "error" in their place, "cut" (half of a word), or "5xx"."""

    how = ""

    def respond(self, body):
        if self.how == "5xx" and ORACLE[2:].encode() in body.lower():
            return gateway_error(503)
        return super().respond(body)

    def _one(self, call):
        if self.how in ("error", "cut") and ORACLE[2:] in str(call["params"]).lower():
            error = {"error": {"code": -32000, "message": "something is wrong with the oracle"}}
            told = error if self.how == "error" else {"result": "0x" + "ab" * 31}
            return msgspec.json.encode({"jsonrpc": "2.0", "id": call["id"], **told})
        return super()._one(call)


@pytest.fixture
def sim():
    chain = SimChain("gnosis", 5, start=START, days=5, markets=[MARKET])
    nodes = [Balking(chain), Balking(chain)]
    with ChainServer({"one": nodes[0], "two": nodes[1]}) as server:
        yield Truth(chain), nodes, server


def collect(lake, server, **options):
    found = [Provider(name, server.url_of(name), requests=Pace(1e6, 1.0)) for name in ("one", "two")]
    settings = CollectSettings(providers=lambda name: found, patience=QUICK, **options)
    return collect_lending(lake.store, [REGISTRY[MARKET]], START, START + dt.timedelta(days=len(DAYS)), settings)


def true_prices(truth):
    """By day and token: the model's price, of each asset that the market holds."""
    found = {}
    for day in DAYS:
        number = truth.chain.last_of(day)
        for position in truth.positions(MARKET, number):
            found[day, position.asset] = Decimal(truth.price(position.asset, number)).scaleb(-8)
    return found


def told_prices(lake):
    lake.derive()
    rows = lake.scan("token_prices").collect().to_dicts()
    assert {row["price_source"] for row in rows} <= {f"oracle:{MARKET}"}
    return {(row["grid_time"].date(), row["token"]): row["price_usd"] for row in rows}


def test_each_day_has_the_prices_of_its_block_without_a_request_more(tmp_path, sim, monkeypatch):
    truth, _, server = sim
    lake = tidelake.open(tmp_path / "lake")
    report = collect(lake, server)
    assert (report.exit_code, report.rows[0].ok, report.rows[0].without_oracle) == (0, 3, 0), report.summary
    assert told_prices(lake) == true_prices(truth)
    planned = collect(tidelake.open("memory:///planned"), server, dry_run=True).estimate
    monkeypatch.setattr(oracle_prices, "FAMILIES", ())
    plain = collect(tidelake.open("memory:///plain"), server)
    assert plain.rows[0].ok == 3
    assert report.asked.requests <= plain.asked.requests + 1  # one more round on the first day alone
    assert plain.asked.calls < report.asked.calls <= plain.asked.calls + 3 + 2  # a call a day, headers of two rounds
    assert planned.calls == collect(tidelake.open("memory:///2"), server, dry_run=True).estimate.calls + len(DAYS)


@pytest.mark.parametrize("how", ["error", "cut", "5xx"])
def test_an_oracle_that_fails_leaves_the_day_as_it_is_and_its_reason_is_kept(tmp_path, sim, how):
    truth, nodes, server = sim
    for node in nodes:
        node.how = how
    lake = tidelake.open(tmp_path / "lake")
    report = collect(lake, server)
    (row,) = report.rows
    assert (report.exit_code, row.ok, row.without_oracle) == (0, 3, 3), report.summary
    assert "its oracle" in row.reason
    assert told_prices(lake) == {}
    positions = lake.scan("lending_positions").collect()
    last = positions.filter(positions["grid"] == DAYS[-1].isoformat())
    wanted = truth.positions_on(MARKET, DAYS[-1])
    assert dict(zip(last["asset"], last["supplied_raw"], strict=True)) == {
        one.asset: str(one.supplied) for one in wanted
    }
    (status,) = lending_status(lake.store, [REGISTRY[MARKET]], dt.datetime(2025, 1, 9, tzinfo=dt.UTC))
    assert (status.ok, status.without_oracle) == (3, 3)


def test_one_provider_whose_oracle_fails_is_made_up_for_by_another(tmp_path, sim):
    truth, nodes, server = sim
    nodes[0].how = "5xx"
    lake = tidelake.open(tmp_path / "lake")
    assert collect(lake, server).rows[0].without_oracle == 0
    assert told_prices(lake) == true_prices(truth)
