"""Trades of the recorded frames, read without any of the product's code: only json, gzip and Decimal.

What the tables must hold is told here a second time, by another hand: the loops are plain, and the symbols are the few
that the recordings hold.
"""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

DATA = Path(__file__).parents[2].parent / "shared" / "data"
CRYPTOFEED = DATA / "captures" / "cryptofeed"
HFTBACKTEST = DATA / "captures" / "hftbacktest-2024-08"

SOURCES = {
    "BINANCE": "binance-spot",
    "BINANCE_FUTURES": "binance-usdm",
    "COINBASE": "coinbase",
    "KRAKEN": "kraken",
    "OKX": "okx",
    "BYBIT": "bybit",
    "DERIBIT": "deribit",
    "BITFINEX": "bitfinex",
    "BITMEX": "bitmex",
}
MARKETS = {"spot": "binance-spot", "usdm": "binance-usdm", "cm": "binance-coinm"}
SYMBOLS = {
    "binance-spot": {
        "NKNUSDT": "NKN-USDT",
        "BLZETH": "BLZ-ETH",
        "LRCBTC": "LRC-BTC",
        "RUNEEUR": "RUNE-EUR",
        "BTCUSDT": "BTC-USDT",
        "ETHUSDT": "ETH-USDT",
    },
    "binance-coinm": {"BTCUSD_PERP": "BTC-USD-PERP", "ETHUSD_PERP": "ETH-USD-PERP"},
    "okx": {"BTC-USDT": "BTC-USDT", "UNI-USD-SWAP": "UNI-USD-PERP", "BTC-USD-220527": "BTC-USD-20220527"},
    "bitfinex": {
        "tBFTUSD": "BFT-USD",
        "tDOGUSD": "DOG-USD",
        "tIOTETH": "IOTA-ETH",
        "tMNABTC": "MANA-BTC",
        "tODEUSD": "ODE-USD",
        "tSNGUSD": "SNG-USD",
        "tTESTBTC:TESTUSD": "TESTBTC-TESTUSD",
    },
    "bitmex": {
        "ADAUSDT": "ADA-USDT-PERP",
        "BCHUSD": "BCH-USD-PERP",
        "EOSUSDT": "EOS-USDT-PERP",
        "MATICUSDT": "MATIC-USDT-PERP",
        "SOLUSDT": "SOL-USDT-PERP",
        "TRXU21": "TRX-BTC-20210924",  # the venue's list of products says 2021-09-24
        "TRXUSDT": "TRX-USDT-PERP",
        "UNIUSDT": "UNI-USDT-PERP",
        "XBTUSD": "BTC-USD-PERP",
        "XRPU21": "XRP-BTC-20210924",
    },
}
OPPOSITE = {"buy": "sell", "sell": "buy"}


class Trade(NamedTuple):
    """One trade as a frame says it; `trade_id` is None where the venue gives none, `side` is the taker's."""

    source: str
    symbol: str
    grain: str
    trade_id: str | None
    event_ns: int
    price: Decimal
    size: Decimal
    side: str
    recv_ns: int


def nanoseconds(seconds: str) -> int:
    """A decimal number of seconds, exactly."""
    value = Decimal(seconds) * 10**9
    assert value == int(value)
    return int(value)


def lines_of(path: Path) -> list[str]:
    """The lines of a plain or gzip file."""
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode().split("\n")


def cryptofeed_frames(path: Path) -> Iterator[tuple[int, Any]]:
    """Receive time and payload of each frame."""
    for line in lines_of(path):
        if line[:1].isdigit():
            clock, _, payload = line.partition(": ")
            yield nanoseconds(clock), json.loads(payload, parse_float=Decimal)


def hftbacktest_frames(path: Path) -> Iterator[tuple[int, Any]]:
    """Receive time and payload of each frame, the inline snapshot included."""
    for line in lines_of(path):
        if line:
            clock, _, payload = line.partition(" ")
            yield int(clock), json.loads(payload, parse_float=Decimal)


def binance(source: str, frame: Any) -> Iterator[tuple[Any, ...]]:
    data = frame.get("data", {})
    if data.get("e") not in ("trade", "aggTrade"):
        return
    if source == "binance-usdm":
        assert data["s"].endswith("USDT")
        symbol = data["s"][:-4] + "-USDT-PERP"
    else:
        symbol = SYMBOLS[source][data["s"]]
    grain, number = ("trade", data["t"]) if data["e"] == "trade" else ("aggregate", data["a"])
    side = {True: "sell", False: "buy"}[data["m"]]  # m: the buyer is the maker
    yield symbol, grain, str(number), data["T"] * 10**6, data["p"], data["q"], side


