"""Writes generated recordings in the line formats of recorders, with trades of the market in the venues' frames.

cryptofeed:   "<unix seconds>: <frame>", "<url> <- <seconds>: <sent>", "<url> <-> <seconds>" (connected),
              "<url> -> <seconds>: <answer>" and "configuration: {..}"; names "<VENUE>.ws.<id>.0" and "<VENUE>.0".
hftbacktest:  "<local ns> <frame>", combined stream, gzip; names "<symbol>_<yyyymmdd>.gz".

What stands in a file is told by `Recorded`, so that a test can compare without parsing.
"""

import gzip
import heapq
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tidelake.sim.listing import Trades
from tidelake.sim.market import Market
from tidelake.sim.playback import Item
from tidelake.sim.server import SimApi
from tidelake.sim.subscriptions import talk
from tidelake.sim.venues.binance import aggregate_at
from tidelake.sim.wire import LAYOUTS, Frames, binance_agg_trade

LATENCY_NS = 1_500_000


@dataclass(frozen=True)
class Stream:
    """One recorded connection: its file's name, venue, frame layout (see `wire`), address and canonical symbols."""

    file: str
    source: str
    layout: str
    url: str
    symbols: tuple[str, ...]


STREAMS = (
    Stream(
        "BINANCE.ws.1.0",
        "binance-spot",
        "binance-aggTrade",
        "wss://stream.binance.com:9443/stream?streams=btcusdt@aggTrade/ethusdt@aggTrade",
        ("BTC-USDT", "ETH-USDT"),
    ),
    Stream("COINBASE.ws.1.0", "coinbase", "coinbase", "wss://ws-feed.exchange.coinbase.com", ("BTC-USD", "ETH-USD")),
    Stream("KRAKEN.ws.1.0", "kraken", "kraken", "wss://ws.kraken.com", ("BTC-USD", "DOGE-USD")),
    Stream("OKX.ws.1.0", "okx", "okx", "wss://ws.okx.com:8443/ws/v5/public", ("BTC-USDT", "BTC-USDT-PERP")),
    Stream(
        "BYBIT.ws.1.0",
        "bybit",
        "bybit-legacy",
        "wss://stream.bybit.com/realtime_public",
        ("BTC-USDT-PERP", "ETH-USDT-PERP"),
    ),
    Stream("BYBIT.ws.2.0", "bybit", "bybit-legacy", "wss://stream.bybit.com/realtime", ("BTC-USD-PERP",)),
    Stream("BYBIT.ws.3.0", "bybit", "bybit", "wss://stream.bybit.com/v5/public/linear", ("BTC-USDT-PERP",)),
    Stream("DERIBIT.ws.1.0", "deribit", "deribit", "wss://www.deribit.com/ws/api/v2", ("BTC-USD-PERP", "ETH-USD-PERP")),
)


PRODUCTS = {
    "binance-spot": ("https://api.binance.com/api/v3/exchangeInfo",),
    "bybit": tuple(
        f"https://api.bybit.com/v5/market/instruments-info?category={category}" for category in ("linear", "inverse")
    ),
    "coinbase": ("https://api.exchange.coinbase.com/products",),
    "deribit": tuple(
        f"https://www.deribit.com/api/v2/public/get_instruments?currency={coin}&expired=false"
        for coin in ("BTC", "ETH")
    ),
    "kraken": ("https://api.kraken.com/0/public/AssetPairs",),
    "okx": tuple(
        f"https://www.okx.com/api/v5/public/instruments?instType={kind}" for kind in ("SPOT", "SWAP", "FUTURES")
    ),
}


@dataclass(frozen=True)
class Recorded:
    """A written file and the trades that its frames tell, per canonical symbol."""

    path: Path
    source: str
    layout: str
    trades: dict[str, Trades]


