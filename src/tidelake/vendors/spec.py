"""The words in which a vendor of historical data is described; `vendors/<name>.py` holds one `Vendor` each."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from tidelake.errors import NotInLake

Role = Literal["trades", "deltas", "snapshots"]
Form = Literal["parquet", "csv"]
Unit = Literal["ns", "us"]
Kind = Literal["time", "sequence", "side", "flag", "number", "text"]

BID, ASK = "bid", "ask"


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a vendor's file, under our word.

    Attributes:
        name: Our word: event_time, recv_time, sequence, side, price, size, trade_id, is_snapshot, exchange, symbol.
        names: The vendor's own, those of today first; files of other years have others.
        kind: "time" counts `Table.unit` since 1970 (or is a timestamp column), "sequence" is an integer, "side" is
            told by `values`, "flag" is true or false, "number" is a price or size, "text" any text.
        required: Whether a file without it is refused.
        values: What a side's values mean, as text of the value: bid, ask of a level; buy, sell of a taker.
    """

    name: str
    names: tuple[str, ...]
    kind: Kind
    required: bool = True
    values: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Levels:
    """The columns of a snapshot's levels: `depth` of each side, best first; a level that is not there is null or NaN.

    Attributes:
        depth: Levels of each side.
        column: Side (`BID` or `ASK`), level from 0, and "price" or "size" -> the vendor's column.
        of_deltas: Whether the vendor makes them of its own deltas, one after a message, with its receive clock.
    """

    depth: int
    column: Callable[[str, int, str], str]
    of_deltas: bool = False

    def columns(self) -> Iterator[tuple[str, int, str, str]]:
        """Side, level, "price" or "size", and the vendor's column, of all of them."""
        for level in range(self.depth):
            for side in (BID, ASK):
                for what in ("price", "size"):
                    yield side, level, what, self.column(side, level, what)


@dataclass(frozen=True, slots=True)
class VendorTable:
    """One kind of file.

    Attributes:
        name: The vendor's name of it.
        role: What it holds.
        fields: Its columns, but those of `levels`.
        levels: The levels of a snapshot, one snapshot a row; None for the other roles.
        message: Our words of the columns that are equal for all rows of one message of the venue. Only where they
            change the book stands as the venue told it.
        unit: Unit of its clocks where they are integers.
        grain: Of trades: "trade", or "aggregate" where the vendor merges those of one taker order and price.
    """

    name: str
    role: Role
    fields: tuple[Field, ...]
    unit: Unit
    levels: Levels | None = None
    message: tuple[str, ...] = ()
    grain: Literal["trade", "aggregate"] = "trade"

    def field(self, name: str) -> Field | None:
        """The column under our word; None where files of the table have none."""
        return next((field for field in self.fields if field.name == name), None)


@dataclass(frozen=True, slots=True)
class Vendor:
    """One vendor.

    Attributes:
        name: As given to `--vendor`, `--from` and `--to`.
        form: What its files are. CSV files are gzip.
        tables: By name.
        exchanges: The vendor's name of an exchange -> our source ids it may mean; the first that knows the symbol.
        symbol: Source id and the vendor's symbol -> the canonical one; raises ValueError where it knows no rule.
        vendor_symbol: The way back.
        key: Table, exchange, the vendor's symbol, day -> the key of its one file, or, ending in "/", of the folder that
            its files lie in.
        lists: The vendor's exchange and a canonical symbol -> whether it lists such products: some vendors have several
            names for one exchange.
        url: Where its files are, as documented; None where a bucket is given to each customer.
        secret: Environment variable of the key that downloads want, sent as a bearer token; None where they want none
            (buckets take the store's own variables).
    """

    name: str
    form: Form
    tables: Mapping[str, VendorTable]
    exchanges: Mapping[str, tuple[str, ...]]
    symbol: Callable[[str, str], str]
    vendor_symbol: Callable[[str, str], str]
    key: Callable[[str, str, str, dt.date], str]
    lists: Callable[[str, str], bool] = lambda exchange, symbol: True
    url: str | None = None
    secret: str | None = None

    def table(self, name: str) -> VendorTable:
        """The table of that name.

        Raises:
            NotInLake: The vendor has none; `available` lists those that it has.
        """
        try:
            return self.tables[name]
        except KeyError:
            known = tuple(self.tables)
            raise NotInLake(f"{self.name} has no table {name!r}; it has {', '.join(known)}", available=known) from None

    def tables_of(self, role: Role) -> tuple[VendorTable, ...]:
        """Its tables of one role."""
        return tuple(table for table in self.tables.values() if table.role == role)

    def stream(self, exchange: str, symbol: str) -> tuple[str, str]:
        """Our source id and canonical symbol of the vendor's exchange and symbol.

        Raises:
            NotInLake: The exchange is none that we know by a source id, or the symbol is none of it.
        """
        sources = self.exchanges.get(exchange)
        if sources is None:
            known = tuple(self.exchanges)
            raise NotInLake(f"{self.name}: no exchange {exchange!r}; known: {', '.join(known)}", available=known)
        reasons = []
        for source in sources:
            try:
                return source, self.symbol(source, symbol)
            except ValueError as exc:
                reasons.append(str(exc))
        raise NotInLake(f"{self.name}: {symbol!r} is no symbol of {exchange} that we know: {'; '.join(reasons)}")

    def exchange(self, source: str, symbol: str | None = None) -> str:
        """The vendor's name of the exchange that a source id is; with a canonical symbol, of the one that lists it.

        Raises:
            NotInLake: It has no such exchange, or we know none.
        """
        named = [name for name, sources in self.exchanges.items() if source in sources]
        found = next((name for name in named if symbol is None or self.lists(name, symbol)), None)
        if found is not None:
            return found
        known = tuple(source for sources in self.exchanges.values() for source in sources)
        if named:
            raise NotInLake(f"{self.name}: none of {', '.join(named)} lists {symbol!r}", available=tuple(named))
        raise NotInLake(f"{self.name}: no exchange is {source!r}; known: {', '.join(known)}", available=known)
