"""The Arrow types of the kinds in which columns are declared."""

from collections.abc import Iterable

import pyarrow as pa

from tidelake.tables.schema import Column, Kind

TIME = pa.timestamp("us", "UTC")
EXACT = pa.decimal128(38, 18)
TYPES: dict[Kind, pa.DataType] = {
    "text": pa.string(),
    "exact": EXACT,
    "time": TIME,
    "date": pa.date32(),
    "int8": pa.int8(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "int64s": pa.list_(pa.int64()),
    "float64": pa.float64(),
    "bool": pa.bool_(),
}


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """The columns as an Arrow schema, in their order."""
    return pa.schema([pa.field(c.name, TYPES[c.kind], nullable=c.nullable) for c in columns])
