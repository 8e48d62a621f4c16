"""Small lakes with trades of several sources: overlapping lanes, doubled and late frames, corrections, torn frames."""

import datetime as dt
import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tidelake.raw.entry import Entry
from tidelake.raw.frame import Frame, Kind, encode_line
from tidelake.raw.ledger import Ledger, head_after
from tidelake.raw.sealing import seal_lines
from tidelake.raw.store import Store
from tidelake.tables.describe import describe_for
from tidelake.tables.read import scan
from tidelake.tables.trades import TRADES

START_US = 1_704_067_200_000_000  # 2024-01-01
SOURCES = ("coinbase", "binance-spot", "kraken", "deribit", "bybit", "okx")


@dataclass(frozen=True)
class Received:
    recv_ns: int
    payload: bytes
    kind: Kind = "frame"
    request: str = ""
    symbol: str = ""


@dataclass(frozen=True)
class Lane:
    name: str
    source: str
    frames: tuple[Received, ...]
    per_entry: int

    def known_us(self) -> list[int]:
        """When each frame counts as known."""
        latest, known = 0, []
        for frame in self.frames:
            latest = max(latest, frame.recv_ns)
            known.append(-(-latest // 1_000))
        return known

    def cut(self, as_of_us: int) -> "Lane":
        kept = sum(known <= as_of_us for known in self.known_us())
        return Lane(self.name, self.source, self.frames[:kept], self.per_entry)


def iso(us: int) -> str:
    return (dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=us)).isoformat(timespec="microseconds") + "Z"


def trade(source: str, number: int, us: int, price: str, size: str = "0.10", side: str = "buy") -> bytes:
    """The frame of one trade whose taker did `side`."""
    body: object
    match source:
        case "coinbase":
            maker = {"buy": "sell", "sell": "buy"}[side]
            body = {
                "type": "match",
                "trade_id": number,
                "side": maker,
                "size": size,
                "price": price,
                "product_id": "BTC-USD",
                "time": iso(us),
            }
        case "binance-spot":
            body = {
                "e": "trade",
                "E": us // 1_000,
                "s": "BTCUSDT",
                "t": number,
                "p": price,
                "q": size,
                "T": us // 1_000,
                "m": side == "sell",
            }
        case "kraken":
            body = [337, [[price, size, f"{us // 10**6}.{us % 10**6:06d}", side[0], "l", ""]], "trade", "XBT/USD"]
        case "deribit":
            row = {
                "trade_seq": number,
                "trade_id": f"T{number}",
                "timestamp": us // 1_000,
                "price": price,
                "amount": size,
                "direction": side,
                "instrument_name": "BTC-PERPETUAL",
            }
            body = {
                "jsonrpc": "2.0",
                "method": "subscription",
                "params": {"channel": "trades.BTC-PERPETUAL.raw", "data": [row]},
            }
        case "bybit":
            row = {
                "T": us // 1_000,
                "s": "BTCUSDT",
                "S": side.capitalize(),
                "v": size,
                "p": price,
                "L": "PlusTick",
                "i": f"{number:08x}-uuid",
            }
            body = {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": us // 1_000, "data": [row]}
        case _:
            row = {
                "instId": "BTC-USDT",
                "tradeId": str(number),
                "px": price,
                "sz": size,
                "side": side,
                "ts": str(us // 1_000),
            }
            body = {"arg": {"channel": "trades-all", "instId": "BTC-USDT"}, "data": [row]}
    return json.dumps(body, separators=(",", ":")).encode()


def page(numbers: list[int], prices: dict[int, str], times: dict[int, int]) -> bytes:
    """A Coinbase page of trades."""
    rows = [{"trade_id": n, "side": "sell", "size": "0.10", "price": prices[n], "time": iso(times[n])} for n in numbers]
    return json.dumps(rows).encode()


def make_lanes(seed: int, sources: tuple[str, ...] = SOURCES, trades: int = 14) -> list[Lane]:
    """Lanes of a seeded market; receive clocks are all different, so that no two versions tie."""
    rng = random.Random(seed)
    taken: set[int] = set()

    def clock(us: int) -> int:
        ns = us * 1_000 + rng.randrange(5_000_000_000)
        while ns // 1_000 in taken:
            ns += 1_000
        taken.add(ns // 1_000)
        return ns

    lanes = []
    for source in sources:
        times = {n: START_US + n * 700_000 + rng.randrange(500_000) // 1_000 * 1_000 for n in range(1, trades + 1)}
        prices = {n: f"{40_000 + rng.randrange(100)}.{rng.randrange(100):02d}" for n in times}
        for place in range(3):
            frames = []
            for n in times:
                if rng.random() < 0.25:
                    continue
                late = 60_000_000 if rng.random() < 0.1 else 0
                body = trade(source, n, times[n], prices[n])
                frames.append(Received(clock(times[n] + late), body))
                if rng.random() < 0.2:
                    frames.append(Received(clock(times[n] + late), body))
                if rng.random() < 0.15:
                    other = trade(source, n, times[n] + rng.choice([0, 1_000]), f"{rng.randrange(1, 4)}.5")
                    frames.append(Received(clock(times[n]), other))
                if rng.random() < 0.05:
                    frames.append(Received(clock(times[n]), body[:-3]))
            rng.shuffle(frames) if place == 2 else None
            lanes.append(Lane(f"{source}.capture.{place}", source, tuple(frames), rng.choice([3, 5, 8])))
        if source == "coinbase":
            chunks = [sorted(times)[at : at + 5] for at in range(0, trades, 5)]
            request = "GET https://api.exchange.coinbase.com/products/BTC-USD/trades?limit=5"
            made = START_US + 90_000_000
            pages = [Received(clock(made), page(c, prices, times), "page", request, "BTC-USD") for c in chunks]
            lanes.append(Lane("coinbase.trades.BTC-USD", source, tuple(pages), 2))
    return [lane for lane in lanes if lane.frames]


def seal_lane(store: Store, lane: Lane) -> list[Entry]:
    """Seal all frames of a lane, `per_entry` at a time."""
    head = Ledger(store).head(lane.name)
    entries = []
    for at in range(0, len(lane.frames), lane.per_entry):
        some = lane.frames[at : at + lane.per_entry]
        lines = b"".join(
            encode_line(Frame(head.next_n + i, f.recv_ns, 0, f.kind, f.payload, f.request, "", f.symbol))
            for i, f in enumerate(some)
        )
        entry = seal_lines(store, lane.name, lane.source, lines, describe=describe_for(lane.source), head=head)
        entries.append(entry)
        head = head_after(entry)
    return entries


def seal_all(store: Store, lanes: list[Lane]) -> list[Entry]:
    return [entry for lane in lanes for entry in seal_lane(store, lane)]


def hand_over(source: Path, target: Path, entries: list[Entry]) -> None:
    """Make entries of one lake arrive in another, byte for byte."""
    for entry in entries:
        for key in (entry.segment.key, f"ledger/{entry.lane}/{entry.seq:012d}.json"):
            (target / key).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / key, target / key)


def standing_rows(store: Store, **options) -> pl.DataFrame:
    """What a scan of `trades` gives, in one order."""
    return scan(store, TRADES, **options).collect().sort(*TRADES.key).select(*TRADES.schema.names, "revision")
