"""SQL over the tables: DuckDB on views that add DOUBLE columns beside the exact ones.

Where the files of a table hold its rows and nothing else, which the table's protocol says, DuckDB reads them itself, by
the list in the table's log: in pieces, so that memory stays flat, and a count reads no column. A list of files would
ignore deletion vectors, so any other table is handed over as a Polars scan, and so are tables that are not on this
machine, which DuckDB would need an extension for, and those whose versions are decided row by row.
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping

import duckdb
import polars as pl

from tidelake.errors import NotInLake, TidelakeError
from tidelake.raw.store import Store
from tidelake.tables.delta import exists, open_table
from tidelake.tables.files import Within, files_within, is_plain, only, paths_of
from tidelake.tables.read import contested, scan
from tidelake.tables.registry import TABLES
from tidelake.tables.schema import Scaled, Table

LISTS = ("quarantine", "ledger")  # tables without versions
GLOB = "*"  # of the signs that an address may hold, the one that DuckDB takes for a pattern


Made = Mapping[str, Callable[[], pl.DataFrame]]


class QueryError(TidelakeError):
    """A query that DuckDB refused."""


def _exact(table: Table) -> list[str]:
    return [column.name for column in table.facts if column.kind == "exact"]


def _scaled(number: Scaled) -> pl.Expr:
    """A power of ten that is whole is exact, so one operation rounds."""
    mantissa, exponent = pl.col(number.mantissa).cast(pl.Float64), pl.col(number.exponent).cast(pl.Float64)
    power = pl.lit(10.0).pow(exponent.abs())
    return pl.when(exponent < 0).then(mantissa / power).otherwise(mantissa * power).alias(number.name)


def _doubled(rows: pl.LazyFrame, table: Table) -> pl.LazyFrame:
    """Exact columns as DOUBLE under their names, and as they are under `<name>_exact`; those of mantissa and exponent.

    `notional` beside a trade's.
    """
    kept = rows.with_columns(pl.col(name).alias(f"{name}_exact") for name in _exact(table))
    doubled = kept.with_columns(pl.col(_exact(table)).cast(pl.Float64)).with_columns(map(_scaled, table.scaled))
    if table.name != "trades":
        return doubled
    by_unit = pl.when(pl.col("size_unit") == "base").then(pl.col("price") * pl.col("size"))
    return doubled.with_columns(notional=by_unit.when(pl.col("size_unit") == "quote").then(pl.col("size")))


def _columns(table: Table) -> str:
    """The select list that says the same as `_doubled`."""
    exact = _exact(table)
    listed = [f'"{name}"::DOUBLE AS "{name}"' if name in exact else f'"{name}"' for name in table.columns]
    listed += ["revision", *(f'"{name}" AS "{name}_exact"' for name in exact)]
    for number in table.scaled:
        mantissa, exponent = f'"{number.mantissa}"::DOUBLE', f'"{number.exponent}"::DOUBLE'
        smaller, larger = f"{mantissa} / pow(10, -{exponent})", f"{mantissa} * pow(10, {exponent})"
        value = f"CASE WHEN {exponent} < 0 THEN {smaller} ELSE {larger} END"
        listed.append(f'{value} AS "{number.name}"')
    if table.name == "trades":
        base, quote = "price::DOUBLE * size::DOUBLE", "size::DOUBLE"
        listed.append(f"CASE size_unit WHEN 'base' THEN {base} WHEN 'quote' THEN {quote} END AS notional")
    return ", ".join(listed)


def _views(table: Table) -> dict[str, str | None]:
    """The names under which a table is asked, and the grain that each shows; grains never stand in one view."""
    return {"trades": "trade", "agg_trades": "aggregate"} if table.name == "trades" else {table.name: None}


def _view_of_files(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    table: Table,
    view: str,
    grain: str | None,
    as_of: dt.datetime | None,
) -> bool:
    """Makes a view over the table's files, the same as the Polars scan; False where that would not be right."""
    if table.restatable or not store.is_local or GLOB in store.url:
        return False
    found = open_table(store, table.name)
    if found is None or not is_plain(found):
        return False
    files = files_within(found, Within(grain=grain))
    if files.is_empty():
        return False
    several = contested(store, table, found, as_of=as_of)
    paths = ", ".join("'" + path.replace("'", "''") + "'" for path in paths_of(store, table.name, files))
    types = ", ".join(f"'{name}': {'DATE' if name == 'date' else 'VARCHAR'}" for name in table.partition_by)
    folders = f"hive_partitioning = true, hive_types = {{{types}}}"
    alone = f"SELECT *, 1::INTEGER AS revision FROM read_parquet([{paths}], {folders})"
    if as_of is not None:
        alone += f" WHERE known_at <= TIMESTAMPTZ '{as_of.astimezone(dt.UTC).isoformat()}'"
    rows = alone
    if several is not None:
        connection.register(f"{view}_keys", several.keys)
        connection.register(f"{view}_standing", several.rows)
        rows = f"SELECT * FROM ({alone}) ANTI JOIN {view}_keys USING ({', '.join(table.key)})"
        rows = f"({rows}) UNION ALL BY NAME (SELECT * FROM {view}_standing)"
    shown = f"SELECT {_columns(table)} FROM ({rows})"
    if grain is not None and not (several is None and only(files, "grain", grain)):
        shown += f" WHERE grain = '{grain}'"
    connection.execute(f"CREATE VIEW {view} AS {shown}")
    return True


