"""In what a table is declared, and the columns that every table carries."""

from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

TIME = pa.timestamp("us", "UTC")
EXACT = pa.decimal128(38, 18)
PARSER_VERSION = 1

# Where a row came from and when it became known; docs/semantics.md defines each.
PROVENANCE = (
    pa.field("known_at", TIME, nullable=False),
    pa.field("recv_ns", pa.int64(), nullable=False),
    pa.field("status", pa.string(), nullable=False),
    pa.field("segment", pa.string(), nullable=False),
    pa.field("line", pa.int32(), nullable=False),
    pa.field("item", pa.int32(), nullable=False),
    pa.field("parser_version", pa.int32(), nullable=False),
    pa.field("mapping_version", pa.string(), nullable=False),
    pa.field("date", pa.date32(), nullable=False),
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
    """

    name: str
    facts: tuple[pa.Field, ...]
    key: tuple[str, ...]
    restatable: bool
    positive: tuple[str, ...] = ()
    partition_by: tuple[str, ...] = ("source", "date")
    sort_by: tuple[str, ...] = ("symbol", "event_time")
    manner: tuple[str, ...] = ()
    ids: tuple[str, str] | None = None

    @cached_property
    def schema(self) -> pa.Schema:
        """All columns, facts first."""
        return pa.schema((*self.facts, *PROVENANCE))

    @cached_property
    def values(self) -> tuple[str, ...]:
        """The fact columns outside the key that say what happened: two versions are equal when these are."""
        return tuple(field.name for field in self.facts if field.name not in (*self.key, *self.manner))

    @property
    def contested(self) -> str:
        """Name of the Delta table that lists the keys with more than one stored version."""
        return f"{self.name}_contested"

    @cached_property
    def required(self) -> tuple[str, ...]:
        """Fact columns that may not be missing."""
        return tuple(field.name for field in self.facts if not field.nullable)


def text(name: str) -> pa.Field:
    """A string column that is never missing."""
    return pa.field(name, pa.string(), nullable=False)


def exact(name: str, *, nullable: bool = False) -> pa.Field:
    """A Decimal(38, 18) column."""
    return pa.field(name, EXACT, nullable=nullable)


def event_time() -> pa.Field:
    """The source's clock, us UTC."""
    return pa.field("event_time", TIME, nullable=False)
