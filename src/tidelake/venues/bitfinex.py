"""Bitfinex: WebSocket v2, spot and derivatives.

Source:  https://docs.bitfinex.com/reference/ws-public-trades, https://docs.bitfinex.com/docs/ws-general
         https://docs.bitfinex.com/reference/rest-public-conf (lists of pairs)
Quirks:  Frames are arrays [channel id, ..]; only the `subscribed` event says which symbol a channel id means, and the
         next connection deals the ids out anew. Heartbeats of a channel can come before its `subscribed`.
         A channel opens with a snapshot of its 30 newest trades. Then each trade comes as "te" at once and again, with
         the same id, as "tu" a second or two later: "te" is read, "tu" is left alone.
         A trade is [id, ms, amount, price]: amount above zero is a taker that bought, below zero one that sold.
         Ids grow over all pairs of the venue together, so those of one pair have holes: it numbers nothing here.
         Flag 65536 appends to each message a count of the connection's messages; arrays may grow at their end.
         Pairs are tBTCUSD, or tAAVE:USD where a name is longer than three letters; fUSD is a loan, not a trade.
         BTCF0:USTF0 is the perpetual. UST is Tether. DOG was a million DOGE, so it is not renamed.
         TESTBTC:TESTUSD is paper trading.
Limits:  90 requests a minute for each address (conf).
Samples: captures/cryptofeed/BITFINEX.* (2021-04; snapshots only, no "te")
"""

from collections.abc import Iterable
from decimal import Decimal
from functools import partial
from typing import Any

from tidelake.raw.frame import Frame
from tidelake.venues import symbols
from tidelake.venues.payloads import decode, each, request_path, whole
from tidelake.venues.spec import Context, Rate, Record, Request, Unreadable, Venue

OURS = {"UST": "USDT", "IOT": "IOTA", "DSH": "DASH", "QTM": "QTUM", "MNA": "MANA", "UDC": "USDC"}
THEIRS = {ours: theirs for theirs, ours in OURS.items()}
TRADE = ("trade_id", "time", "amount", "price")
FIRST_MS = 10**12  # 2001: a smaller number in a trade's second place is no time
PERPETUAL = "F0"


def canonical(name: str) -> str:
    """`tBTCUSD` is BTC-USD, `tAAVE:USD` AAVE-USD, `tBTCF0:USTF0` BTC-USDT-PERP."""
    pair = name.removeprefix("t")
    base, colon, quote = pair.partition(":")
    if pair == name or not pair.isascii() or not pair.isupper() or (not colon and len(pair) != 6):
        raise ValueError(f"bitfinex: no rule for {name!r}")
    if not colon:
        base, quote = pair[:3], pair[3:]
    perpetual = base.endswith(PERPETUAL) and quote.endswith(PERPETUAL)
    if perpetual:
        base, quote = base.removesuffix(PERPETUAL), quote.removesuffix(PERPETUAL)
    ours = symbols.Symbol(symbols.renamed(base, OURS), symbols.renamed(quote, OURS), perpetual)
    return symbols.canonical(ours)


def venue_symbol(symbol: str) -> str:
    """The reverse of `canonical`."""
    parsed = symbols.parse(symbol)
    if parsed.kind not in ("spot", "perpetual"):
        raise ValueError(f"bitfinex lists no {parsed.kind} {symbol!r}")
    end = PERPETUAL if parsed.perpetual else ""
    base, quote = (symbols.renamed(asset, THEIRS) + end for asset in (parsed.base, parsed.quote))
    return f"t{base}{'' if len(base) == len(quote) == 3 else ':'}{quote}"


def note_channel(frame: Frame, context: Context) -> None:
    """Keeps which channel ids are trades of which pair."""
    if frame.kind != "frame":
        return
    try:
        event = decode(frame.payload)
        if not isinstance(event, dict) or event.get("event") != "subscribed":
            return
        about, symbol, number = event.get("channel"), event.get("symbol"), whole(event.get("chanId"))
    except ValueError:
        return
    channel = f"channel:{number}"
    context.pop(channel, None)
    if about == "trades" and isinstance(symbol, str) and symbol.startswith("t") and symbol.isascii():
        context[channel] = symbol


def _is_trade(row: object) -> bool:
    """Whether the row of a channel that nobody announced looks like a trade."""
    return isinstance(row, list) and len(row) == len(TRADE) and isinstance(row[1], int) and row[1] > FIRST_MS


def _rows(message: Any, known: bool) -> list[Any]:
    if message[1:2] == ["te"]:
        return message[2:3] or [None]
    snapshot = message[1] if len(message) > 1 and isinstance(message[1], list) else []
    return snapshot if known or any(map(_is_trade, snapshot)) else []


def _trade(name: str, row: Any) -> Record:
    """A row cut short or of other types keeps what it has, so that only it is refused, by the missing column."""
    found: dict[str, Any] = dict(zip(TRADE, row if isinstance(row, list) else (), strict=False))
    amount = found.get("amount")
    if isinstance(amount, int | Decimal) and not isinstance(amount, bool) and amount:
        found |= {"side": "sell" if amount < 0 else "buy", "size": Decimal(amount).copy_abs()}
    return {"symbol": name, **found}


def trades(frame: Frame, context: Context) -> Iterable[Record | Unreadable]:
    """Trades of a channel's snapshot or of a "te"; nothing of any other frame.

    Raises:
        ValueError: Trades came on a channel whose `subscribed` the lane does not hold.
    """
    if not frame.payload.startswith(b"["):
        return []
    message = decode(frame.payload)
    name = context.get(f"channel:{message[0]}", "") if message else ""
    rows = _rows(message, bool(name))
    if rows and not name:
        raise ValueError(f"trades on channel {message[0]}, which no frame before names")
    return each(rows, partial(_trade, name))


def _instrument(kind: str, pair: object) -> Record:
    ours = symbols.parse(canonical(f"t{pair}"))
    return {"venue_symbol": f"t{pair}", "kind": kind, "base": ours.base, "quote": ours.quote, "status": "trading"}


def instruments(frame: Frame, _: Context) -> Iterable[Record | Unreadable]:
    """One record for each listed pair; the lists give names alone, no tick and no lot."""
    kind = "perpetual" if request_path(frame).endswith("future") else "spot"
    return each(decode(frame.payload)[0], partial(_instrument, kind))


VENUE = Venue(
    source="bitfinex",
    rest_url="https://api-pub.bitfinex.com",
    rate=Rate(weight=90, seconds=60.0),
    canonical=canonical,
    venue_symbol=venue_symbol,
    numbered=False,
    instruments=(Request("/v2/conf/pub:list:pair:exchange"), Request("/v2/conf/pub:list:pair:future")),
    flatten={"trades": trades, "instruments": instruments},
    note_context=note_channel,
    context_token=b'"subscribed"',
    recording_names=("BITFINEX",),
)
