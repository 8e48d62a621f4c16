"""Rows of a CSV file as text. One that is torn, too long or has a stray quote is told apart and harms no other."""

import csv
import io
from pathlib import Path

import polars as pl


def read_text(path: Path) -> pl.DataFrame:
    """All rows under the names of the first line, in order, each value text and None where it is empty.

    A row is a line: quotes hold no line breaks. Blank lines are passed over.

    Returns:
        The columns of the file, `row` (its number, from 0) and `torn`: it has more or fewer fields than the first line,
        or its quotes do not fit; its other columns are None. Nothing of an empty file.
    """
    data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    if not data.strip():
        return pl.DataFrame()
    names = _fields(data.partition(b"\n")[0]) or []
    lines = data.count(b"\n") + (not data.endswith(b"\n"))
    if b'"' not in data and data.count(b",") == lines * (len(names) - 1):
        try:  # no row is longer, or polars says so; then none is shorter
            rows = pl.read_csv(io.BytesIO(data), infer_schema=False, row_index_name="row", quote_char=None)
        except pl.exceptions.ComputeError:
            pass
        else:
            return rows.with_columns(torn=pl.lit(False))
    return _line_by_line(data, names)


def _line_by_line(data: bytes, names: list[str]) -> pl.DataFrame:
    """The same, slowly, of a file with quotes or torn rows."""
    found = [_fields(line) for line in data.split(b"\n")[1:] if line.strip()]
    torn = [fields is None or len(fields) != len(names) for fields in found]
    whole = [
        [None] * len(names) if is_torn else [value or None for value in fields or ()]
        for fields, is_torn in zip(found, torn, strict=True)
    ]
    rows = pl.DataFrame(whole, schema=dict.fromkeys(names, pl.String()), orient="row")
    return rows.with_row_index("row").with_columns(torn=pl.Series(torn, dtype=pl.Boolean))


def _fields(line: bytes) -> list[str] | None:
    """The fields of a line; None where they cannot be told apart, or one holds a quote."""
    try:
        text = line.decode().rstrip("\r")
        if '"' not in text:
            return text.split(",")
        found = next(csv.reader([text], strict=True))
    except (UnicodeDecodeError, csv.Error):
        return None
    return None if any('"' in field for field in found) else found
