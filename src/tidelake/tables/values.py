"""How one value of a payload is read: the slow, exact rule that the columnar decoder must agree with.

Numbers arrive as int, Decimal or text, never as float, so that no digit is lost. Every function returns the value in
the column's own terms, or raises ValueError with what it found.
"""

import datetime as dt
import re
from decimal import ROUND_DOWN, Context, Decimal

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?\Z")
ISO8601 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(Z|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])\Z"
)
FIRST_TIME_US = 1_230_940_800_000_000  # 2009-01-03, the first Bitcoin block: no market is older
LAST_TIME_US = 253_402_300_799_999_999  # the end of the year 9999: what readers of tables can show
DAY_US = 86_400_000_000
MOST_DIGITS = 20  # before the point
INT64_MAX = 2**63 - 1
US_EXPONENT = {"s": 6, "ms": 3, "us": 0, "ns": -3}
CUT = Context(prec=60, rounding=ROUND_DOWN)  # the usual 28 digits would round a long fraction up


def to_number(value: object) -> Decimal:
    """The exact, finite number that a JSON number or its text spells; a zero comes without an exponent."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise ValueError(f"{value!r} is not a number")
    if isinstance(value, str) and not NUMBER.match(value):
        raise ValueError(f"{value!r} is not a number")
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError(f"{value!r} is not a number")
    return number or Decimal(0).copy_sign(number)


def to_decimal(value: object) -> Decimal:
    """As Decimal(38, 18): refuses what needs more than 18 digits behind the point or 20 before it."""
    number = to_number(value)
    if number.adjusted() >= MOST_DIGITS:
        raise ValueError(f"{value!r} does not fit Decimal(38, 18)")
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    if exponent < -18 and any(digits[exponent + 18 :]):
        raise ValueError(f"{value!r} has more than 18 digits behind the point")
    scaled = int("".join(map(str, digits))) * 10 ** (exponent + 18) if exponent >= -18 else _shift(digits, exponent)
    return Decimal((sign, tuple(map(int, str(scaled))), -18))


def _shift(digits: tuple[int, ...], exponent: int) -> int:
    return int("".join(map(str, digits[: exponent + 18])) or "0")


def to_integer(value: object) -> int:
    """A whole number that fits int64."""
    number = to_number(value)
    if number.adjusted() >= MOST_DIGITS or number.copy_abs() > INT64_MAX or number != number.to_integral_value():
        raise ValueError(f"{value!r} is not a whole number of 64 bits")
    return int(number)


def to_text(value: object) -> str:
    """A JSON string; not empty, and without half of a surrogate pair, which UTF-8 cannot hold."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is not a text")
    try:
        value.encode()
    except UnicodeEncodeError as exc:
        raise ValueError(f"{value!r} is not a text") from exc
    return value


def to_event_us(value: object, unit: str) -> int:
    """Microseconds since 1970 of a count of seconds, ms, us or ns; digits below a microsecond are cut."""
    number = to_number(value)
    if number.adjusted() + US_EXPONENT[unit] >= MOST_DIGITS:
        raise ValueError(f"{value!r} is not a time in {unit}")
    us = CUT.multiply(number, Decimal((0, (1,), US_EXPONENT[unit])))
    if us.copy_abs() > LAST_TIME_US:
        raise ValueError(f"{value!r} is not a time in {unit}")
    return int(us)


def iso8601_us(value: object) -> int:
    """Microseconds since 1970 of an ISO 8601 time with its zone; digits below a microsecond are cut."""
    match = ISO8601.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not an ISO 8601 time with a zone")
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    at = dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC)
    us = (at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
    us += int((match[7] or "0").ljust(9, "0")) // 1_000
    if match[8] != "Z":
        sign = -1 if match[8][0] == "-" else 1
        us -= sign * (int(match[8][1:3]) * 60 + int(match[8][-2:])) * 60_000_000
    return us


def check_event_us(us: int, recv_ns: int) -> int:
    """The time itself when it is plausible: not before 2009-01-03 and at most a day after it was received."""
    if not FIRST_TIME_US <= us <= recv_ns // 1_000 + DAY_US:
        raise ValueError(f"event time {us} us lies before 2009-01-03 or more than a day after receipt")
    return us
