"""Books of Binance, all three markets: diffs, tops of book, snapshots by REST.

Source:  https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams (Diff. Depth Stream,
         Individual Symbol Book Ticker Streams, How to manage a local order book correctly)
         https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
         https://developers.binance.com/docs/derivatives/coin-margined-futures/websocket-market-streams
         https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints#order-book
Quirks:  Each stream comes raw, or inside {"stream", "data"}. Raw frames do not say how often they come ("depth").
         A spot bookTicker names no event. Futures add `pu`, the `u` of the frame before; COIN-M and, since its move
         to common frames, USD-M add `ps`, and `st` (1 USD-M, 2 COIN-M).
         The REST snapshot has no symbol, but on COIN-M; hftbacktest's recordings hold it without its request too.
         `rpiDepth` is another book (with RPI orders), whose frames look the same: it goes by its stream's name.
"""

from tidelake.venues.book_format import BookFeed, BookFormat, BookLayout, BookName, Levels, Named, in_channel

UPDATE = ("depthUpdate",)


def _streamed(named: Named) -> BookName | None:
    """`btcusdt@depth@100ms` is channel depth@100ms."""
    channel = named.channel.partition("@")[2]
    return BookName(named.symbol, channel) if channel.startswith(("depth", "rpiDepth", "bookTicker")) else None


def _diffs(data: str, *, futures: bool) -> BookFormat:
    return BookFormat(
        kind="update",
        name=_streamed if data else in_channel("depth"),
        symbol=f"{data}s",
        channel="stream" if data else "",
        where={f"{data}e": UPDATE},
        levels=(Levels(f"{data}b", "bid"), Levels(f"{data}a", "ask")),
        first=f"{data}U",
        last=f"{data}u",
        prev=f"{data}pu" if futures else "",
        time=f"{data}T" if futures else f"{data}E",
    )


def _tops(data: str, *, futures: bool) -> BookFormat:
    return BookFormat(
        kind="quote",
        name=_streamed if data else in_channel("bookTicker"),
        symbol=f"{data}s",
        channel="stream" if data else "",
        has=(f"{data}u", f"{data}b", f"{data}B", f"{data}a", f"{data}A"),
        top=(f"{data}b", f"{data}B", f"{data}a", f"{data}A"),
        last=f"{data}u",
        time=f"{data}T" if futures else "",
    )


def feed(*, futures: bool) -> BookFeed:
    """The formats of spot, or of futures, which say `pu` and the time of the match."""
    page = BookFormat(
        kind="page",
        name=in_channel(""),
        symbol="symbol",
        has=("lastUpdateId",),
        levels=(Levels("bids", "bid"), Levels("asks", "ask")),
        last="lastUpdateId",
        time="T?" if futures else "",
        request="depth",
        request_symbol="symbol",
    )
    streams = tuple(form(data, futures=futures) for data in ("data.", "") for form in (_diffs, _tops))
    return BookFeed(layouts=(BookLayout((*streams, page)),))