def seconds(time_ns: int) -> str:
    """Unix seconds as a recorder prints them."""
    return repr(time_ns // 1000 / 10**6)


def items(market: Market, stream: Stream, since_ns: int, until_ns: int) -> list[Item]:
    """The recording of one connection, ready for `Playback`: connected, subscriptions, then frames by time."""
    listings = [market.listing(stream.source, symbol) for symbol in stream.symbols]
    sent, said = talk(stream.source, stream.layout, listings)
    lines = [Item(since_ns, "open", b"", stream.url)]
    lines += [Item(since_ns + (1 + n) * 1_000_000, "sent", body, stream.url) for n, body in enumerate(sent)]
    lines += [Item(since_ns + (20 + n) * 1_000_000, "frame", body, stream.url) for n, body in enumerate(said)]
    found = _trades(market, stream, since_ns, until_ns).values()
    per_symbol = [_frames(market, stream.layout, trades) for trades in found if len(trades)]
    merged = heapq.merge(*per_symbol, key=lambda frame: frame[0])
    recv_ns = lines[-1].recv_ns
    for time_ns, payload in merged:
        recv_ns = max(recv_ns + 1000, time_ns + LATENCY_NS)
        lines.append(Item(recv_ns, "frame", payload, stream.url))
    return lines


def _frames(market: Market, layout: str, trades: Trades) -> Frames:
    if layout == "binance-aggTrade":  # numbered from the market's start, so that recordings of other times agree
        first = aggregate_at(market.tape(trades.listing), int(trades.seq[0]))
        return binance_agg_trade(trades, market.seed, first)
    return LAYOUTS[layout](trades, market.seed)


def _trades(market: Market, stream: Stream, since_ns: int, until_ns: int) -> dict[str, Trades]:
    return {symbol: market.truth(stream.source, symbol, until_ns, since_ns) for symbol in stream.symbols}


def cryptofeed_line(item: Item) -> bytes:
    """The item as cryptofeed writes it, with a newline."""
    moment = seconds(item.recv_ns).encode()
    url = item.request.encode()
    if item.kind == "open":
        return b"%s <-> %s\n" % (url, moment)
    if item.kind == "sent":
        return b"%s <- %s: %s\n" % (url, moment, item.payload)
    if item.kind == "page":
        return b"%s -> %s: %s\n" % (url.removeprefix(b"GET "), moment, item.payload)
    return b"%s: %s\n" % (moment, item.payload)


def write_cryptofeed(
    folder: Path, market: Market, since_ns: int, until_ns: int, streams: Sequence[Stream] = STREAMS
) -> list[Recorded]:
    """Writes one file per connection, and per venue a "<VENUE>.0" with its products; gives the former."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for stream in streams:
        path = folder / stream.file
        lines = map(cryptofeed_line, items(market, stream, since_ns, until_ns))
        path.write_bytes(b"".join(lines) + b"\n\n")  # recorded files end with empty lines too
        written.append(Recorded(path, stream.source, stream.layout, _trades(market, stream, since_ns, until_ns)))
    for prefix in dict.fromkeys(stream.file.partition(".")[0] for stream in streams):
        _write_products(folder, prefix, market, since_ns, [s for s in streams if s.file.startswith(f"{prefix}.")])
    return written


def _write_products(folder: Path, prefix: str, market: Market, since_ns: int, streams: Sequence[Stream]) -> None:
    """Writes "<VENUE>.0": the products as the venue answered them, and the recorder's configuration."""
    source = streams[0].source
    api = SimApi(source, market)
    pages = [Item(since_ns, "page", api.get(url).body, f"GET {url}") for url in PRODUCTS[source]]
    symbols = sorted({symbol for stream in streams for symbol in stream.symbols})
    text = json.dumps({"trades": symbols}, separators=(",", ":"))
    lines = [*map(cryptofeed_line, pages), f"configuration: {text}\n".encode()]
    (folder / f"{prefix}.0").write_bytes(b"".join(lines))


def write_hftbacktest(
    folder: Path, market: Market, since_ns: int, until_ns: int, symbols: Sequence[str] = ("BTC-USDT", "ETH-USDT")
) -> list[Recorded]:
    """Writes gzip files of Binance spot's combined `trade` stream, one per symbol; gives what they hold."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for symbol in symbols:
        trades = market.truth("binance-spot", symbol, until_ns, since_ns)
        day = datetime.fromtimestamp(since_ns // 10**9, UTC)
        path = folder / f"{trades.listing.venue_symbol.lower()}_{day:%Y%m%d}.gz"
        frames = LAYOUTS["binance-trade"](trades, market.seed)
        lines = (b"%d %s\n" % (time_ns + LATENCY_NS, payload) for time_ns, payload in frames)
        path.write_bytes(gzip.compress(b"".join(lines), mtime=0))
        written.append(Recorded(path, "binance-spot", "binance-trade", {symbol: trades}))
    return written
