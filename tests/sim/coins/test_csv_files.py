"""Histories of simulated coins as CSV files: what is read back from them is what the history tells."""

import csv
import datetime as dt
import json
from collections import defaultdict
from decimal import Decimal

import pytest

from tidelake.errors import ConfigError
from tidelake.sim.coins.csv_files import iso, token_text, write_folder
from tidelake.sim.coins.events import Fact, Head, Retraction, SourceState
from tidelake.sim.coins.history import CoinHistory
from tidelake.sim.coins.plan import CoinPlan, Rates

COLUMNS = {"liquidity": "liquidity_depth", "circulating": "circulating_supply", "sentiment": "sentiment_score"}
COLUMNS |= {"price": "price", "volume": "volume", "supply": "net_supply_change", "volatility": "market_volatility"}
FILES = {feature: f"{feature}.csv" for feature in COLUMNS} | {"volume": "price.csv"}


@pytest.fixture(scope="module")
def history():
    plan = CoinPlan(seed=3, days=1, coins=("USDC", "DAI"), rates=Rates(0.05, 0.02, 0.02, 20.0, 4_000.0))
    return CoinHistory(plan.with_crisis("seeded"))


@pytest.fixture(scope="module")
def folder(history, tmp_path_factory):
    folder = tmp_path_factory.mktemp("history")
    write_folder(history, folder)
    return folder


