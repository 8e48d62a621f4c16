"""One value at a time, exactly: no digit is lost, nothing out of range or of another type is read."""

import datetime as dt
from decimal import Decimal

import pytest

from tidelake.tables import values
from tidelake.tables.rows import matches, parse_payload, value_at

EDGE = "99999999999999999999.999999999999999999"


@pytest.mark.parametrize(
    ("given", "digits"),
    [
        ("58312.10", "58312.100000000000000000"),
        (5, "5.000000000000000000"),
        (Decimal("0.000000000000000001"), "0.000000000000000001"),
        ("1.0000000000000000000000", "1.000000000000000000"),
        ("0E-30", "0.000000000000000000"),
        ("1e19", "10000000000000000000.000000000000000000"),
        ("1E-18", "0.000000000000000001"),
        ("1.5e3", "1500.000000000000000000"),
        ("+1", "1.000000000000000000"),
        (".5", "0.500000000000000000"),
        ("1.", "1.000000000000000000"),
        ("-0", "-0.000000000000000000"),
        (EDGE, EDGE),
        (Decimal("12345678901234567.123456789012345678"), "12345678901234567.123456789012345678"),
    ],
)
def test_decimals_keep_every_digit(given, digits):
    found = values.to_decimal(given)
    assert format(found, "f") == digits
    assert found.as_tuple().exponent == -18


@pytest.mark.parametrize(
    "given",
    [
        *("", " ", "x", "NaN", "nan", "Infinity", "-inf", "1e", "1e99999", "0x10", "1_000", "1,5", " 1", "1 ", "1\n"),
        *("1e30", Decimal("1e30"), "100000000000000000000", "1" * 39, "0.0000000000000000001", "1e-19"),
        *(True, None, [], {}, 1.5, Decimal("NaN"), Decimal("Infinity"), "٣", "１"),
    ],
)
def test_decimals_refuse_what_is_no_number_or_does_not_fit(given):
    with pytest.raises(ValueError):
        values.to_decimal(given)


@pytest.mark.parametrize(
    ("given", "number"),
    [
        (2**63 - 1, 2**63 - 1),
        (-(2**63) + 1, -(2**63) + 1),
        ("9223372036854775807", 2**63 - 1),
        ("007", 7),
        (Decimal("5.0"), 5),
        ("1e3", 1000),
        ("-0", 0),
    ],
)
def test_integers(given, number):
    assert values.to_integer(given) == number


@pytest.mark.parametrize("given", [2**63, "9223372036854775808", "1.5", Decimal("1e-1"), "1e400", "", True, None, "x"])
def test_integers_refuse_fractions_and_what_64_bits_do_not_hold(given):
    with pytest.raises(ValueError):
        values.to_integer(given)


@pytest.mark.parametrize(
    ("given", "unit", "us"),
    [
        (1618677817, "s", 1618677817_000000),
        ("1618677817.0797629", "s", 1618677817_079762),
        (Decimal("1618677817.0797621239"), "s", 1618677817_079762),
        (1618677817079, "ms", 1618677817_079000),
        ("1618677817079.7629", "ms", 1618677817_079762),
        (1618677817079762, "us", 1618677817_079762),
        ("1618677817079762.9", "us", 1618677817_079762),
        (1618677817079762999, "ns", 1618677817_079762),
        ("1618677817079762999", "ns", 1618677817_079762),
        ("1.618677817e9", "s", 1618677817_000000),
        ("1618677817.9999999999999999999999999999999999", "s", 1618677817_999999),
        ("253402300799.999999", "s", 253_402_300_799_999_999),
        (0, "ms", 0),
    ],
)
def test_counts_of_a_unit_become_microseconds_and_are_cut(given, unit, us):
    assert values.to_event_us(given, unit) == us


@pytest.mark.parametrize(
    ("given", "unit"), [("1e30", "s"), (10**20, "ms"), ("253402300800", "s"), ("", "s"), (None, "ms"), (True, "us")]
)
def test_counts_refuse_what_is_no_time(given, unit):
    with pytest.raises(ValueError):
        values.to_event_us(given, unit)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2021-04-17T16:43:37Z", "2021-04-17T16:43:37"),
        ("2021-04-17 16:43:37.5Z", "2021-04-17T16:43:37.500000"),
        ("2021-04-17T16:43:37.123456789Z", "2021-04-17T16:43:37.123456"),
        ("2021-04-17T16:43:37.000001+00:00", "2021-04-17T16:43:37.000001"),
        ("2021-04-17T00:13:37+02:00", "2021-04-16T22:13:37"),
        ("2021-04-17T23:43:37-0530", "2021-04-18T05:13:37"),
        ("2024-02-29T23:59:59.999999Z", "2024-02-29T23:59:59.999999"),
        ("1969-12-31T23:59:59.9999999Z", "1969-12-31T23:59:59.999999"),
    ],
)
def test_iso_times_become_utc(text, utc):
    expected = dt.datetime.fromisoformat(utc).replace(tzinfo=dt.UTC) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    assert values.iso8601_us(text) == expected // dt.timedelta(microseconds=1)


