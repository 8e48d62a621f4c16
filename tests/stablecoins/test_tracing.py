"""From a number of a window back to the facts that made it: ids, sources, clocks, and where each was read."""

import json

import pytest

from tests.jobs.coin_server import serving_coins
from tests.jobs.test_coin_feeds import START_US, poll
from tests.stablecoins import crisis
from tests.stablecoins.crisis import at, window
from tidelake.cli.app import run
from tidelake.client import Lake
from tidelake.errors import NotInLake
from tidelake.raw.explain import explain as explain_raw
from tidelake.raw.store import Store
from tidelake.stablecoins.fleet import Fleet
from tidelake.stablecoins.observation import Observation, Telling
from tidelake.stablecoins.outputs import DeltaOutput
from tidelake.stablecoins.setup import ChainSetup, CoinSetup
from tidelake.stablecoins.sources.observations import observations

S = 1_000_000


class Hand:
    """The hand-written hour as a history whose places are numbers."""

    def __init__(self, seen=None):
        self.seen = seen or crisis.told()

    def setups(self, coins=()):
        return {"USDC": crisis.setup()}

    def tellings(self, coin, known_us):
        return [Telling(seen, f"line {n}") for n, seen in enumerate(self.seen) if seen.known_us <= known_us]


@pytest.fixture(scope="module")
def coins(tmp_path_factory):
    store = Store.open(tmp_path_factory.mktemp("lake"))
    crisis.replay(store)
    return Lake(store).stablecoins


def test_price_is_traced_to_the_last_word_of_each_source(coins):
    head, *facts = coins.trace(window(crisis.DEPEG_FROM), "price", history=Hand())
    assert (head.value, head.why) == ("0.95", "made of 4 facts, which give it again")
    told = {(line.name, line.at, line.value, line.why.split(";")[0]) for line in facts}
    vote = "the last of its source, of which the price is the median"
    assert told == {
        (f"{source}:{second}", at(second), "0.95 USD", vote if second % 60 else "in its range")
        for source in ("kraken", "coingecko")
        for second in (crisis.DEPEG_FROM, crisis.DEPEG_FROM + 30)
    }
    (late,) = [line for line in facts if line.name == f"coingecko:{crisis.DEPEG_FROM}"]
    assert f"known {at(crisis.DEPEG_FROM + 40):%Y-%m-%d %H:%M:%S}; line " in late.why


def test_burn_is_traced_before_and_after_the_chain_took_it_back(coins):
    name, moved = window(crisis.BURNT_AT, "ethereum"), window(crisis.BURNT_AT + 60, "ethereum")
    head, fact = coins.trace(name, "net_supply_change", history=Hand(), as_of=at(crisis.TAKEN_BACK - 1))
    assert (head.value, fact.name, fact.value) == ("-7", crisis.BURN, "-7 tokens")
    (gone,) = coins.trace(name, "net_supply_change", history=Hand())
    assert (gone.value, gone.why) == ("0", "nobody told a fact of it here: all blocks were heard, and held none")
    _, again = coins.trace(moved, "net_supply_change", history=Hand())
    assert (again.name, again.at) == (crisis.AGAIN, at(crisis.BURNT_AT + 72))


def test_alert_is_traced_to_the_value_that_it_is_about(coins):
    head, *facts = coins.trace(window(crisis.DEPEG_FROM).replace(":60:", ":depeg:"), history=Hand())
    assert head.name == f"{crisis.RUN} price"
    assert len(facts) == 4


def test_history_that_was_not_played_is_found_out(coins):
    other = Hand([seen for seen in crisis.told() if seen.value != 0.95])
    head, *_ = coins.trace(window(crisis.DEPEG_FROM), "price", history=other)
    assert "not what the run was told" in head.why


def test_what_is_no_value_and_what_nobody_told_are_refused(coins):
    with pytest.raises(NotInLake, match="no value of a window"):
        coins.trace(window(0), "sources", history=Hand())
    with pytest.raises(NotInLake, match="no replay told of a window"):
        coins.trace(window(30), "price", history=Hand())
    with pytest.raises(NotInLake, match="no replay told of an alert"):
        coins.trace("USDC:all:mint:5", history=Hand())


def test_restated_price_of_a_file_is_traced_to_its_lines_by_the_command(tmp_path, capsys):
    prices = tmp_path / "history" / "ethereum" / "price.csv"
    prices.parent.mkdir(parents=True)
    rows = ["timestamp,coin,price,known_at"]
    rows += [f"2024-01-15T00:{m:02d}:10Z,USDC,1.0,2024-01-15T00:{m:02d}:11Z" for m in range(12)]
    rows += ["2024-01-15T00:03:10Z,USDC,0.5,2024-01-15T00:12:00Z"]
    prices.write_text("\n".join(rows) + "\n", encoding="utf-8")
    lake = ["--lake", str(tmp_path / "lake"), "--format", "json", "stablecoins"]
    assert run([*lake, "replay", str(prices.parents[1])]) in (0, 3)
    capsys.readouterr()
    name = "USDC:all:60:1705276980"  # 00:03
    assert run([*lake, "explain", name, "--trace", "price", "--history", str(prices.parents[1])]) == 0
    head, fact = json.loads(capsys.readouterr().out)
    assert (head["value"], head["why"]) == ("0.5", "made of 1 fact, which give it again")
    assert fact["name"] == "coingecko:USDC:price:1705276990000000"
    assert "known 2024-01-15 00:12:00; ethereum/price.csv line 14" in fact["why"]
    assert "1 was told at 2024-01-15 00:03:11, ethereum/price.csv line 5" in fact["why"]
    filled = name.replace("6980", "7700")  # 00:15
    assert run([*lake, "explain", filled, "--trace", "price", "--history", str(prices.parents[1])]) == 0
    assert "a fill: the last before the window" in json.loads(capsys.readouterr().out)[1]["why"]


def test_value_of_a_watch_is_traced_to_the_answer_of_its_provider(tmp_path):
    lake = Lake(Store.open(tmp_path))
    with serving_coins() as server:
        heard, _ = poll(lake, server, 300)
    begin = START_US - START_US % (300 * S)
    chain = ChainSetup(name="ethereum", expects=("liquidity",))
    fleet, records = Fleet({"USDC": CoinSetup(coin="USDC", chains=(chain,), begin_us=begin)}), []
    fleet.take_all(list(observations(known for _, known in heard)), records)
    fleet.take(Observation("clock", START_US + 600 * S, START_US + 600 * S), records)
    DeltaOutput(lake.store, f"watch-{begin}").commit(1, records)
    rows = lake.stablecoins.windows("USDC", chain="all", window_s=60).drop_nulls("price")
    row = rows.row(0, named=True)
    head, *facts = lake.stablecoins.trace(row["window_id"], "price")
    assert (float(head.value), head.why.split(",")[1]) == (row["price"], " which give it again")
    place = facts[-1].why.split("segment ")[1].split(";")[0]
    segment, line = place.split(":")
    assert "usd-coin" in json.dumps(explain_raw(lake.store, segment, int(line))["frame"])
    deep = lake.stablecoins.windows("USDC", chain="ethereum", window_s=60).drop_nulls("liquidity_depth")
    head, fact = lake.stablecoins.trace(deep["window_id"][-1], "liquidity_depth")
    assert "give it again" in head.why
    assert fact.why.startswith(("the last of the window", "a fill"))
