"""What text of a CSV file says: times, exact amounts, names."""

from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import Final

import polars as pl

DECIMALS: Final = 18  # of amounts, which are in tokens
NAME: Final = r"^[^\s/\\:.][^\s/\\:]*$"  # of a coin or a chain: names folders, and is part of ids
DIGITS: Final = Context(prec=76, traps=[InvalidOperation, Overflow, Inexact])


def time_us(column: str) -> pl.Expr:
    """Microseconds UTC of ISO 8601 text, T or a blank before the time; null where it is none, as a bare number is."""
    text = pl.col(column).str.strip_chars()
    joined = text.str.replace(r"^(\S+) (\S+)$", "${1}T${2}")
    zoned = joined.str.to_datetime(time_unit="us", time_zone="UTC", format="%Y-%m-%dT%H:%M:%S%.f%#z", strict=False)
    plain = joined.str.to_datetime(time_unit="us", format="%Y-%m-%dT%H:%M:%S%.f", strict=False)
    return pl.coalesce(zoned.dt.epoch("us"), plain.dt.epoch("us"))


def units_of(amount: str) -> int | None:
    """Tokens in smallest units; None where the text is no number, or none of so many units exactly."""
    try:
        return int(DIGITS.quantize(DIGITS.scaleb(DIGITS.create_decimal(amount), DECIMALS), Decimal(1)))
    except (ArithmeticError, ValueError):
        return None