@pytest.mark.parametrize(
    "text",
    [
        *("2021-04-17T16:43:37", "2021-04-17", "2021-04-17T16:43Z", "2021-02-30T00:00:00Z", "2021-04-17T24:00:00Z"),
        *("2021-04-17T16:43:60Z", "2021-04-17T16:43:37.1234567891Z", "2021-04-17T16:43:37.Z", "2021-04-17T16:43:37z"),
        *("2021-04-17T16:43:37Z\n", "2021-04-17T16:43:37,5Z", "20210417T164337Z", "0000-01-01T00:00:00Z", "", None),
        *(1618677817, "2021-04-17T16:43:37+02", "2021-04-17T16:43:37+25:00", "2021-04-17T16:43:37+00:99"),
        "２０２１-04-17T16:43:37Z",
    ],
)
def test_iso_times_refuse_what_has_no_zone_or_is_no_time(text):
    with pytest.raises(ValueError):
        values.iso8601_us(text)


def test_event_times_lie_between_the_first_block_and_a_day_after_receipt():
    recv_ns = 1_618_677_817_079_762_123
    latest = recv_ns // 1_000 + values.DAY_US
    assert values.check_event_us(values.FIRST_TIME_US, recv_ns) == values.FIRST_TIME_US
    assert values.check_event_us(latest, recv_ns) == latest
    for us in (values.FIRST_TIME_US - 1, latest + 1, 0, -1):
        with pytest.raises(ValueError, match="2009-01-03"):
            values.check_event_us(us, recv_ns)
    assert dt.datetime.fromtimestamp(values.FIRST_TIME_US / 1e6, dt.UTC) == dt.datetime(2009, 1, 3, tzinfo=dt.UTC)


@pytest.mark.parametrize("payload", [b"NaN", b"[Infinity]", b'{"p":-Infinity}', b"{", b"", b"\xff", b'{"a":1}x'])
def test_payloads_that_are_not_json_are_refused(payload):
    with pytest.raises(ValueError):
        parse_payload(payload)


def test_payloads_keep_digits_and_know_doubled_keys():
    node = parse_payload(b'{"p":0.10,"big":123456789012345678901234567890,"a":1,"a":2,"in":[{"x":1e400}]}')
    assert value_at(node, "p") == Decimal("0.10")
    assert str(value_at(node, "p")) == "0.10"
    assert value_at(node, "big") == 123456789012345678901234567890
    assert value_at(node, "in.0.x") == Decimal("1e400")
    assert value_at(node, "in.5.x") is None
    assert value_at(node, "p.q") is None
    with pytest.raises(ValueError, match="twice"):
        value_at(node, "a")


def test_payloads_nested_too_deep_are_refused():
    with pytest.raises(ValueError, match="deep"):
        parse_payload(b"[" * 200_000)


@pytest.mark.parametrize("text", ["", None, 1, True, ["x"]])
def test_texts_are_strings_with_something_in_them(text):
    with pytest.raises(ValueError):
        values.to_text(text)


HUGE = ["1e9999999", "-1e9999999", "1e-9999999", "1e999999999999", "1" * 5_000, f"0.{'1' * 5_000}"]


@pytest.mark.parametrize("spelled", [*HUGE, "1e99999999999999999999999", "-1e-99999999999999999999999"])
def test_numbers_without_bounds_are_json_and_fit_no_column(spelled):
    node = value_at(parse_payload(f'{{"a":{spelled},"b":1.5}}'.encode()), "a")
    assert value_at(parse_payload(f'{{"a":{spelled},"b":1.5}}'.encode()), "b") == Decimal("1.5")
    for read in (values.to_decimal, values.to_integer):
        with pytest.raises(ValueError):
            read(node)
    for unit in values.US_EXPONENT:
        try:
            assert values.to_event_us(node, unit) < 10**6
        except ValueError:
            continue
        assert spelled.startswith(("0.", "1e-", "-1e-"))


@pytest.mark.parametrize("spelled", ["0e999999999", "0E9999", "-0e999999999999", "0e-999999999", "0.000"])
def test_zero_is_zero_whatever_its_exponent(spelled):
    zero = Decimal(spelled)
    assert values.to_decimal(zero).as_tuple()[1:] == ((0,), -18)
    assert values.to_integer(zero) == 0
    assert values.to_event_us(zero, "s") == 0


def test_half_a_surrogate_pair_is_no_text():
    assert values.to_text("\U0001f600") == "\U0001f600"
    with pytest.raises(ValueError, match="not a text"):
        values.to_text("\ud800")


WHERE: dict[str, list[str | int | bool]] = {"type": ["match", "last_match"], "data.n": [1]}


@pytest.mark.parametrize(
    ("payload", "fits"),
    [
        ('{"type":"match","data":{"n":1}}', True),
        ('{"type":"m\\u0061tch","data":{"n":1}}', True),
        ('{"type":"match","type":"match","data":{"n":1}}', "type"),
        ('{"type":"other","type":"match","data":{"n":1}}', "type"),
        ('{"type":"match","data":{"n":2,"n":1}}', "n"),
        ('{"type":"match","data":{"n":1},"data":{"n":2}}', "data"),
        ('{"type":"other","type":"more","data":{"n":1}}', False),
        ('{"type":"match","type":"match","data":{"n":2}}', False),
        ('{"type":"match","data":{"n":true}}', False),
        ('{"type":["match"],"data":{"n":1}}', False),
    ],
)
def test_payload_fits_by_its_values_and_a_doubled_key_is_told(payload, fits):
    parsed = parse_payload(payload.encode())
    if isinstance(fits, bool):
        assert matches(parsed, WHERE) is fits
        return
    with pytest.raises(ValueError, match=f"key '{fits}' stands twice"):
        matches(parsed, WHERE)