def coinbase(source: str, frame: Any) -> Iterator[tuple[Any, ...]]:
    if frame.get("type") in ("match", "last_match"):
        time = datetime.strptime(frame["time"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
        whole = int(time.replace(microsecond=0).timestamp())
        event_ns = whole * 10**9 + time.microsecond * 1000
        side = OPPOSITE[frame["side"]]  # the maker's
        yield frame["product_id"], "trade", str(frame["trade_id"]), event_ns, frame["price"], frame["size"], side


def kraken(source: str, frame: Any) -> Iterator[tuple[Any, ...]]:
    if not isinstance(frame, list) or frame[2] != "trade":
        return
    symbol = "-".join({"XBT": "BTC", "XDG": "DOGE"}.get(asset, asset) for asset in frame[3].split("/"))
    for price, size, time, side, _, _ in frame[1]:
        yield symbol, "trade", None, nanoseconds(time), price, size, {"b": "buy", "s": "sell"}[side]


def okx(source: str, frame: Any) -> Iterator[tuple[Any, ...]]:
    if frame.get("arg", {}).get("channel") != "trades":
        return
    for row in frame.get("data", ()):
        symbol = SYMBOLS["okx"][row["instId"]]
        yield symbol, "trade", row["tradeId"], int(row["ts"]) * 10**6, row["px"], row["sz"], row["side"]


def bybit(source: str, frame: Any) -> Iterator[tuple[Any, ...]]:
    if not frame.get("topic", "").startswith("trade."):
        return
    for row in frame["data"]:
        name = row["symbol"]
        symbol = name[:-4] + "-USDT-PERP" if name.endswith("USDT") else name[:-3] + "-USD-PERP"
        side = {"Buy": "buy", "Sell": "sell"}[row["side"]]
        yield symbol, "trade", row["trade_id"], int(row["trade_time_ms"]) * 10**6, row["price"], row["size"], side


def deribit(source: str, frame: Any) -> Iterator[tuple[Any, ...]]:
    params = frame.get("params", {})
    assert not params.get("channel", "").startswith("trades."), "the recording is known to hold no trade"
    yield from ()


def with_channels(frames: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
    """Bitfinex frames with the pair of a trades channel in place of its id; all other frames are left out."""
    pairs: dict[int, str] = {}
    for recv_ns, frame in frames:
        if isinstance(frame, dict):
            if frame["event"] == "subscribed" and frame["channel"] == "trades":
                pairs[frame["chanId"]] = frame["symbol"]
        elif frame[0] in pairs:
            yield recv_ns, [pairs[frame[0]], *frame[1:]]


def bitfinex(source: str, frame: Any) -> Iterator[tuple[Any, ...]]:
    pair, content = frame[:2]
    assert content != "te", "the recording is known to hold no trade but those of snapshots"
    for number, ms, amount, price in content if content != "hb" else ():
        side = "buy" if amount > 0 else "sell"  # the amount is negative where the taker sold
        yield SYMBOLS[source][pair], "trade", str(number), ms * 10**6, price, str(amount).lstrip("-"), side


def bitmex(source: str, frame: Any) -> Iterator[tuple[Any, ...]]:
    if frame.get("table") != "trade":
        return
    for row in frame["data"]:
        symbol, side = SYMBOLS[source][row["symbol"]], {"Buy": "buy", "Sell": "sell"}[row["side"]]
        yield symbol, "trade", row["trdMatchID"], iso_ms(row["timestamp"]) * 10**6, row["price"], row["size"], side


def iso_ms(text: str) -> int:
    """Milliseconds since 1970 of a time such as 2021-07-22T22:24:15.328Z."""
    time = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    return int(time.replace(microsecond=0).timestamp()) * 1000 + time.microsecond // 1000


READERS = {
    "binance-spot": binance,
    "binance-usdm": binance,
    "binance-coinm": binance,
    "coinbase": coinbase,
    "kraken": kraken,
    "okx": okx,
    "bybit": bybit,
    "deribit": deribit,
    "bitfinex": bitfinex,
    "bitmex": bitmex,
}


def recordings() -> Iterator[tuple[str, Path, Iterator[tuple[int, Any]]]]:
    """Source, file and frames of every recording of the venues."""
    for path in sorted(CRYPTOFEED.iterdir()):
        if source := SOURCES.get(path.name.split(".")[0]):
            yield source, path, cryptofeed_frames(path)
    for path in sorted(HFTBACKTEST.glob("*/*.gz")):
        yield MARKETS[path.parent.name], path, hftbacktest_frames(path)


def trades_of(source: str, frames: Iterator[tuple[int, Any]]) -> Iterator[Trade]:
    """The trades of some frames of one source, in the order of the frames."""
    for recv_ns, frame in with_channels(frames) if source == "bitfinex" else frames:
        for symbol, grain, number, event_ns, price, size, side in READERS[source](source, frame):
            yield Trade(source, symbol, grain, number, event_ns, Decimal(price), Decimal(size), side, recv_ns)


def all_trades() -> list[Trade]:
    """Every trade of every recording of the venues; a trade that two frames say comes twice."""
    return [trade for source, _, frames in recordings() for trade in trades_of(source, frames)]


def distinct(trades: list[Trade]) -> dict[tuple[object, ...], Trade]:
    """The distinct trades: by id where there is one, else by time, price, size, side and which of the equal ones."""
    found: dict[tuple[object, ...], Trade] = {}
    for trade in trades:
        key: tuple[object, ...] = (*trade[:3], trade.trade_id)
        if trade.trade_id is None:
            nth = 0
            while (key := (*trade[:8], nth)) in found:
                nth += 1
        found.setdefault(key, trade)
    return found
