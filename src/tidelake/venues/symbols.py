"""Canonical symbols, and the rules by which the venue files read and write their own.

    BTC-USD  BTC-USDT-PERP  BTC-USD-PERP  BTC-USD-20220527  BTC-USD-20210924-8000-P

Base and quote, then PERP, or the day of expiry, or that and strike and C or P. Where base and quote are joined
without a mark, a documented list of quote assets splits them, the longest that fits first.
"""

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["spot", "perpetual", "future", "option"]
CANONICAL = re.compile(r"([^-\s/:_]+)-([^-\s/:_]+)(?:-(?:(PERP)|(\d{8})(?:-(\d+(?:\.\d+)?)-([CP]))?))?\Z")
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAY_MONTH_YEAR = re.compile(r"(\d{1,2})([A-Z]{3})(\d{2})\Z")


@dataclass(frozen=True, slots=True)
class Symbol:
    """A canonical symbol in its parts."""

    base: str
    quote: str
    perpetual: bool = False
    expiry: dt.date | None = None
    strike: str = ""
    right: str = ""

    @property
    def kind(self) -> Kind:
        """What kind of product the symbol names."""
        if self.strike:
            return "option"
        if self.expiry:
            return "future"
        return "perpetual" if self.perpetual else "spot"

    def __str__(self) -> str:
        parts = [self.base, self.quote]
        if self.perpetual:
            parts.append("PERP")
        if self.expiry:
            parts.append(f"{self.expiry:%Y%m%d}")
        if self.strike:
            parts += [self.strike, self.right]
        return "-".join(parts)


def _day(text: str) -> dt.date:
    return dt.date(int(text[:4]), int(text[4:6]), int(text[6:]))


def parse(symbol: str) -> Symbol:
    """The parts of a canonical symbol.

    Raises:
        ValueError: It is not one, or its day does not exist.
    """
    match = CANONICAL.match(symbol)
    if match is None:
        raise ValueError(f"{symbol!r} is not a canonical symbol such as BTC-USD or BTC-USDT-PERP")
    base, quote, perpetual, day, strike, right = match.groups()
    expiry = _day(day) if day else None
    return Symbol(base, quote, bool(perpetual), expiry, strike or "", right or "")


def canonical(symbol: Symbol) -> str:
    """The canonical text, checked by reading it back.

    Raises:
        ValueError: The parts do not make a canonical symbol (an asset name with a dash in it, for example).
    """
    text = str(symbol)
    if parse(text) != symbol:
        raise ValueError(f"{text!r} is not a canonical symbol")
    return text


def spot_pair(name: str, source: str) -> str:
    """The symbol of a source whose own names are canonical already and in capitals, and that lists spot pairs alone.

    Raises:
        ValueError: It is no canonical symbol, names something else than a spot pair, or holds small letters: the source
            may answer to them all the same, and its trades would then stand under two symbols.
    """
    parsed = parse(name)
    if name != name.upper():
        raise ValueError(f"{source} writes its symbols in capitals: {name.upper()!r}, not {name!r}")
    if parsed.kind != "spot":
        raise ValueError(f"{source} lists no {parsed.kind} {name!r}")
    return canonical(parsed)


def split_quote(name: str, quotes: Iterable[str]) -> tuple[str, str]:
    """Base and quote of a name without a mark between them; of all quotes that end it, the longest counts.

    Raises:
        ValueError: It ends with none of the quotes, or nothing stands before the quote.
    """
    fitting = [quote for quote in quotes if name.endswith(quote) and len(name) > len(quote)]
    if not fitting:
        raise ValueError(f"{name!r} ends with no known quote asset")
    quote = max(fitting, key=len)
    return name.removesuffix(quote), quote


def renamed(asset: str, names: Mapping[str, str]) -> str:
    """The asset under its other name, where it has one."""
    return names.get(asset, asset)


def six_digit_day(text: str) -> dt.date:
    """The day that `220527` means; raises ValueError where it means none."""
    if not re.fullmatch(r"\d{6}", text):
        raise ValueError(f"{text!r} is not a day such as 220527")
    return _day(f"20{text}")


def day_month_year(text: str) -> dt.date:
    """The day that `24SEP21` or `1JAN22` means; raises ValueError where it means none."""
    match = DAY_MONTH_YEAR.match(text)
    if match is None or match[2] not in MONTHS:
        raise ValueError(f"{text!r} is not a day such as 24SEP21")
    return dt.date(2000 + int(match[3]), MONTHS.index(match[2]) + 1, int(match[1]))


def write_day_month_year(day: dt.date) -> str:
    """`24SEP21`, without a zero before a one-digit day."""
    return f"{day.day}{MONTHS[day.month - 1]}{day:%y}"
