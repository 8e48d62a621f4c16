"""The quick sort of rows against that of polars."""

import datetime as dt

import polars as pl
import pyarrow as pa
from hypothesis import given, strategies as st
from polars.testing import assert_frame_equal

from tidelake.tables.row_order import sort_rows

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "source": pl.String,
    "date": pl.Date,
    "symbol": pl.String,
    "us": pl.Int64,
    "price": pl.Decimal(38, 18),
}
ROWS = st.tuples(
    st.sampled_from(["a", "b"]),
    st.sampled_from([dt.date(2024, 1, 1), dt.date(1969, 1, 1)]),
    st.sampled_from(["", "BTC", "btc", "é", "\U00010000", "a name longer than twelve bytes"]),
    st.integers(-2, 2),
    st.none() | st.sampled_from([1, 2]),
)


@given(st.lists(ROWS, max_size=30), st.lists(st.sampled_from(list(SCHEMA)[:4]), unique=True))
def test_rows_are_sorted_as_polars_sorts_them(rows, by):
    frame = pl.DataFrame(rows, SCHEMA, orient="row").with_row_index("nth")
    frame = frame.with_columns(event_time=pl.col("us").cast(pl.Datetime("us", "UTC")))
    keys = ["event_time" if name == "us" else name for name in by]
    expected = frame.sort(keys, maintain_order=True) if keys else frame
    rows = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    for name in ("source", "symbol"):
        rows = rows.set_column(rows.schema.get_field_index(name), name, rows[name].cast(pa.string()))
    half = len(rows) // 2
    found = sort_rows(pa.concat_tables([rows[:half], rows[half:]]), keys)
    assert_frame_equal(pl.DataFrame(pl.from_arrow(found)), expected)
