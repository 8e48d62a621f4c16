"""SQL over the tables: DuckDB on views that add DOUBLE columns beside the exact ones.

Each table is handed over as a Polars scan, so that DuckDB reads only the columns and files that a query needs, and so
that deletion vectors, which a list of files would ignore, are honoured.
"""

import datetime as dt
import re

import duckdb
import polars as pl

from tidelake.errors import NotInLake, TidelakeError
from tidelake.raw.store import Store
from tidelake.tables import quarantine
from tidelake.tables.candle_building import scan_candles
from tidelake.tables.delta import exists
from tidelake.tables.read import scan
from tidelake.tables.registry import TABLES
from tidelake.tables.schema import EXACT

LISTS = (quarantine.NAME, "ledger")  # tables without versions
TRADES_VIEW = """
    SELECT * REPLACE (price::DOUBLE AS price, size::DOUBLE AS size),
        CASE size_unit WHEN 'base' THEN price::DOUBLE * size::DOUBLE WHEN 'quote' THEN size::DOUBLE END AS notional,
        price AS price_exact, size AS size_exact
    FROM trades_stored WHERE grain = '{grain}'
"""


class QueryError(TidelakeError):
    """A query that DuckDB refused."""


def _views(connection: duckdb.DuckDBPyConnection, store: Store, query: str, as_of: dt.datetime | None) -> list[str]:
    """Registers the tables that the query names; returns all names there are."""
    names: list[str] = []
    for table in TABLES.values():
        views = {"trades": ("trades", "agg_trades")}.get(table.name, (table.name,))
        if not exists(store, table.name):
            continue
        names += views
        if not any(re.search(rf"\b{view}\b", query, re.IGNORECASE) for view in views):
            continue
        rows = scan_candles(store, as_of=as_of) if table.name == "candles" else scan(store, table, as_of=as_of)
        connection.register(f"{table.name}_stored", rows)
        if table.name == "trades":
            connection.execute(f"CREATE VIEW trades AS {TRADES_VIEW.format(grain='trade')}")
            connection.execute(f"CREATE VIEW agg_trades AS {TRADES_VIEW.format(grain='aggregate')}")
            continue
        exact = [field.name for field in table.facts if field.type == EXACT]
        doubles = ", ".join(f"{name}::DOUBLE AS {name}" for name in exact)
        kept = "".join(f", {name} AS {name}_exact" for name in exact)
        replaced = f"* REPLACE ({doubles}){kept}" if exact else "*"
        connection.execute(f"CREATE VIEW {table.name} AS SELECT {replaced} FROM {table.name}_stored")
    for name in LISTS:
        if exists(store, name):
            rows = pl.scan_delta(store.table_uri(name), storage_options=store.storage_options())
        elif name == quarantine.NAME:
            rows = pl.DataFrame(pl.from_arrow(quarantine.SCHEMA.empty_table())).lazy()
        else:
            continue
        names.append(name)
        connection.register(name, rows)
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
        names = _views(connection, store, text, as_of)
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
