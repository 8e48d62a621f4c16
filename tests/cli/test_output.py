import csv
import dataclasses
import io
import json
import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import msgspec
import polars as pl
import pytest
from hypothesis import given, strategies as st

from tidelake.cli.output import Format, decimal_text, plain, time_text, write_rows


class Named(msgspec.Struct):
    source: str
    count: int


@dataclasses.dataclass
class Measured:
    name: str
    share: float | None


def written(rows, form, columns=()):
    out = io.StringIO()
    write_rows(rows, form, out, columns)
    return out.getvalue()


ROWS = [{"source": "kraken", "price": Decimal("60000.500000000000000000"), "n": 7}, {"source": "okx", "n": 12}]


def test_json_is_a_list_of_objects_with_exact_decimals():
    assert json.loads(written(ROWS, Format.json)) == [
        {"source": "kraken", "price": "60000.5", "n": 7},
        {"source": "okx", "price": None, "n": 12},
    ]


def test_csv_has_a_header_and_an_empty_field_for_what_is_missing():
    assert written(ROWS, Format.csv) == "source,price,n\nkraken,60000.5,7\nokx,,12\n"


def test_table_aligns_numbers_right_and_text_left():
    assert written(ROWS, Format.table).splitlines() == [
        "source    price   n",
        "------  -------  --",
        "kraken  60000.5   7",
        "okx              12",
    ]


def test_chosen_columns_set_names_and_order():
    assert written(ROWS, Format.csv, ("n", "source")).splitlines() == ["n,source", "7,kraken", "12,okx"]


@pytest.mark.parametrize(("form", "text"), [("json", "[]\n"), ("csv", "a,b\n"), ("table", "(no rows)\n")])
def test_no_rows_still_answer_in_the_form(form, text):
    assert written([], Format(form), ("a", "b")) == text


@pytest.mark.parametrize(("kind", "header"), [(Named, "source,count\n"), (Measured, "name,share\n"), ((), "")])
def test_csv_of_no_rows_is_the_header_where_the_columns_are_known(kind, header):
    assert written([], Format.csv, kind) == header
    assert written([], Format.json, kind) == "[]\n"


def test_structs_dataclasses_and_frames_are_rows():
    assert json.loads(written([Named("okx", 3)], Format.json)) == [{"source": "okx", "count": 3}]
    assert json.loads(written([Measured("a", math.nan)], Format.json)) == [{"name": "a", "share": None}]
    frame = pl.DataFrame({"at": [datetime(2024, 5, 1, tzinfo=UTC)], "n": [1]})
    assert json.loads(written(frame, Format.json)) == [{"at": "2024-05-01T00:00:00Z", "n": 1}]


def test_one_object_alone_is_one_object():
    assert json.loads(written(Named("okx", 3), Format.json)) == {"source": "okx", "count": 3}
    assert written(Named("okx", 3), Format.csv) == "source,count\nokx,3\n"
    assert written(Named("okx", 3), Format.table) == "source  okx\ncount   3\n"


def test_plain_says_times_in_utc_and_nested_values():
    east = timezone(timedelta(hours=2))
    value = {"a": (date(2024, 5, 1), b"\x01\xff"), "b": timedelta(seconds=1.5), "c": Path("x/y"), "d": Named("k", 1)}
    assert plain(value) == {"a": ["2024-05-01", "01ff"], "b": 1.5, "c": "x/y", "d": {"source": "k", "count": 1}}
    assert time_text(datetime(2024, 5, 1, 14, tzinfo=east)) == "2024-05-01T12:00:00Z"


def test_something_that_is_no_row_is_refused():
    with pytest.raises(TypeError, match="cannot show a int"):
        written([1], Format.json)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=18, min_value=-(10**19), max_value=10**19))
def test_decimal_text_is_exact_and_short(value):
    text = decimal_text(value)
    assert Decimal(text) == value
    assert "e" not in text.lower()
    assert not (("." in text) and text.endswith(("0", ".")))


@given(st.lists(st.dictionaries(st.sampled_from(["a", "b"]), st.text(), min_size=2), min_size=1))
def test_csv_is_read_back_by_a_csv_reader(rows):
    text = written(rows, Format.csv, ("a", "b"))
    assert list(csv.DictReader(io.StringIO(text, newline=""))) == rows