def _register_table(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    table: Table,
    named: Callable[[str], bool],
    as_of: dt.datetime | None,
) -> None:
    for view, grain in _views(table).items():
        if not named(view) or _view_of_files(connection, store, table, view, grain, as_of):
            continue
        if table.name == "candles":
            from tidelake.tables.candle_building import scan_candles

            rows = scan_candles(store, as_of=as_of)
        else:
            rows = scan(store, table, as_of=as_of)
        connection.register(view, _doubled(rows if grain is None else rows.filter(pl.col("grain") == grain), table))


def _register_list(connection: duckdb.DuckDBPyConnection, store: Store, name: str, as_of: dt.datetime | None) -> None:
    found = open_table(store, name)
    if found is None:
        from tidelake.tables.quarantine import SCHEMA

        rows = pl.DataFrame(pl.from_arrow(SCHEMA.empty_table())).lazy()
    else:
        rows = pl.scan_delta(found)
    connection.register(name, rows if as_of is None else rows.filter(pl.col("known_at") <= as_of))


def _register(
    connection: duckdb.DuckDBPyConnection, store: Store, query: str, as_of: dt.datetime | None, made: Made
) -> list[str]:
    """Registers the tables that the query names; returns all names there are."""

    def named(name: str) -> bool:
        return re.search(rf"\b{name}\b", query, re.IGNORECASE) is not None

    names: list[str] = []
    for table in TABLES.values():
        if exists(store, table.name):
            names += _views(table)
            if any(map(named, _views(table))):
                _register_table(connection, store, table, named, as_of)
    for name in LISTS:
        if name == "quarantine" or exists(store, name):
            names.append(name)
            if named(name):
                _register_list(connection, store, name, as_of)
    for name, make in made.items():
        names.append(name)
        if named(name):
            connection.register(name, make())
    return names


def query(store: Store, text: str, *, as_of: dt.datetime | None = None, made: Made | None = None) -> pl.DataFrame:
    """The answer of a query.

    Args:
        made: Further tables by name, each made where the query names it.

    Raises:
        NotInLake: It names a table that does not exist; `available` lists those that do.
        QueryError: DuckDB refused it for another reason.
    """
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET python_enable_replacements = false")  # names are tables, never variables of ours
        names = _register(connection, store, text, as_of, made or {})
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
