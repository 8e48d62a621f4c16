"""What a replay wrote, read back and explained; expected values are those of the hand-written hour."""

import pytest

from tests.stablecoins import crisis
from tests.stablecoins.crisis import at, window
from tidelake.client import Lake
from tidelake.errors import NotInLake
from tidelake.raw.store import Store


@pytest.fixture(scope="module")
def coins(tmp_path_factory):
    store = Store.open(tmp_path_factory.mktemp("lake"))
    crisis.replay(store)
    return Lake(store).stablecoins


def lines(coins, name, part, **more):
    return [line for line in coins.explain(name, **more) if line.part == part]


def test_each_minute_stands_once_in_order_and_by_its_last_version(coins):
    found = coins.windows("USDC", chain="all", window_s=60)
    assert found["event_time"].to_list() == [at(second) for second in range(0, found.height * 60, 60)]
    assert found.height >= crisis.END // 60
    versions = coins.windows("USDC", chain="all", window_s=60, versions=True)
    last = {}
    for row in versions.iter_rows(named=True):
        last[row["window_id"]] = max(last.get(row["window_id"], 0), row["event_version"])
    assert dict(found.select("window_id", "event_version").rows()) == last
    assert versions.height == sum(last.values())


def test_scope_length_and_span_narrow_what_is_read(coins):
    both = coins.windows("USDC", start=at(600), end=at(900))
    assert sorted(both.select("chain", "window_s", "event_time").rows()) == sorted(
        [(chain, 60, at(second)) for chain in ("", "ethereum") for second in range(600, 900, 60)]
        + [(chain, 300, at(600)) for chain in ("", "ethereum")]
    )


def test_burn_stands_as_of_before_the_reorganisation_and_not_after(coins):
    name = window(crisis.BURNT_AT, "ethereum")

    def burned(second):
        rows = coins.windows("USDC", chain="ethereum", window_s=60, as_of=at(second))
        ((amount,),) = rows.filter(rows["window_id"] == name).select("burned").rows()
        return amount

    assert (burned(crisis.TAKEN_BACK - 1), burned(crisis.TAKEN_BACK)) == (7, 0)
    where = {
        row["window_id"]: row["burned"]
        for row in coins.windows("USDC", chain="ethereum", window_s=60).iter_rows(named=True)
        if row["burned"]
    }
    assert where == {window(crisis.BURNT_AT + 60, "ethereum"): 7}


def test_alert_lives_from_one_source_to_two_to_its_end(coins):
    steps = coins.alerts("USDC")
    (name,) = set(steps["alert_id"])
    assert name == window(crisis.DEPEG_FROM).replace(":60:", ":depeg:")
    assert steps["state"].to_list() == ["PROVISIONAL", "CONFIRMED", "CONFIRMED"]
    assert steps["reason"].to_list()[1:] == ["a second source agrees", "over: 5 calm windows"]
    assert steps["known_at"].to_list()[0] == at(crisis.DEPEG_FROM + 1)
    last = coins.alerts(last=True)
    assert last["event_version"].to_list() == [3]
    assert last["ended_at"].to_list() == [at(crisis.DEPEG_TO + 300)]
    before = coins.alerts("USDC", as_of=at(crisis.DEPEG_FROM + 40))
    assert before["state"].to_list() == ["PROVISIONAL"]


def test_window_is_explained_by_values_factors_versions_and_what_was_taken_back(coins):
    name = window(crisis.BURNT_AT, "ethereum")
    facts = {line.name: line for line in lines(coins, name, "fact")}
    assert (facts["price"].value, facts["price"].at) == ("1 USD", at(crisis.BURNT_AT + 30))
    assert facts["volume"].value == "none"
    assert facts["net_supply_change"].value == "0 tokens"
    (gone,) = lines(coins, name, "correction")
    assert (gone.name, gone.at, gone.value) == (crisis.BURN, at(crisis.TAKEN_BACK), "invalidated -7 tokens")
    assert crisis.AGAIN in gone.why
    versions = lines(coins, name, "version")
    (changed,) = [line for line in versions if line.at == at(crisis.TAKEN_BACK)]
    assert changed.why.startswith(
        "chain_reorg invalidated -7 tokens; net_supply_change was -7, is 0; burned was 7, is 0"
    )
    assert versions[0].why == "the window closed"
    assert versions[-1].value == "FINAL, confidence 1"
    assert "final" in versions[-1].why
    (sealed,) = lines(coins, name, "attestation")
    assert len(sealed.value) == 64


def test_factors_multiply_to_the_score_of_the_version_that_stood(coins):
    factors = lines(coins, window(crisis.BURNT_AT), "score", as_of=at(crisis.BURNT_AT + 70))
    product = 1.0
    for line in factors[1:]:
        product *= float(line.value)
    assert len(factors) == 6
    assert 0.2 < product < 0.4
    assert float(factors[0].value) == pytest.approx(product, rel=1e-3)


def test_alert_is_explained_by_its_steps_and_the_window_below_it(coins):
    name = window(crisis.DEPEG_FROM).replace(":60:", ":depeg:")
    assert [line.why for line in lines(coins, name, "step")][1] == "a second source agrees"
    (below,) = lines(coins, name, "window")
    assert below.name == window(crisis.DEPEG_FROM)
    (alert,) = lines(coins, name, "alert")
    assert alert.value.startswith("severe CONFIRMED, over")


def test_two_runs_stand_side_by_side_and_one_can_be_named(tmp_path):
    store = Store.open(tmp_path)
    crisis.replay(store)
    crisis.replay(store, "again")
    coins = Lake(store).stablecoins
    assert set(coins.windows("USDC")["run"]) == {"again", "hand"}
    assert set(coins.windows("USDC", run="again")["run"]) == {"again"}
    assert len(lines(coins, window(0), "window")) == 2
    assert len(lines(coins, window(0), "window", run="hand")) == 1


def test_what_nobody_told_of_is_refused_by_name(coins, tmp_path):
    with pytest.raises(NotInLake, match="a coin 'USTC'"):
        coins.windows("USTC")
    with pytest.raises(NotInLake, match="a chain 'solana'"):
        coins.windows("USDC", chain="solana")
    with pytest.raises(NotInLake, match="a run 'other'"):
        coins.alerts("USDC", run="other")
    with pytest.raises(NotInLake, match="names no window and no alert"):
        coins.explain("USDC")
    with pytest.raises(NotInLake, match="no replay told of a window"):
        coins.explain(window(30))
    with pytest.raises(NotInLake, match="no replay told of an alert"):
        coins.explain("USDC:all:mint:5")
    with pytest.raises(NotInLake, match="no windows of stablecoins in this lake"):
        Lake(Store.open(tmp_path)).stablecoins.windows("USDC")
    assert coins.windows("USDC", start=at(10**6)).is_empty()
