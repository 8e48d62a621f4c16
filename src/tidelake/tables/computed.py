"""The columns of rows that come from other rows, not out of a segment."""

import polars as pl

from tidelake.tables.schema import PARSER_VERSION


def computed_columns(made_by: str) -> dict[str, pl.Expr]:
    """Status, provenance and date of such rows; `made_by` says what computed them, such as "tidelake/candles@1"."""
    return {
        "status": pl.lit("active"),
        "segment": pl.lit(""),
        "line": pl.lit(0, pl.Int32),
        "item": pl.lit(0, pl.Int32),
        "parser_version": pl.lit(PARSER_VERSION, pl.Int32),
        "mapping_version": pl.lit(made_by),
        "date": pl.col("event_time").dt.date(),
    }
