"""Durations in text, as arguments and files of settings say them."""

import datetime as dt

# Microseconds of each unit; one that ends in another comes before it.
UNITS = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}


def parse_duration(value: str | dt.timedelta) -> dt.timedelta:
    """A duration such as "500ms", "2s", "90m", "36h", "7d" or "1w".

    Raises:
        ValueError: It is not in that form, or of millions of years.
    """
    if isinstance(value, dt.timedelta):
        return value
    for unit, microseconds in UNITS.items():
        number = value.removesuffix(unit)
        if number != value and number.replace(".", "", 1).isdecimal():
            try:
                return dt.timedelta(microseconds=float(number) * microseconds)
            except OverflowError:
                raise ValueError(f"{value!r} is longer than a duration can be") from None
    raise ValueError(f"{value!r} is not a duration; write 500ms, 2s, 90m, 36h, 7d or 1w")
