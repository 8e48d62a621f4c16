"""Streams of book messages as the venues send them, from a seeded truth, with faults on the way to the receiver."""

import random
from dataclasses import replace

from tests.books.slow_engine import Book, Said

SOURCES = (
    "binance-spot",
    "binance-usdm",
    "okx",
    "kraken",
    "bybit",
    "deribit",
    "coinbase",
    "coinbase-advanced",
)
CHANNELS = {
    "binance-spot": "depth@100ms",
    "binance-usdm": "depth@0ms",
    "okx": "books",
    "kraken": "book-10",
    "bybit": "orderbook.500",
    "deribit": "raw",
    "coinbase": "level2",
    "coinbase-advanced": "level2",
}
SYMBOLS = ("BTC-USD", "ETH-USD")
DEPTH = 10  # of Kraken's subscription
START_NS = 1_700_000_000 * 10**9
FAULTS = ("drop", "double", "swap", "corrupt", "refuse", "open", "stale", "forget_ids", "quote")


class Truth:
    """One venue's own book of one symbol, and the messages that it sends of it."""

    def __init__(self, source, symbol, chance):
        self.source, self.symbol, self.chance = source, symbol, chance
        self.book = Book()
        self.id = chance.randrange(10, 1000)
        self.clock = START_NS + chance.randrange(10**9)

    def _said(self, kind, levels, **facts):
        self.clock += self.chance.randrange(1, 10**6)
        recv_ns = self.clock + self.chance.choice([0, 90 * 10**15])  # before and after the dated change of OKX
        channel = CHANNELS[self.source]
        facts = {"event_ns": self.clock, "recv_ns": recv_ns} | facts
        return Said(kind, self.symbol, channel, tuple(levels), **facts)

    def _price(self, side):
        ticks = self.chance.randrange(1, 12)
        price = 1000 - ticks if side == "bid" else 1000 + ticks - self.chance.choice([0] * 9 + [3])
        text = f"{price // 10}.{price % 10}"
        return text if self.source == "deribit" else text + self.chance.choice(["", "0"])

    def _change(self):
        levels = []
        for _ in range(self.chance.randrange(1, 5)):
            side = self.chance.choice(["bid", "ask"])
            size = self.chance.choice(["0", "0.000", "1", "2.50", "0.075", "12"])
            levels.append((side, self._price(side), size))
        self.book.apply(levels)
        if self.source == "kraken":
            self.book.cut(DEPTH)
        return levels

    def _checksum(self):
        if self.source == "kraken":
            return self.book.kraken_checksum((-1, -1))
        return self.book.okx_checksum() if self.source == "okx" else None

    def levels(self):
        bids = [("bid", *self.book.bids[p]) for p in sorted(self.book.bids)[::-1]]
        return bids + [("ask", *self.book.asks[p]) for p in sorted(self.book.asks)]

    def snapshot(self):
        ids = {"last_id": self.id} if self.source in ("okx", "deribit", "bybit") else {}
        return self._said("snapshot", self.levels(), checksum=self._checksum(), **ids)

    def page(self):
        return self._said("page", self.levels(), last_id=self.id, event_ns=0)

    def quote(self):
        best = self.book.best()
        levels = [(side, str(top[0]), str(top[1])) for side, top in zip(("bid", "ask"), best, strict=True) if top]
        return replace(self._said("quote", levels, last_id=self.id), channel="bookTicker")

    def heartbeat(self):
        return self._said("heartbeat", (), last_id=self.id, prev_id=self.id)

    def update(self):
        before = self.id
        levels = self._change()
        match self.source:
            case "binance-spot":
                self.id += self.chance.randrange(1, 4)
                ids = {"first_id": before + 1, "last_id": self.id}
            case "binance-usdm":
                self.id += self.chance.randrange(1, 9)
                ids = {"first_id": before + self.chance.randrange(1, self.id - before + 1), "last_id": self.id}
                ids["prev_id"] = before
            case "okx" if self.chance.random() < 0.03:
                self.id = self.chance.randrange(1, before)
                ids = {"prev_id": before, "last_id": self.id}
            case "okx" | "deribit":
                self.id += self.chance.randrange(1, 9)
                ids = {"prev_id": before, "last_id": self.id}
            case "bybit":
                self.id += 1
                ids = {"last_id": self.id}
            case _:
                ids = {}
        checksum = self._checksum()
        said = self._said("update", levels, checksum=checksum, **ids)
        return replace(said, checksum=0) if self.source == "okx" and said.recv_ns > START_NS * 1.02 else said


def messages(source, seed, count=60):
    """What a receiver gets: two books of one connection, and the faults that a seed brings."""
    chance = random.Random(seed)
    truths = [Truth(source, symbol, chance) for symbol in SYMBOLS]
    for truth in truths:
        for _ in range(4):
            truth.update()
    sent = [said for truth in truths for said in _begin(truth)]
    pages = []
    for _ in range(count):
        truth = chance.choice(truths)
        what = chance.random()
        if what < 0.7:
            sent.append(truth.update())
        elif what < 0.8 and source.startswith("binance"):
            sent.append(truth.quote())
        elif what < 0.85 and source == "okx":
            sent.append(truth.heartbeat())
        elif what < 0.87:
            sent += _begin(truth)
        elif what < 0.95 and source.startswith(("binance", "okx")):
            pages.append((len(sent) + chance.randrange(-4, 5), truth.page()))
    for at, page in sorted(pages, key=lambda held: held[0], reverse=True):
        sent.insert(max(at, 0), page)
    if source == "coinbase-advanced":
        sent = [replace(said, conn_seq=i) for i, said in enumerate(sent)]
    for _ in range(chance.choice([0, 0, 1, 2, 4])):
        _spoil(sent, chance)
    return sent


def _begin(truth):
    if truth.source.startswith("binance"):
        return [truth.update(), truth.update(), truth.page()]
    return [truth.snapshot()]


def _spoil(sent, chance):
    at = chance.randrange(len(sent))
    said = sent[at]
    match chance.choice(FAULTS):
        case "drop":
            del sent[at]
        case "double":
            sent.insert(min(at + chance.randrange(3), len(sent)), said)
        case "swap":
            sent.insert(min(at + chance.randrange(1, 4), len(sent)), sent.pop(at))
        case "corrupt" if said.levels:
            side, price, _ = said.levels[0]
            sent[at] = replace(said, levels=((side, price, "7.77"), *said.levels[1:]))
        case "refuse":
            known = chance.random() < 0.7
            sent[at] = replace(said, kind="refused", levels=(), **({} if known else {"symbol": "", "channel": ""}))
        case "open":
            sent.insert(at, Said("open", recv_ns=said.recv_ns))
        case "stale" if any(m.kind in ("snapshot", "page") for m in sent[:at]):
            sent.insert(at, chance.choice([m for m in sent[:at] if m.kind in ("snapshot", "page")]))
        case "forget_ids":
            sent[at] = replace(said, first_id=None, last_id=None, prev_id=None)
        case "quote" if said.kind == "quote":
            sent[at] = replace(said, levels=tuple((side, price, "3.33") for side, price, _ in said.levels))
