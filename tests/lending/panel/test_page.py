"""The page of a panel, and what its charts sum up."""

import re

import polars as pl
import pytest

from tests.lending.panel.silver import IDS, markets, seeded
from tests.lending.panel.test_files import DAYS
from tidelake.lending.panel.assembling import assemble_panel
from tidelake.lending.panel.charts import COLOURS, by_protocol, coverage_figure, dollars, looks
from tidelake.lending.panel.columns import STATUSES
from tidelake.lending.panel.page import write_panel_page
from tidelake.lending.panel.reading import Asked, Panel


@pytest.fixture(scope="module")
def panel():
    facts = seeded(2).facts()
    rows = assemble_panel(facts, markets(), IDS, DAYS)
    return Panel(Asked(), rows, rows, tuple(markets()[id] for id in IDS), DAYS, facts)


def test_page_loads_nothing_and_names_every_market_and_status(panel, tmp_path):
    path = tmp_path / "panel.html"
    assert write_panel_page(path, panel) == path.stat().st_size
    text = path.read_text()
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", text)
    for word in (*IDS, *STATUSES, "What the columns mean"):
        assert word in text


def test_sum_of_a_protocol_is_not_told_where_one_of_its_markets_is_not_known():
    """Markets that are not there yet hold nothing; those that failed may hold much."""
    day = DAYS[0]
    schema = {"protocol": pl.String, "date": pl.Date, "status": pl.String}
    schema |= dict.fromkeys(("total_value_usd", "supplied_usd", "borrowed_usd"), pl.Float64)
    rows = [
        ("aave", day, "OK", 60.0, 100.0, 40.0),
        ("aave", day, "NOT_DEPLOYED", None, None, None),
        ("spark", day, "OK", 1.0, 2.0, 1.0),
        ("spark", day, "SOURCE_FAILED", None, None, None),
        ("venus", day, "NOT_DEPLOYED", None, None, None),
    ]
    found = by_protocol(pl.DataFrame(rows, schema=schema, orient="row"))
    assert found.rows() == [("aave", day, 60.0, 0.4), ("spark", day, None, None), ("venus", day, None, None)]


def test_heat_map_has_each_market_and_day_in_the_colour_of_its_status(panel):
    heat = coverage_figure(panel.rows).data[0]
    wanted = {(row["market"], row["date"]): row["status"] for row in panel.rows.iter_rows(named=True)}
    found = {
        (y, x): list(STATUSES)[code]
        for y, line in zip(heat.y, heat.z, strict=True)
        for x, code in zip(heat.x, line, strict=True)
    }
    assert found == wanted
    assert list(COLOURS) == list(STATUSES)


def test_each_protocol_has_a_look_of_its_own(panel):
    found = looks(panel.rows)
    assert found.keys() == set(panel.rows["protocol"])
    assert len({tuple(look.values()) for look in found.values()}) == len(found)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0.0, "$0.00"),
        (999.5, "$999.50"),
        (1_234.0, "$1.23 k"),
        (5.678e9, "$5.68 bn"),
        (-2e6, "$-2 m"),
        (9.9e15, "$9,900 tn"),
    ],
)
def test_amounts_for_people(amount, text):
    assert dollars(amount) == text
