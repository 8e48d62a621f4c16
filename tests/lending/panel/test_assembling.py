"""The panel against the slow way, over rows with every status; and what its forms hold."""

import math

import polars as pl
import pytest

from tests.lending.panel.silver import DAY, IDS, START, markets, seeded, slow_panel
from tidelake.lending.panel.assembling import assemble_panel, unbalanced
from tidelake.lending.panel.columns import AMOUNTS, COLUMNS, LOG_STATES, SCHEMA, STATUSES

DAYS = [START + n * DAY for n in range(-1, 5)]
PLAIN = [column.name for column in COLUMNS if column not in AMOUNTS and not column.name.endswith("_exact")]


def panel_of(rows, ids=IDS, days=DAYS):
    return assemble_panel(rows.facts(), markets(), ids, days)


def is_close(one, other):
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-12)
    return one == other


@pytest.mark.parametrize("seed", range(40))
def test_panel_is_what_the_slow_way_finds(seed):
    rows = seeded(seed)
    found = panel_of(rows)
    assert found.schema == SCHEMA
    wanted = slow_panel(rows, IDS, DAYS)
    assert found.height == len(wanted)
    for row, slow in zip(found.iter_rows(named=True), wanted, strict=True):
        for name in PLAIN:
            assert is_close(row[name], slow.get(name)), (row["market"], row["date"], name, row[name], slow.get(name))
        for column in AMOUNTS:
            assert row[f"{column.name}_exact"] == slow.get(column.name), (row["market"], row["date"], column.name)
            assert is_close(row[column.name], None if slow.get(column.name) is None else float(slow[column.name]))


def test_seeded_rows_hold_every_status_and_amount():
    """Else the comparison above compares nothing."""
    found = pl.concat([panel_of(seeded(seed)) for seed in range(40)])
    assert set(found["status"]) == set(STATUSES)
    assert set(found["liquidations_status"]) == set(LOG_STATES)
    for column in AMOUNTS:
        assert found.filter(pl.col(column.name) > 0).height > 5, column.name
        assert found[column.name].null_count() > 5, column.name
    assert found.filter(pl.col("share_agreed").is_between(0.01, 0.99)).height > 5
    assert found.filter(pl.col("liquidations_unpriced") > 0).height > 5
    for family in found["family"].unique():
        assert found.filter(pl.col("family") == family, pl.col("seized_usd") > 0).height, family


def test_unbalanced_panel_holds_the_observations_and_nothing_else():
    balanced = panel_of(seeded(3))
    found = unbalanced(balanced)
    assert 0 < found.height < balanced.height
    assert set(found["status"]) == {"OK", "PARTLY_PRICED"}
    assert found["supplied_usd"].is_not_null().any()
    left = balanced.join(found, on=["market", "date"], how="anti")
    assert left.select(pl.all_horizontal(pl.col("supplied_usd", "total_value_usd").is_null()).all()).item()


def test_balanced_panel_names_each_market_on_each_day_once():
    """A market that the lake holds nothing of, and one that died, stay."""
    ids = [*IDS, "benqi_core"] if "benqi_core" in markets() else [*IDS, "spark_ethereum"]
    found = panel_of(seeded(5), ids=ids)
    assert found.height == len(ids) * len(DAYS)
    assert found.select(pl.struct("market", "date").is_unique().all()).item()
    alone = found.filter(pl.col("market") == ids[-1])
    assert set(alone["status"]) == {"NOT_COLLECTED"}
    assert alone["protocol"].null_count() == 0


def test_market_that_is_not_in_the_registry_is_named_by_its_rows():
    rows = seeded(6)
    for row in rows.positions:
        row["market"] = row["market"].replace("aave_v2_ethereum", "mine")
    found = panel_of(rows, ids=["mine"]).filter(pl.col("status") == "OK")
    assert set(found["protocol"]) == {"aave"}
    assert found["version"].null_count() == found.height > 0


@pytest.mark.parametrize("seed", range(5))
def test_order_of_rows_changes_nothing(seed):
    rows = seeded(seed)
    facts = rows.facts()
    for name in ("positions", "liquidations", "prices", "log_days", "blocks", "collateral_days"):
        getattr(rows, name).reverse()
    assert panel_of(rows).equals(assemble_panel(facts, markets(), IDS, DAYS))


def test_day_of_a_market_does_not_depend_on_what_else_was_asked():
    rows = seeded(7)
    whole = panel_of(rows)
    for id in IDS:
        for day in DAYS:
            one = whole.filter(pl.col("market") == id, pl.col("date") == day)
            assert panel_of(rows, ids=[id], days=[day]).equals(one)
