"""Exponents that a calibration fitted, used by a replay, which says so in each row."""

import math
from functools import partial

import pytest

from tests.stablecoins import crisis
from tidelake.errors import ConfigError
from tidelake.raw.store import Store
from tidelake.stablecoins.calibration.saved import read_exponents
from tidelake.stablecoins.fleet import Fleet
from tidelake.stablecoins.replay.run import Replay
from tidelake.stablecoins.score import PRIOR, Exponents
from tidelake.stablecoins.shards.coordinator import ShardedFleet
from tidelake.stablecoins.shards.links import LocalLink
from tidelake.tables.read import scan
from tidelake.tables.stablecoins import STABLECOIN_WINDOWS

FITTED = Exponents(finality=0.25, completeness=31.1, reorg=0.0)


def replayed(store, run, powers, open_fleet=Fleet):
    setups = {"USDC": crisis.setup()}
    report = Replay(store, run, setups, powers=powers, open_fleet=open_fleet).run(crisis.Listed(crisis.told()))
    assert report.done
    return scan(store, STABLECOIN_WINDOWS).collect().sort(STABLECOIN_WINDOWS.key).filter(run=run)


def test_scores_are_of_the_exponents_that_rows_name_in_shards_too(tmp_path):
    sharded = partial(ShardedFleet, shards=2, open_link=LocalLink)
    rows = replayed(Store.open(tmp_path / "one"), "r", FITTED)
    assert rows.equals(replayed(Store.open(tmp_path / "two"), "r", FITTED, sharded))
    assert set(rows["mapping_version"]) == {"tidelake/stablecoins@1 finality^0.25 completeness^31.1 reorg^0.0"}
    for row in rows.iter_rows(named=True):
        parts = [row[f"confidence_{name}"] ** getattr(FITTED, name) for name in Exponents.__struct_fields__]
        assert row["temporal_confidence"] == pytest.approx(math.prod(parts), rel=1e-12)
    prior = replayed(Store.open(tmp_path / "one"), "other", PRIOR)
    assert set(prior["mapping_version"]) == {"tidelake/stablecoins@1"}
    assert prior["temporal_confidence"].to_list() != rows["temporal_confidence"].to_list()


def test_a_run_goes_on_with_the_exponents_that_it_was_begun_with_or_not_at_all(tmp_path):
    store = Store.open(tmp_path / "lake")
    replayed(store, "r", FITTED)
    replayed(store, "r", FITTED)
    with pytest.raises(ConfigError, match=r"begun with other exponents, finality\^0.25 .* or another name"):
        replayed(store, "r", PRIOR)


def test_exponents_are_read_from_a_report_and_from_nothing_else(tmp_path):
    path = tmp_path / "report.json"
    path.write_text('{"note": "", "fitted": {"finality": 0.25, "completeness": 31.1, "reorg": 0}, "seeds": [1]}')
    assert read_exponents(path) == FITTED
    for text in ("", "[]", '{"fitted": 1}', '{"fitted": {"finality": -0.1}}', '{"prior": {}}'):
        path.write_text(text)
        with pytest.raises(ConfigError, match="report"):
            read_exponents(path)
