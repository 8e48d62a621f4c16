"""The worked example of docs/lending.md: on a panel whose effect is known, the regression finds it."""

import datetime as dt
import math
import random
import re
from pathlib import Path

import polars as pl
import pytest

from tidelake.lending.panel.columns import COLUMNS, SCHEMA, STATUSES
from tidelake.lending.panel.files import PARQUET, flatten

PAGE = Path(__file__).parents[2] / "docs" / "lending.md"
CODE = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
BLOCKS = [block for block in CODE if "panel/panel.parquet" in block]
EFFECT = 3.0
MARKETS, DAYS = 12, 60


def rows():
    """Liquidations of a day follow the utilisation of the day before, and effects of the market and of the day."""
    draw = random.Random(7)
    of_day = [draw.gauss(0, 1) for _ in range(DAYS)]
    for market in range(MARKETS):
        of_market, before = draw.gauss(8, 1), 0.5
        for day in range(DAYS):
            log_liquidations = max(0.0, of_market + of_day[day] + EFFECT * before + draw.gauss(0, 0.05))
            before = draw.uniform(0.2, 0.9)
            failed = draw.random() < 0.05
            told = {"date": dt.date(2024, 1, 1) + dt.timedelta(days=day), "market": f"m{market:02d}"}
            told |= {"status": "SOURCE_FAILED" if failed else "OK", "liquidations_status": "OK"}
            if failed:
                before = math.nan
            else:
                told |= {"utilisation": before, "total_value_usd": math.exp(draw.gauss(18, 1))}
            yield told | {"liquidations_usd": None if math.isnan(log_liquidations) else math.expm1(log_liquidations)}


@pytest.fixture
def here(tmp_path, monkeypatch):
    told = list(rows())
    missing = [pl.lit(None, kind).alias(name) for name, kind in SCHEMA.items() if name not in told[0]]
    frame = pl.DataFrame(told, infer_schema_length=None).with_columns(missing)
    frame = frame.select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
    (tmp_path / "panel").mkdir()
    flatten(frame).write_parquet(tmp_path / "panel" / PARQUET)
    monkeypatch.chdir(tmp_path)


def run(block):
    space = {"__name__": "snippet"}
    exec(compile(block, PAGE.name, "exec"), space)
    return space


@pytest.mark.filterwarnings("ignore")  # of libraries that are not ours
def test_worked_example_finds_the_effect(here):
    pytest.importorskip("linearmodels", reason="linearmodels is not installed")
    (block,) = [block for block in BLOCKS if "PanelOLS" in block]
    fit = run(block)["fit"]
    assert abs(fit.params["utilisation_before"] - EFFECT) < 0.1
    assert abs(fit.params["log_value"]) < 0.1
    assert fit.nobs < MARKETS * (DAYS - 1)


def test_lines_that_read_the_panel_run(here):
    pytest.importorskip("pandas", reason="pandas is not installed")
    (block,) = [block for block in BLOCKS if "PanelOLS" not in block]
    assert run(block)["frame"].height == MARKETS


def test_every_status_is_explained():
    text = PAGE.read_text()
    for status in STATUSES:
        assert f"| `{status}` |" in text


def test_every_column_is_defined_in_semantics_as_metadata_defines_it():
    text = (PAGE.parent / "semantics.md").read_text().split("## The lending panel")[1].split("\n## ")[0]
    for column in COLUMNS:
        if not column.name.endswith("_exact"):
            assert f"| `{column.name}` |" in text
            assert column.meaning in text
