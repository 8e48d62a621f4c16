"""Durations in text, as arguments and files of settings say them."""

import datetime as dt


def parse_duration(value: str | dt.timedelta) -> dt.timedelta:
    """A duration such as "500ms", "2s", "90m", "36h" or "7d".

    Raises:
        ValueError: It is not in that form, or of millions of years.
    """
    if isinstance(value, dt.timedelta):
        return value
    units = {"us": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
    for unit in ("us", "ms", "s", "m", "h", "d"):
        number = value.removesuffix(unit)
        if number != value and number.replace(".", "", 1).isdecimal():
            try:
                return dt.timedelta(microseconds=float(number) * units[unit])
            except OverflowError:
                raise ValueError(f"{value!r} is longer than a duration can be") from None
    raise ValueError(f"{value!r} is not a duration; write 500ms, 2s, 90m, 36h or 7d")
