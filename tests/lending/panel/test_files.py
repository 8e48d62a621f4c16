"""The files of a panel: read without conversion by what econometricians use, and the same bytes each time."""

import datetime as dt
from decimal import Decimal

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from tests.lending.panel.silver import DAY, IDS, START, markets, seeded
from tidelake.errors import ConfigError
from tidelake.lending.panel.assembling import assemble_panel, unbalanced
from tidelake.lending.panel.columns import AMOUNTS, COLUMNS, file_type
from tidelake.lending.panel.files import flatten, write_panel
from tidelake.lending.panel.reading import Asked, Panel
from tidelake.raw.store import Store

DAYS = tuple(START + n * DAY for n in range(4))
ARROW = {"double": pa.float64(), "integer": pa.int64(), "date": pa.date32(), "text": pa.string()}


@pytest.fixture(scope="module")
def panel():
    """A panel with every kind of value; its facts lack what only tables carry."""
    rows = seeded(11)
    for row in (*rows.positions, *rows.liquidations):
        row["mapping_version"] = "seeded@1"
    facts = rows.facts()
    balanced = assemble_panel(facts, markets(), IDS, DAYS)
    held = tuple(markets()[id] for id in sorted(IDS))
    return Panel(Asked(), balanced, balanced, held, DAYS, facts)


@pytest.fixture(scope="module")
def folder(panel, tmp_path_factory):
    path = tmp_path_factory.mktemp("panel")
    write_panel(Store.open("memory:///panel"), panel, path)
    return path


def test_parquet_holds_plain_columns_of_the_types_that_metadata_names(folder):
    schema = pq.read_schema(folder / "panel.parquet")
    assert schema.names == [column.name for column in COLUMNS]
    assert schema.types == [ARROW[file_type(column.type)] for column in COLUMNS]


def test_polars_arrow_and_duckdb_read_the_same_rows(folder, panel):
    path = folder / "panel.parquet"
    wanted = flatten(panel.rows)
    assert wanted.height == len(IDS) * len(DAYS)
    assert pl.read_parquet(path).equals(wanted)
    assert pl.DataFrame(pl.from_arrow(pq.read_table(path))).equals(wanted)
    relation = duckdb.sql(f"select * from '{path}'")
    assert relation is not None
    assert relation.pl().equals(wanted)


def test_exact_text_is_the_exact_amount(folder, panel):
    found = pl.read_parquet(folder / "panel.parquet")
    for column in AMOUNTS:
        texts = found[f"{column.name}_exact"].to_list()
        assert [None if text is None else Decimal(text) for text in texts] == panel.rows[
            f"{column.name}_exact"
        ].to_list()
        assert not any(text and ("E" in text or text.endswith(".")) for text in texts)
    assert found["supplied_usd_exact"].str.contains(".", literal=True).any()


def test_csv_gives_dates_and_doubles_back_to_the_last_bit(folder, panel):
    found = pl.read_csv(folder / "panel.csv", try_parse_dates=True, infer_schema_length=None)
    assert found["date"].to_list() == panel.rows["date"].to_list()
    for column in AMOUNTS:
        told = found[column.name].cast(pl.Float64)
        assert told.equals(panel.rows[column.name], null_equal=True), column.name
    table = pyarrow.csv.read_csv(folder / "panel.csv")
    assert table.schema.field("date").type == pa.date32()
    assert duckdb.connect().execute(f"select count(*), min(date) from '{folder / 'panel.csv'}'").fetchall() == [
        (20, START)
    ]


def test_pandas_reads_doubles_and_dates(folder, panel):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    found = pandas.read_parquet(folder / "panel.parquet")
    assert found["supplied_usd"].dtype == "float64"
    assert list(found["date"]) == panel.rows["date"].to_list()
    assert found.set_index(["market", "date"]).index.is_unique


def test_same_panel_gives_the_same_bytes(panel, tmp_path):
    store = Store.open("memory:///panel")
    first, again = (write_panel(store, panel, tmp_path / name) for name in ("one", "two"))
    assert first == again
    assert {one.file for one in first} == {"panel.parquet", "panel.csv", "metadata.json"}
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == sorted(one.file for one in first)


def test_other_form_is_another_file_under_the_same_names(panel, tmp_path):
    observed = unbalanced(panel.rows)
    other = Panel(Asked(balanced=False), observed, panel.balanced, panel.markets, panel.days, panel.facts)
    write_panel(Store.open("memory:///panel"), panel, tmp_path)
    write_panel(Store.open("memory:///panel"), other, tmp_path)
    assert pl.read_parquet(tmp_path / "panel.parquet").equals(flatten(observed))


def test_folder_that_cannot_be_made_is_said(panel, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_panel(Store.open("memory:///panel"), panel, tmp_path / "file" / "folder")


def test_days_are_those_that_were_asked(panel):
    assert panel.rows["date"].unique().sort().to_list() == [dt.date(2024, 1, day) for day in range(1, 5)]
