"""Books of recorded frames by other means: a dict of Decimals for each side, the rules of venues in plain words."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from tests.recorded.independent_reader import cryptofeed_frames, hftbacktest_frames

Level = tuple[str, Decimal, Decimal]  # "bid" or "ask", price, size


class SlowBook:
    """Absolute sizes by price."""

    def __init__(self) -> None:
        self.sizes: dict[str, dict[Decimal, Decimal]] = {"bid": {}, "ask": {}}
        self.prices: dict[str, list[Decimal]] = {"bid": [], "ask": []}

    def put(self, side: str, price: Decimal, size: Decimal) -> None:
        known, prices = self.sizes[side], self.prices[side]
        if size and price not in known:
            insort(prices, price)
        if size:
            known[price] = size
        elif price in known:
            del known[price], prices[bisect_left(prices, price)]

    def cut(self, depth: int) -> None:
        for side, worst in (("bid", 0), ("ask", -1)):
            while len(self.prices[side]) > depth:
                self.put(side, self.prices[side][worst], Decimal(0))

    def best(self, side: str, depth: int) -> tuple[tuple[Decimal, Decimal], ...]:
        prices = self.prices[side]
        best = prices[: -depth - 1 : -1] if side == "bid" else prices[:depth]
        return tuple((price, self.sizes[side][price]) for price in best)

    def levels(self) -> set[Level]:
        return {(side, price, size) for side, known in self.sizes.items() for price, size in known.items()}


class Message(NamedTuple):
    """A message that changed a book, and the best 25 levels after it; `whole` where the book begins with it."""

    recv_ns: int
    event_ns: int
    update_id: int
    sent: tuple[Level, ...]
    whole: frozenset[Level] | None
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]


def levels_of(bids: Iterable[Any], asks: Iterable[Any]) -> tuple[Level, ...]:
    return tuple(
        (side, Decimal(price), Decimal(size))
        for side, levels in (("bid", bids), ("ask", asks))
        for price, size, *_ in levels
    )


def binance_messages(paths: Iterable[Path], *, futures: bool) -> Iterator[Message]:
    """Of the depth stream and the page in these recordings of one symbol, each message from the page on."""
    early: list[Any] | None = []
    book = SlowBook()
    last = 0
    for path in paths:
        for recv_ns, frame in hftbacktest_frames(path):
            data = frame.get("data", frame)
            if "lastUpdateId" in data:
                last = data["lastUpdateId"]
                sent = levels_of(data["bids"], data["asks"])
                assert early is not None
                kept = [d for d in early if (d["u"] >= last if futures else d["u"] > last)]
                for each in sent + tuple(level for d in kept for level in levels_of(d["b"], d["a"])):
                    book.put(*each)
                last = kept[-1]["u"] if kept else last
                early, whole = None, frozenset(book.levels())
                event_ms = data.get("T", 0)
            elif data.get("e") != "depthUpdate":
                continue
            elif early is not None:
                early.append(data)
                continue
            else:
                assert data["U"] <= last + 1 or futures
                last, whole = data["u"], None
                sent = levels_of(data["b"], data["a"])
                event_ms = data.get("T", data["E"])
                for each in sent:
                    book.put(*each)
            best = (book.best(side, 25) for side in ("bid", "ask"))
            yield Message(recv_ns, event_ms * 10**6, last, sent, whole, *best)


def kraken_books(path: Path) -> Iterator[tuple[str, int, set[Level]]]:
    """Pair, receive clock and the whole book after each message of Kraken's WebSocket v1, 1000 levels deep."""
    books: dict[str, SlowBook] = {}
    for recv_ns, frame in cryptofeed_frames(path):
        if not isinstance(frame, list) or not frame[-2].startswith("book-"):
            continue
        pair = frame[-1]
        for part in frame[1:-2]:
            if "as" in part:
                books[pair] = SlowBook()
            for level in levels_of(part.get("bs", part.get("b", ())), part.get("as", part.get("a", ()))):
                books[pair].put(*level)
        books[pair].cut(int(frame[-2].removeprefix("book-")))
        yield pair, recv_ns, books[pair].levels()


def coinbase_books(path: Path) -> Iterator[tuple[str, int, set[Level]]]:
    """Product, receive clock and the whole book after each message of Coinbase Exchange's `level2`."""
    books: dict[str, SlowBook] = {}
    for recv_ns, frame in cryptofeed_frames(path):
        if frame.get("type") == "snapshot":
            book = books[frame["product_id"]] = SlowBook()
            for level in levels_of(frame["bids"], frame["asks"]):
                book.put(*level)
        elif frame.get("type") == "l2update":
            book = books[frame["product_id"]]
            for side, price, size in frame["changes"]:
                book.put({"buy": "bid", "sell": "ask"}[side], Decimal(price), Decimal(size))
        else:
            continue
        yield frame["product_id"], recv_ns, book.levels()
