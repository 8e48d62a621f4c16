"""SQL over the tables: DuckDB on views that add DOUBLE columns beside the exact ones.

Each table is handed over as a Polars scan, casts and all, so that DuckDB reads only the columns and files that a query
needs, and so that deletion vectors, which a list of files would ignore, are honoured.
"""

import datetime as dt
import re

import duckdb
import polars as pl

from tidelake.errors import NotInLake, TidelakeError
from tidelake.raw.store import Store
from tidelake.tables import quarantine
from tidelake.tables.candle_building import scan_candles
from tidelake.tables.delta import exists, open_table
from tidelake.tables.read import scan
from tidelake.tables.registry import TABLES
from tidelake.tables.schema import EXACT, Table

LISTS = (quarantine.NAME, "ledger")  # tables without versions


class QueryError(TidelakeError):
    """A query that DuckDB refused."""


def _doubled(rows: pl.LazyFrame, table: Table) -> pl.LazyFrame:
    """Exact columns as DOUBLE under their names, and as they are under `<name>_exact`; `notional` beside a trade's."""
    exact = [field.name for field in table.facts if field.type == EXACT]
    kept = rows.with_columns(pl.col(name).alias(f"{name}_exact") for name in exact)
    doubled = kept.with_columns(pl.col(exact).cast(pl.Float64))
    if table.name != "trades":
        return doubled
    by_unit = pl.when(pl.col("size_unit") == "base").then(pl.col("price") * pl.col("size"))
    return doubled.with_columns(notional=by_unit.when(pl.col("size_unit") == "quote").then(pl.col("size")))


def _views(table: Table) -> dict[str, str]:
    """The names under which a table is asked, and the grain that each shows; grains never stand in one view."""
    return {"trades": "trade", "agg_trades": "aggregate"} if table.name == "trades" else {table.name: ""}


def _register(connection: duckdb.DuckDBPyConnection, store: Store, query: str, as_of: dt.datetime | None) -> list[str]:
    """Registers the tables that the query names; returns all names there are."""
    names: list[str] = []
    for table in TABLES.values():
        if not exists(store, table.name):
            continue
        for view, grain in _views(table).items():
            names.append(view)
            if not re.search(rf"\b{view}\b", query, re.IGNORECASE):
                continue
            rows = scan_candles(store, as_of=as_of) if table.name == "candles" else scan(store, table, as_of=as_of)
            rows = rows.filter(pl.col("grain") == grain) if grain else rows
            connection.register(view, _doubled(rows, table))
    for name in LISTS:
        if (found := open_table(store, name)) is not None:
            rows = pl.scan_delta(found)
        elif name == quarantine.NAME:
            rows = pl.DataFrame(pl.from_arrow(quarantine.SCHEMA.empty_table())).lazy()
        else:
            continue
        names.append(name)
        connection.register(name, rows if as_of is None else rows.filter(pl.col("known_at") <= as_of))
    return names


def query(store: Store, text: str, *, as_of: dt.datetime | None = None) -> pl.DataFrame:
    """The answer of a query.

    Raises:
        NotInLake: It names a table that does not exist; `available` lists those that do.
        QueryError: DuckDB refused it for another reason.
    """
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET python_enable_replacements = false")  # names are tables, never variables of ours
        names = _register(connection, store, text, as_of)
        try:
            answer = connection.sql(text)
            if answer is None:
                raise QueryError(
                    f"{text.strip()!r} answers nothing: write a query such as SELECT * FROM trades LIMIT 5"
                )
            return pl.DataFrame(answer.pl())
        except duckdb.CatalogException as exc:
            if not str(exc).startswith("Catalog Error: Table "):
                raise QueryError(f"DuckDB refused the query: {exc}") from exc
            tables = ", ".join(names) or "none yet; run `tidelake derive` first"
            raise NotInLake(f"{_first_line(exc)}. Tables in this lake: {tables}", available=names) from exc
        except duckdb.Error as exc:
            raise QueryError(f"DuckDB refused the query: {exc}") from exc


def _first_line(exc: Exception) -> str:
    return str(exc).partition("\n")[0].removesuffix("!")
