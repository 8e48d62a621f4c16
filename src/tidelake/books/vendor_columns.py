"""Every column that a vendor's file must have, read to its last byte in batches, as plain values under our words."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet

from tidelake.errors import FormatDrift
from tidelake.vendors.spec import Field, Kind, Vendor, VendorTable

BATCH_ROWS = 131_072
BLOCK_BYTES = 8 << 20
SHOWN_COLUMNS = 12

CSV_TYPES: Mapping[Kind, pa.DataType] = {
    "time": pa.int64(),
    "sequence": pa.int64(),
    "side": pa.string(),
    "flag": pa.string(),
    "number": pa.float64(),
    "text": pa.string(),
}
NS_IN = {"ns": 1, "us": 1_000}


class VendorColumns:
    """A file, its schema checked.

    Attributes:
        rows_told: Rows by the footer of a Parquet file; None where nothing tells.
    """

    def __init__(self, path: Path, vendor: Vendor, table: VendorTable) -> None:
        """Open the file.

        Raises:
            FormatDrift: It cannot be opened, a column is missing, or one has a type that cannot hold what it should.
        """
        self._path = path
        self._table = table
        self._parquet = vendor.form == "parquet"
        self.rows_told: int | None = None
        schema = self._open()
        self._fields = _by_column(table, schema)
        if self._parquet:
            _check_types(self._fields, schema)

    def _open(self) -> pa.Schema:
        try:
            if self._parquet:
                with parquet.ParquetFile(self._path) as file:
                    self.rows_told = file.metadata.num_rows
                    return file.schema_arrow
            with self._csv({}) as found:
                return found.schema
        except (pa.ArrowException, OSError) as exc:
            raise FormatDrift(f"cannot be opened: {exc}") from exc

    def _csv(self, types: Mapping[str, pa.DataType]) -> csv.CSVStreamingReader:
        return csv.open_csv(
            pa.input_stream(str(self._path), compression="gzip"),
            read_options=csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
            convert_options=csv.ConvertOptions(
                column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=True
            ),
        )

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows in order: times int64 ns, sequences int64, numbers float64, flags bool, all else text.

        Columns have our words, those of levels `bid_0_price` and so on. All other columns of the file are read too.

        Raises:
            FormatDrift: The file ends early or is damaged, or a value is not what its column holds.
        """
        try:
            for batch in self._read():
                yield self._under_our_words(batch)
        except (pa.ArrowException, OSError, ValueError) as exc:
            raise FormatDrift(f"cannot be read to its end: {exc}") from exc

    def _read(self) -> Iterator[pa.RecordBatch]:
        if self._parquet:
            with parquet.ParquetFile(self._path, page_checksum_verification=True) as file:
                yield from file.iter_batches(BATCH_ROWS, use_threads=False)
            return
        with self._csv({name: CSV_TYPES[field.kind] for name, field in self._fields.items()}) as batches:
            yield from batches

    def _under_our_words(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        names = batch.schema.names
        columns = {f.name: self._plain(f, batch.column(names.index(own))) for own, f in self._fields.items()}
        return pa.RecordBatch.from_pydict(columns)

    def _plain(self, field: Field, values: pa.Array) -> pa.Array:
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        if field.kind == "time":
            if pa.types.is_timestamp(values.type):
                return values.cast(pa.timestamp("ns", values.type.tz)).cast(pa.int64())
            return pc.multiply_checked(values.cast(pa.int64()), NS_IN[self._table.unit])
        if field.kind == "flag":
            return pc.equal(pc.utf8_lower(values.cast(pa.string())), "true")
        return values.cast(CSV_TYPES[field.kind])


def _by_column(table: VendorTable, schema: pa.Schema) -> dict[str, Field]:
    """The file's own name of each column -> what it is.

    Raises:
        FormatDrift: One that every file has is missing.
    """
    found: dict[str, Field] = {}
    for field in _all_fields(table):
        own = next((name for name in field.names if name in schema.names), None)
        if own is not None:
            found[own] = field
        elif field.required:
            shown = ", ".join(schema.names[:SHOWN_COLUMNS]) + (", .." if len(schema.names) > SHOWN_COLUMNS else "")
            raise FormatDrift(f"has no column {' or '.join(field.names)}; its {len(schema.names)} columns are {shown}")
    return found


def _all_fields(table: VendorTable) -> Iterator[Field]:
    yield from table.fields
    if table.levels:
        for side, level, what, own in table.levels.columns():
            yield Field(level_word(side, level, what), (own,), "number")


def level_word(side: str, level: int, what: str) -> str:
    """Our word of a column of a snapshot's level: `bid_0_price`."""
    return f"{side}_{level}_{what}"


def _check_types(fields: Mapping[str, Field], schema: pa.Schema) -> None:
    for own, field in fields.items():
        held = schema.field(own).type
        held = held.value_type if pa.types.is_dictionary(held) else held
        if not pa.types.is_null(held) and not _fits(field.kind, held):  # null: the rows say whether that is good
            raise FormatDrift(f"has {held} in column {own}, which holds a {field.kind}")


def _fits(kind: Kind, held: pa.DataType) -> bool:
    types = pa.types
    text = types.is_string(held) or types.is_large_string(held)
    whole = types.is_integer(held)
    fits: bool = {
        "time": whole or types.is_timestamp(held),
        "sequence": whole,
        "side": text or types.is_boolean(held),
        "flag": text or types.is_boolean(held),
        "number": whole or types.is_floating(held) or types.is_decimal(held),
        "text": text or whole,
    }[kind]
    return fits
