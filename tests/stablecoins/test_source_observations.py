"""What sources told goes into the machines: ids, clocks, restatements, a source that went down."""

from decimal import Decimal

from tidelake.providers.coin_source import CoinFact
from tidelake.stablecoins.fleet import Fleet
from tidelake.stablecoins.observation import Observation, refusal
from tidelake.stablecoins.records import Record, WindowRow
from tidelake.stablecoins.setup import ChainSetup, CoinSetup
from tidelake.stablecoins.sources.feed import Known, Turn
from tidelake.stablecoins.sources.observations import observation, observations

MINUTE = 60_000_000
BEGIN = 1_757_614_200_000_000


def told(feature, value, at, coin="USDC", chain="", source="coingecko", late=1_000_000):
    return Known(CoinFact(feature, coin, chain, source, at, Decimal(value)), at + late)


def test_fact_keeps_its_clocks_and_has_an_id_that_tells_chains_apart():
    seen = observation(told("price", "0.99998765432109876543", BEGIN))
    assert seen == Observation(
        "price", BEGIN, BEGIN + 1_000_000, "USDC", "", "coingecko", f"coingecko:USDC:price:{BEGIN}", 0.9999876543210988
    )
    ids = {
        observation(told("circulating", 1, BEGIN, chain=chain, source="defillama")).id
        for chain in ("", "ethereum", "bnb")
    }
    assert ids == {f"defillama:USDC:circulating:{BEGIN}{end}" for end in ("", ":ethereum", ":bnb")}
    assert observation(told("volatility", "0.4", BEGIN, coin="", source="candles")).id == f"candles::volatility:{BEGIN}"
    for feature, value in (("price", "0.5"), ("sentiment", "-0.7"), ("liquidity", "0")):
        assert refusal(observation(told(feature, value, BEGIN))) == ""


def test_turn_is_told_to_all_coins():
    seen = observation(Known(Turn("coingecko", "coingecko", False, "status 503"), BEGIN))
    assert (seen.feature, seen.coin, seen.chain, seen.source, seen.value) == ("source", "", "", "coingecko", 0.0)
    assert observation(Known(Turn("coingecko", "coingecko", True), BEGIN)).value == 1.0


def test_machine_takes_what_sources_told():
    setup = CoinSetup(
        coin="USDC",
        begin_us=BEGIN,
        chains=(ChainSetup(name="ethereum", follows_heads=False, grace_us=0, expects=("liquidity",)),),
        intervals_us={**CoinSetup(coin="", chains=(), begin_us=0).intervals_us, "liquidity": 1_800_000_000},
    )
    fleet, out = Fleet({"USDC": setup}), list[Record]()
    heard = [
        told("price", "0.999", BEGIN + 1),
        told("volume", "5000000000", BEGIN + 1),
        told("circulating", "100.5", BEGIN + 2, source="defillama"),
        told("circulating", "100", BEGIN + 2, chain="ethereum", source="defillama"),
        told("liquidity", "1200000.5", BEGIN + 2, chain="ethereum", source="defillama"),
        told("volatility", "0.41", BEGIN + 3, coin="", source="candles"),
        told("sentiment", "-0.2", BEGIN + 4, source="vader"),
        Known(Turn("coingecko", "coingecko", False, "status 503"), BEGIN + 30_000_000),
        told("price", "0.998", BEGIN + MINUTE + 1),
        told("price", "0.997", BEGIN + 20 * MINUTE),
    ]
    for seen in observations(heard):
        fleet.take(seen, out)
    assert fleet.failed == {}
    rows = [row for row in out if isinstance(row, WindowRow) and row.window_s == 60]
    whole = next(row for row in rows if not row.chain)
    assert (whole.price, whole.price_sources) == (0.999, 1)
    assert (whole.circulating_supply, whole.liquidity_depth) == (100.5, 1200000.5)
    assert (whole.market_volatility, whole.sentiment_score) == (0.41, -0.2)
    part = next(row for row in rows if row.chain == "ethereum")
    assert (part.circulating_supply, part.liquidity_depth) == (100.0, 1200000.5)
    assert any("coingecko" in repr(record) and "source_down" in repr(record) for record in out)