def time_us(text):
    assert text.endswith("Z")
    return (dt.datetime.fromisoformat(text) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def table(path):
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def read(folder):
    """Rows by file, in order."""
    return {
        path.relative_to(folder).as_posix(): table(path)
        for path in [*folder.glob("*.csv"), *folder.glob("*/*.csv")]
        if path.parent.name != "truth"
    }


def values_of(files):
    """(file, time, known, coin, source, column, text) of every value in the files of facts."""
    found = []
    for name, rows in files.items():
        columns = set(COLUMNS.values()) & set(rows[0])
        for row in rows:
            for column in columns:
                if row[column]:
                    known = row["known_at"] if "known_at" in row else row["timestamp"]
                    key = (name, time_us(row["timestamp"]), time_us(known), row.get("coin", ""), row.get("source", ""))
                    found.append((*key, column, row[column]))
    return sorted(found)


def values_told(facts):
    found = []
    for fact in facts:
        name = f"{fact.chain}/{FILES[fact.feature]}" if fact.chain else FILES[fact.feature]
        text = repr(fact.value)
        if fact.feature == "supply":
            text = format((Decimal(fact.units) / Decimal(10) ** fact.decimals).normalize(), "f")
        found.append((name, fact.event_us, fact.known_us, fact.coin, fact.source, COLUMNS[fact.feature], text))
    return sorted(found)


def test_files_hold_each_value_that_was_told_and_nothing_else(history, folder):
    facts = [told for told in history.told() if isinstance(told, Fact)]
    assert values_of(read(folder)) == values_told(facts)


def test_rows_stand_in_the_order_in_which_they_were_told_a_price_beside_its_volume(folder):
    files = read(folder)
    for rows in files.values():
        known = [time_us(row["known_at"]) for row in rows]
        assert known == sorted(known)
    prices = files["ethereum/price.csv"]
    assert sum(bool(row["price"] and row["volume"]) for row in prices) > 0.9 * len(prices)
    restated = [row for row in prices if not row["volume"]]
    assert restated
    assert all(row["price"] for row in restated)


def test_files_of_chains_hold_blocks_retractions_and_sources(history, folder):
    files, told = read(folder), list(history.told())
    supply = {row["tx_hash"] + row["log_index"]: row for row in files["arbitrum/supply.csv"]}
    for fact in (each for each in told if isinstance(each, Fact) and each.chain == "arbitrum" and each.block_hash):
        row = supply[fact.tx_hash + str(fact.log_index)]
        assert (row["block_hash"], row["block_number"]) == (fact.block_hash, str(fact.block_number))
        assert fact.id == f"arbitrum:{row['block_hash']}:{row['tx_hash']}:{row['log_index']}"
    heads = [each for each in told if isinstance(each, Head) and each.chain == "ethereum"]
    for head, row in zip(heads, files["ethereum/heads.csv"], strict=True):
        assert (head.event_us, head.known_us) == (time_us(row["timestamp"]), time_us(row["known_at"]))
        assert (head.tier2_us, head.tier3_us) == (time_us(row["tier2_timestamp"]), time_us(row["tier3_timestamp"]))
        assert [str(n) for n in (head.block_number, head.tier2_block, head.tier3_block)] == [
            row["block_number"], row["tier2_block"], row["tier3_block"],
        ]  # fmt: skip
        assert (head.block_hash, head.parent_hash) == (row["block_hash"], row["parent_hash"])
    words = [each for each in told if isinstance(each, Retraction) and each.chain == "ethereum"]
    for word, row in zip(words, files["ethereum/retractions.csv"], strict=True):
        assert (word.ids_out, word.ids_in) == (tuple(row["ids_out"].split()), tuple(row["ids_in"].split()))
        assert (word.known_us, word.reason) == (time_us(row["known_at"]), row["reason"])
    states = [each for each in told if isinstance(each, SourceState)]
    rows = [*files["sources.csv"], *files["arbitrum/sources.csv"]]
    assert sorted((each.known_us, each.source, int(each.up)) for each in states) == sorted(
        (time_us(row["known_at"]), row["source"], int(row["up"])) for row in rows
    )


def test_truth_has_final_facts_minutes_orphans_and_the_plan(history, folder):
    final = folder / "truth" / "final"
    wanted = values_told(history.facts())
    told = values_of(read(final))
    assert sorted((*each[:2], *each[3:]) for each in told) == sorted((*each[:2], *each[3:]) for each in wanted)
    assert all(each[2] - each[1] == 1_000_000 for each in told)
    assert not [*final.glob("*/retractions.csv"), *final.glob("**/sources.csv")]
    minutes = table(folder / "truth" / "minutes.csv")
    truths = list(history.truths())
    assert len(minutes) == len(truths) == 4 * 1_440
    for row, true in zip(minutes, truths, strict=True):
        assert (time_us(row["timestamp"]), row["coin"], row["chain"]) == (true.start_us, true.coin, true.chain)
        assert (float(row["price"]), float(row["volume"])) == (true.price, true.volume)
        assert Decimal(row["net_supply_change"]).scaleb(true.decimals) == true.net_units
        assert (float(row["sentiment_score"]), float(row["depeg_share"])) == (true.sentiment, true.depeg)
    orphans = table(folder / "truth" / "orphans.csv")
    wanted_orphans = [orphan for minute in history.minutes() for orphan in minute.orphans]
    assert [row["block_hash"] for row in orphans] == [orphan.block_hash for orphan in wanted_orphans]
    plan = json.loads((folder / "truth" / "plan.json").read_text())
    (depeg,) = history.plan.depegs
    assert plan["depegs"] == [
        {"coin": depeg.coin, "start_us": depeg.start_us, "end_us": depeg.end_us, "depth": depeg.depth}
    ]


def test_clean_heads_are_of_the_chain_that_stayed(folder):
    files = read(folder / "truth" / "final")
    for chain in ("ethereum", "arbitrum"):
        rows = files[f"{chain}/heads.csv"]
        told = {row["block_hash"] for row in read(folder)[f"{chain}/heads.csv"]}
        gone = {
            row["block_hash"]
            for row in table(folder / "truth" / "orphans.csv")
            if row["chain"] == chain and not row["restored_at"]
        }
        clean = {row["block_hash"] for row in rows}
        assert told - gone <= clean
        assert not gone & clean
        last = [row for row in rows if time_us(row["tier3_timestamp"]) >= 1_704_067_200_000_000 + 86_400_000_000]
        assert last  # all of the day is final in the end


def test_plain_files_have_the_columns_of_users_own_and_final_facts(history, tmp_path):
    write_folder(history, tmp_path / "plain", plain=True, truth=False)
    files = read(tmp_path / "plain")
    assert {name: ",".join(rows[0]) for name, rows in files.items()} == {
        "volatility.csv": "timestamp,market_volatility",
        "ethereum/sentiment.csv": "timestamp,coin,sentiment_score",
    } | {
        f"{chain}/{name}.csv": f"timestamp,coin,{column}"
        for chain in ("ethereum", "arbitrum")
        for name, column in {**COLUMNS, "price": "price,volume"}.items()
        if name in ("price", "liquidity", "circulating", "supply")
    }
    sums = defaultdict(Decimal)
    for fact in history.facts():
        if fact.feature == "supply":
            sums[fact.chain, fact.coin, fact.event_us] += Decimal(fact.units).scaleb(-fact.decimals)
    rows = [(chain, row) for chain in ("ethereum", "arbitrum") for row in files[f"{chain}/supply.csv"]]
    found = {(chain, row["coin"], time_us(row["timestamp"])): Decimal(row["net_supply_change"]) for chain, row in rows}
    assert len(found) == len(rows) < sum(fact.feature == "supply" for fact in history.facts())
    assert found == sums
    for rows in files.values():
        times = [time_us(row["timestamp"]) for row in rows]
        assert times == sorted(times)
    assert not (tmp_path / "plain" / "truth").exists()


def test_a_folder_that_holds_something_is_refused(history, tmp_path):
    (tmp_path / "mine.csv").write_text("x\n")
    with pytest.raises(ConfigError, match="holds something"):
        write_folder(history, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.csv"]


def test_times_and_amounts_are_written_exactly():
    assert iso(1_704_067_200_000_000) == "2024-01-01T00:00:00Z"
    assert iso(1_704_067_199_000_001) == "2023-12-31T23:59:59.000001Z"
    assert [token_text(units, 6) for units in (0, 1, -1, 1_000_000, -120_500_000, 10**18 + 7)] == [
        "0", "0.000001", "-0.000001", "1", "-120.5", "1000000000000.000007",
    ]  # fmt: skip
