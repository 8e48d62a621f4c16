"""In what a table is declared, and the columns that every table carries."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from tidelake.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

PARSER_VERSION = 1
Kind = Literal["text", "exact", "time", "date", "int8", "int32", "int64", "int64s", "float64", "bool"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column as declared; pyarrow, a quarter of the time of a first read, is imported where its types are asked for.

    Attributes:
        kind: `tables.arrow_types` says which Arrow type it is.
    """

    name: str
    kind: Kind
    nullable: bool = False

    @property
    def type(self) -> "pa.DataType":
        """Its Arrow type."""
        from tidelake.tables.arrow_types import TYPES

        return TYPES[self.kind]


@dataclass(frozen=True, slots=True)
class Scaled:
    """A number that stands in two columns, mantissa * 10**exponent; SQL views give it as DOUBLE under `name`."""

    name: str
    mantissa: str
    exponent: str


# Where a row came from and when it became known; docs/semantics.md defines each.
PROVENANCE = (
    Column("known_at", "time"),
    Column("recv_ns", "int64"),
    Column("status", "text"),
    Column("segment", "text"),
    Column("line", "int32"),
    Column("item", "int32"),
    Column("parser_version", "int32"),
    Column("mapping_version", "text"),
    Column("date", "date"),
)

# The versions of a key stand in this order, whatever the order in which they arrived.
VERSION_ORDER = ("recv_ns", "segment", "line", "item")


@dataclass(frozen=True)
class Table:
    """A canonical table.

    Attributes:
        name: Its name, and its folder under `tables/`.
        facts: The columns that say what happened; provenance follows them.
        key: The natural key.
        restatable: True where a later different version of a key replaces the earlier one (a restated price, a
            product's status); False where the earliest stands and later different ones are conflicts (a trade).
        positive: Columns whose value must be above zero.
        partition_by: Folder columns; `date` is the UTC day of event_time.
        sort_by: Order of rows within a file.
        manner: Facts that say how a thing was told, not what: versions that differ in them alone are equal.
        ids: The id column of the key and the number that it is made of where the venue numbers (`tables.lookup`).
        counters: Columns with few bits from row to row, besides those of most tables (`tables.delta`).
        scattered: Columns whose values seldom come again.
        scaled: Numbers that stand as mantissa and exponent.
        filled_by: The command that fills it where derive does not; "" where derive does.
        told_with: Columns of the key whose rows are told together, of a restatable table: what the last telling of
            them leaves out stands no longer. Empty where each key is told for itself.
        retractable: Whether a later version may retract a row (`status`); such a table is restatable.
    """

    name: str
    facts: tuple[Column, ...]
    key: tuple[str, ...]
    restatable: bool
    positive: tuple[str, ...] = ()
    partition_by: tuple[str, ...] = ("source", "date")
    sort_by: tuple[str, ...] = ("symbol", "event_time")
    manner: tuple[str, ...] = ()
    ids: tuple[str, str] | None = None
    counters: tuple[str, ...] = ()
    scattered: tuple[str, ...] = ()
    scaled: tuple[Scaled, ...] = ()
    filled_by: str = ""
    told_with: tuple[str, ...] = ()
    retractable: bool = False

    def check_derived(self) -> None:
        """Refuse a table that derive does not fill.

        Raises:
            ConfigError: It is one.
        """
        if self.filled_by:
            raise ConfigError(
                f"derive does not fill `{self.name}`: `tidelake {self.filled_by}` does. Nothing was changed."
            )

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns, facts first."""
        return tuple(column.name for column in (*self.facts, *PROVENANCE))

    @cached_property
    def schema(self) -> "pa.Schema":
        """All columns, facts first."""
        from tidelake.tables.arrow_types import arrow_schema

        return arrow_schema((*self.facts, *PROVENANCE))

    @cached_property
    def no_rows(self) -> "pa.Table":
        """A table of the schema without rows; to make one takes a tenth of a millisecond."""
        return self.schema.empty_table()

    @cached_property
    def values(self) -> tuple[str, ...]:
        """The fact columns outside the key that say what happened: two versions are equal when these are."""
        return tuple(field.name for field in self.facts if field.name not in (*self.key, *self.manner))

    @property
    def compared(self) -> tuple[str, ...]:
        """Columns by which two versions of a key are told apart."""
        return (*self.values, "status") if self.retractable else self.values

    @property
    def contested(self) -> str:
        """Name of the Delta table that lists the keys with more than one stored version."""
        return f"{self.name}_contested"

    @cached_property
    def contested_schema(self) -> "pa.Schema":
        """Columns of that table: the key."""
        from tidelake.tables.arrow_types import arrow_schema

        columns = {column.name: column for column in (*self.facts, *PROVENANCE)}
        return arrow_schema(tuple(columns[name] for name in self.key))

    @cached_property
    def required(self) -> tuple[str, ...]:
        """Fact columns that may not be missing."""
        return tuple(field.name for field in self.facts if not field.nullable)


def price_and_size() -> tuple[Scaled, Scaled]:
    """Those of a table whose rows are levels."""
    return Scaled("price", "price_mantissa", "price_exponent"), Scaled("size", "size_mantissa", "size_exponent")


def text(name: str) -> Column:
    """A string column that is never missing."""
    return Column(name, "text")


def exact(name: str, *, nullable: bool = False) -> Column:
    """A Decimal(38, 18) column."""
    return Column(name, "exact", nullable)


def event_time() -> Column:
    """The source's clock, us UTC."""
    return Column("event_time", "time")
