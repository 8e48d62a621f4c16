"""The panel as files that Python, R, Stata and DuckDB read without conversion.

Amounts are doubles, as regressions want them, and each once more as text with all its digits (`.._exact`); days are
dates; no column holds lists. The same panel gives the same bytes, with the same version of Arrow.
"""

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tidelake.errors import ConfigError
from tidelake.lending.panel.metadata import describe_panel
from tidelake.lending.panel.reading import Panel
from tidelake.raw.store import Store

PARQUET, CSV, METADATA = "panel.parquet", "panel.csv", "metadata.json"


@dataclass(frozen=True, slots=True)
class PanelFile:
    """A file that was written."""

    file: str
    bytes: int
    sha256: str


def write_panel(store: Store, panel: Panel, folder: Path) -> list[PanelFile]:
    """Write `panel.parquet`, `panel.csv` and, last, `metadata.json`; files of these names are replaced.

    Raises:
        ConfigError: The folder cannot be made or written.
    """
    flat = flatten(panel.rows)
    data = {PARQUET: _parquet(flat), CSV: flat.write_csv().encode()}
    told = describe_panel(store, panel, {name: hashlib.sha256(content).hexdigest() for name, content in data.items()})
    data[METADATA] = (json.dumps(told, indent=1, ensure_ascii=False) + "\n").encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [_write(folder / name, content) for name, content in data.items()]
    except OSError as exc:
        raise ConfigError(f"the panel cannot be written to {folder}: {exc}", tried=(str(folder),)) from exc


def flatten(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of a panel as files hold them: exact amounts and moments as text, the rest as it is."""
    exact = [name for name, kind in rows.schema.items() if isinstance(kind, pl.Decimal)]
    text = pl.col(exact).cast(pl.String).str.strip_chars_end("0").str.strip_chars_end(".")
    return rows.with_columns(text, known_at=pl.col("known_at").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"))


def _parquet(flat: pl.DataFrame) -> bytes:
    table = flat.to_arrow()
    plain = {pa.large_string(): pa.string(), pa.string_view(): pa.string()}
    schema = pa.schema([(field.name, plain.get(field.type, field.type)) for field in table.schema])
    out = io.BytesIO()
    pq.write_table(table.cast(schema), out, compression="snappy")
    return out.getvalue()


def _write(path: Path, content: bytes) -> PanelFile:
    """Write a file under another name first, so that none is ever half there."""
    draft = path.with_name(f".{path.name}.part")
    draft.write_bytes(content)
    draft.replace(path)
    return PanelFile(path.name, len(content), hashlib.sha256(content).hexdigest())
