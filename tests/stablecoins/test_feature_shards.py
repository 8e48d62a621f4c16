"""Shards of features give the rows of one reader, in its order: also where they are lost."""

import random
from functools import partial

import pytest
from hypothesis import given, settings, strategies as st

from tidelake.errors import ConfigError
from tidelake.raw.store import Store
from tidelake.sim.coins.csv_files import write_folder
from tidelake.sim.coins.history import CoinHistory
from tidelake.sim.coins.plan import CoinPlan, Rates
from tidelake.stablecoins.replay.csv_files import csv_files
from tidelake.stablecoins.replay.csv_folder import CsvFolder
from tidelake.stablecoins.replay.csv_rows import CsvRows
from tidelake.stablecoins.replay.run import Replay
from tidelake.stablecoins.shards.coordinator import ShardedFleet
from tidelake.stablecoins.shards.features import FeatureShards
from tidelake.stablecoins.shards.links import LocalLink, ProcessLink, ShardLost
from tidelake.tables.read import scan
from tidelake.tables.stablecoins import STABLECOIN_TABLES

FILES = {
    "price.csv": ("coin", "price,volume"),
    "liquidity.csv": ("coin", "liquidity_depth"),
    "circulating.csv": ("coin", "circulating_supply"),
    "supply.csv": ("coin", "net_supply_change"),
    "sentiment.csv": ("coin", "sentiment_score"),
    "heads.csv": ("", "block_number"),
    "retractions.csv": ("", "ids_out"),
    "sources.csv": ("source", "up"),
}


def write_rows(folder, rng):
    """Files whose rows share moments, so that all of the order counts."""
    for chain in ("ethereum", "arbitrum"):
        (folder / chain).mkdir(parents=True)
        for name, (who, values) in FILES.items():
            if rng.random() < 0.2:
                continue
            columns = ["timestamp", "known_at", *([who] if who else []), values]
            lines = []
            for _ in range(rng.randrange(60)):
                event, late = rng.randrange(8), rng.randrange(3)
                coin = [rng.choice(("USDC", "DAI", "coingecko"))] if who else []
                told = ",".join(rng.choice(("1", "2", "", "x")) for _ in values.split(","))
                told = f"{chain}:{told}" if values == "ids_out" else told
                lines.append(",".join([stamp(event), stamp(event + late), *coin, told]))
            (folder / chain / name).write_text("\n".join([",".join(columns), *lines]) + "\n")
    (folder / "volatility.csv").write_text(f"timestamp,market_volatility\n{stamp(3)},0.5\n")


def stamp(second):
    return f"2024-01-01T00:00:{second:02d}Z"


def rows(read):
    """All that it gives, in order; NaN is no equal of itself."""
    return [repr(seen) for batch in read.batches() for seen in batch]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), part=st.sampled_from((1, 7, 40)))
def test_features_read_apart_are_merged_to_the_order_of_one_reader(tmp_path_factory, seed, part):
    folder = tmp_path_factory.mktemp("rows")
    write_rows(folder, random.Random(seed))
    files = csv_files(folder)
    one, apart = CsvRows(files), FeatureShards(files, open_link=LocalLink, part=part)
    next(apart.batches(), None)  # left, as where a replay jumps back
    assert rows(apart) == rows(one)
    assert apart.told == one.told


class Dying(LocalLink):
    """A shard in this process that is lost when the dice say so."""

    rng = random.Random(0)
    odds = 0.0

    def answer(self):
        if self.rng.random() < self.odds:
            raise ShardLost("lost when it was to answer")
        return super().answer()


def test_a_reader_that_is_lost_is_begun_again_where_it_was(tmp_path):
    write_rows(tmp_path, random.Random(3))
    files = csv_files(tmp_path)
    Dying.rng, Dying.odds = random.Random(1), 0.0
    apart = FeatureShards(files, open_link=Dying, part=2)
    Dying.odds = 0.1
    assert rows(apart) == rows(CsvRows(files))
    assert apart.restarts > 3


def test_readers_in_processes_give_the_same_also_where_one_is_killed(tmp_path):
    write_rows(tmp_path, random.Random(8))
    files = [file for file in csv_files(tmp_path) if file.kind in ("price.csv", "supply.csv")]
    links = []

    def opened(work):
        links.append(ProcessLink(work))
        return links[-1]

    apart = FeatureShards(files, open_link=opened, part=10)
    assert apart.features == ("price", "supply")
    links[0].process.kill()
    assert rows(apart) == rows(CsvRows(files))
    apart.close()
    assert apart.restarts == 1
    assert not any(link.process.is_alive() for link in links)


@pytest.mark.soak
def test_a_day_by_shards_of_features_and_of_coins_in_processes_ends_in_the_same_rows(tmp_path):
    rates = Rates(doubled=0.03, restated=0.02, late=0.02, reorgs=60.0, changes=400.0)
    write_folder(CoinHistory(CoinPlan(seed=5, days=1, rates=rates)), tmp_path / "files")
    one, sharded = Store.open(tmp_path / "one"), Store.open(tmp_path / "sharded")
    history = CsvFolder(tmp_path / "files")
    report = Replay(one, "r", history.setups()).run(history)
    apart = CsvFolder(tmp_path / "files", read=partial(FeatureShards, open_link=ProcessLink))
    fleet = partial(ShardedFleet, shards=2, open_link=ProcessLink)
    run = Replay(sharded, "r", apart.setups(), open_fleet=fleet)
    assert run.run(apart).counts == report.counts
    run.close()
    apart.close()
    for table in STABLECOIN_TABLES:
        told = [sorted(map(repr, scan(store, table).collect().drop("date").rows())) for store in (one, sharded)]
        assert told[0] == told[1]


def test_a_file_that_lacks_a_column_is_named_from_the_process_that_read_it(tmp_path):
    write_rows(tmp_path, random.Random(4))
    (tmp_path / "ethereum" / "price.csv").write_text(f"timestamp,price\n{stamp(1)},1\n")
    files = [file for file in csv_files(tmp_path) if file.kind == "price.csv"]
    with pytest.raises(ConfigError, match=r"price\.csv lacks coin"):
        FeatureShards(files, open_link=ProcessLink)
