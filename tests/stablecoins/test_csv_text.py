"""Rows of CSV files as text, and what their text says: whatever stands beside them."""

import polars as pl
import pytest

from tidelake.stablecoins.replay.csv_folder import longest_stretch
from tidelake.stablecoins.replay.csv_text import read_text
from tidelake.stablecoins.replay.csv_values import units_of


def read(tmp_path, data):
    path = tmp_path / "price.csv"
    path.write_bytes(data)
    return read_text(path)


def cells(rows):
    return [tuple(row[name] for name in ("timestamp", "coin", "price")) for row in rows.to_dicts()]


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_whole_rows_are_read_alike_however_they_are_written(tmp_path, quoted, end, mark):
    lines = [b"timestamp,coin,price", b"t,USDC,1.0", b"u,,2"]
    if quoted:
        lines = [b",".join(b'"' + cell + b'"' for cell in line.split(b",")) for line in lines]
    for last in (b"", end):
        rows = read(tmp_path, mark + end.join(lines) + last)
        assert rows.columns == ["row", "timestamp", "coin", "price", "torn"]
        assert cells(rows) == [("t", "USDC", "1.0"), ("u", None, "2")]
        assert not rows["torn"].any()
        assert rows["row"].to_list() == [0, 1]


@pytest.mark.parametrize(
    "line",
    [b"t", b"t,USDC", b"t,USDC,1.0,x", b't,"USDC,1.0', b't,USDC,"1.0', b't,USDC,1.0"', b't,US"D"C,1.0', b"t,\xff,1.0"],
)
def test_a_row_that_is_torn_is_told_apart_and_the_others_are_kept(tmp_path, line):
    good = [b"a,USDC,1.0", b'b,"USDT",0.9', b"c,DAI,"]
    for place in range(4):
        lines = [b"timestamp,coin,price", *good[:place], line, *good[place:]]
        rows = read(tmp_path, b"\n".join(lines))
        assert cells(rows.filter(~pl.col("torn"))) == [("a", "USDC", "1.0"), ("b", "USDT", "0.9"), ("c", "DAI", None)]
        assert rows.filter("torn")["row"].to_list() == [place]
        assert cells(rows.filter("torn")) == [(None, None, None)]


def test_blank_lines_are_no_rows(tmp_path):
    assert cells(read(tmp_path, b"timestamp,coin,price\n\na,USDC,1.0\n  \n")) == [("a", "USDC", "1.0")]


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("1", 10**18),
        ("-0.000000000000000001", -1),
        ("99999999999.123456789012345678", 99_999_999_999_123_456_789_012_345_678),
        ("1e3", 10**21),
        ("0.0000000000000000001", None),
        ("1e999999", None),
        ("1e99999999999999999999", None),
        ("nan", None),
        ("-inf", None),
        ("many", None),
        ("", None),
    ],
)
def test_amounts_are_exact_or_none(text, units):
    assert units_of(text) == units


def test_days_that_stand_alone_are_not_of_the_stretch():
    days = [0, 19_000, 19_001, 19_032, 19_063, 19_095, 80_000, 80_001]
    assert longest_stretch((day, 5) for day in days) == range(19_000, 19_064)
    assert longest_stretch([(7, 1), (7, 1), (100, 1)]) == range(7, 8)
