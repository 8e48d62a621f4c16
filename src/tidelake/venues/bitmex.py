"""BitMEX: inverse, quanto and linear perpetuals, dated futures, spot.

Source:  https://www.bitmex.com/app/wsAPI, https://www.bitmex.com/api/explorer/ (Trade, Instrument)
Quirks:  `side` of a trade is the taker's. `size` is in contracts, whose worth differs by product (`multiplier`).
         `trdMatchID` is a UUID: it names a trade and numbers nothing. A subscription opens with `partial`, the newest
         trade of each symbol, which may be hours old. Prices are JSON numbers, read exactly.
         XBT is BTC. XBTUSD is a perpetual; XBTU21 ends in a month's letter and a year and expires on the last Friday of
         that month at 12:00 UTC. A dated name without a quote is in USD for XBT and in XBT for all else (XRPU21).
         ETHUSD is a quanto: quoted in USD, settled in XBT. XBT_USDT, with the mark, is spot (since 2022).
         Names that start with a dot are indices; they are refused.
         `settlCurrency` XBt is satoshi of XBT, USDt millionths of USDT.
Limits:  30 requests a minute for each address without a key.
Samples: captures/cryptofeed/BITMEX.* (2021-07)
"""

import datetime as dt
import re
from collections.abc import Iterable
from typing import Any

from tidelake.raw.frame import Frame
from tidelake.venues import symbols
from tidelake.venues.payloads import decode, each, exact
from tidelake.venues.spec import Context, Rate, Record, Request, Unreadable, Venue

QUOTES = ("USD", "USDT", "USDC", "EUR")
MONTHS = "FGHJKMNQUVXZ"  # January to December
DATED = re.compile(rf"([A-Z0-9]+?)([{MONTHS}])(\d\d)\Z")
SPOT = re.compile(r"([A-Z0-9]+)_([A-Z0-9]+)\Z")
PERPETUAL = re.compile(r"[A-Z0-9]+\Z")
OURS = {"XBT": "BTC"}
THEIRS = {ours: theirs for theirs, ours in OURS.items()}
STATUS = {"Open": "trading", "Closed": "halted", "Unlisted": "pre", "Settled": "delisted"}
KINDS = {"FFWCSX": "perpetual", "FFCCSX": "future", "IFXXXP": "spot"}


def last_friday(year: int, month: int) -> dt.date:
    """The last Friday of a month."""
    last = (dt.date(year, month, 28) + dt.timedelta(days=4)).replace(day=1) - dt.timedelta(days=1)
    return last - dt.timedelta(days=(last.weekday() - 4) % 7)


def _symbol(base: str, quote: str, *, perpetual: bool = False, expiry: dt.date | None = None) -> str:
    ours = symbols.Symbol(symbols.renamed(base, OURS), symbols.renamed(quote, OURS), perpetual, expiry)
    return symbols.canonical(ours)


def canonical(name: str) -> str:
    """`XBTUSD` is BTC-USD-PERP, `XRPU21` XRP-BTC-20210924, `XBT_USDT` BTC-USDT."""
    if match := SPOT.match(name):
        return _symbol(match[1], match[2])
    if match := DATED.match(name):
        root, month, year = match.groups()
        expiry = last_friday(2000 + int(year), MONTHS.index(month) + 1)
        try:
            base, quote = symbols.split_quote(root, QUOTES)
        except ValueError:
            base, quote = root, "USD" if root == "XBT" else "XBT"
        return _symbol(base, quote, expiry=expiry)
    if not PERPETUAL.match(name):
        raise ValueError(f"bitmex: no rule for {name!r}")
    return _symbol(*symbols.split_quote(name, QUOTES), perpetual=True)


def venue_symbol(symbol: str) -> str:
    """The reverse of `canonical`."""
    parsed = symbols.parse(symbol)
    base, quote = symbols.renamed(parsed.base, THEIRS), symbols.renamed(parsed.quote, THEIRS)
    name = f"{base}_{quote}" if parsed.kind == "spot" else f"{base}{quote}"
    if parsed.expiry:
        root = base if (base, quote) == ("XBT", "USD") or quote == "XBT" else name
        name = f"{root}{MONTHS[parsed.expiry.month - 1]}{parsed.expiry:%y}"
    if canonical(name) != symbol:
        raise ValueError(f"bitmex lists no {parsed.kind} {symbol!r}")
    return name


def _asset(code: str) -> str:
    """Our name of a currency; settlement currencies are written in their smallest unit, XBt and USDt."""
    return symbols.renamed(code.upper(), OURS)


def _contract(product: Any) -> Record:
    """What one contract is worth, where that does not move: inverse ones in the quote, linear ones in the base."""
    if product["isInverse"]:
        return {"contract_size": 1, "contract_unit": _asset(product["quoteCurrency"])}
    if product["isQuanto"] or product["underlyingToPositionMultiplier"] != 1:
        return {}
    return {"contract_size": 1, "contract_unit": _asset(product["underlying"])}


def _instrument(product: Any) -> Record | None:
    if product["typ"] not in KINDS:
        return None
    return {
        "venue_symbol": product["symbol"],
        "kind": KINDS[product["typ"]],
        "base": _asset(product["underlying"]),
        "quote": _asset(product["quoteCurrency"]),
        "settle": _asset(product["settlCurrency"] or ""),
        "tick_size": exact(product["tickSize"]),
        "lot_size": exact(product["lotSize"]),
        "trading_status": STATUS[product["state"]],
        "listed_at": product["listing"],
        "expires_at": product["expiry"],
        **_contract(product),
    }


def instruments(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """One record for each perpetual, future and spot pair; indices and other kinds are left out."""
    return each(decode(frame.payload), _instrument)


VENUE = Venue(
    source="bitmex",
    rest_url="https://www.bitmex.com",
    rate=Rate(weight=30, seconds=60.0),
    canonical=canonical,
    venue_symbol=venue_symbol,
    numbered=False,
    instruments=(Request("/api/v1/instrument/active"),),
    flatten={"instruments": instruments},
    recording_names=("BITMEX",),
)
