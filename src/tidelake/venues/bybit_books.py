"""Books of Bybit: v5 by WebSocket and REST, and the legacy frames of recordings.

Source:  https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook, .. /docs/v5/market/orderbook
Quirks:  `u` counts the messages of a topic and starts again at 1 with the venue's service, `seq` orders over topics. A
         snapshot may come at any time. orderbook.1 sends snapshots only, at least every three seconds.
         A frame names no category: the socket's address does, else the name is taken for a contract's.
         orderbook.rpi has three numbers in a level and is another book: it is not read.
         Legacy: levels are objects with `side`; a delta has lists of levels to delete (without size), update and
         insert; the snapshot's stand in data.order_book (linear) or in data itself (inverse). Only `cross_seq` counts,
         and not by one. Sizes of linear contracts are JSON numbers with the noise of floats in them, kept as sent.
Samples: captures/cryptofeed/BYBIT.* (2021-04, legacy), captures/bybit-v5 (2024-12)
"""

from tidelake.venues.book_format import BookFeed, BookFormat, BookLayout, BookName, Levels, LevelShape, Named

SIDES = ("Buy", "Sell")
SET = LevelShape("price", "size", side="side", sides=SIDES)
GONE = LevelShape("price", None, side="side", sides=SIDES)
PAIRS = (Levels("data.b", "bid"), Levels("data.a", "ask"))


def _book(named: Named) -> BookName | None:
    """`orderbook.50.BTCUSDT` is channel orderbook.50."""
    match named.channel.split(".", 2):
        case ["orderbook", depth, name] if depth.isdecimal():
            spot = "/public/spot" in named.request
            return BookName(f"spot:{name}" if spot else name, f"orderbook.{depth}")
    return None


def _legacy(named: Named) -> BookName | None:
    """`orderBookL2_25.BTCUSD` and `orderBook_200.100ms.BTCUSD` are channels orderBookL2_25 and orderBook_200.100ms."""
    channel, _, name = named.channel.rpartition(".")
    return BookName(name, channel) if channel.startswith("orderBook") else None


def _page(named: Named) -> BookName:
    return BookName(f"spot:{named.symbol}" if "category=spot" in named.request else named.symbol, "")


def _v5(word: str) -> BookFormat:
    return BookFormat(
        kind="snapshot" if word == "snapshot" else "update",
        name=_book,
        symbol="topic",
        channel="topic",
        where={"type": (word,)},
        has=("data.u",),
        levels=PAIRS,
        last="data.u",
        time="ts",
    )


def _old(word: str, *levels: Levels) -> BookFormat:
    return BookFormat(
        kind="snapshot" if word == "snapshot" else "update",
        name=_legacy,
        symbol="topic",
        channel="topic",
        where={"type": (word,)},
        has=("cross_seq",),
        levels=levels,
        last="cross_seq",
        time="timestamp_e6",
        time_unit="us",
    )


BOOKS = BookFeed(
    layouts=(
        BookLayout(
            (
                _v5("delta"),
                _v5("snapshot"),
                _old(
                    "delta",
                    Levels("data.delete", "", GONE),
                    Levels("data.update", "", SET),
                    Levels("data.insert", "", SET),
                ),
                _old("snapshot", Levels("data.order_book?", "", SET)),
                _old("snapshot", Levels("data", "", SET)),
                BookFormat(
                    kind="page",
                    name=_page,
                    symbol="result.s",
                    levels=(Levels("result.b", "bid"), Levels("result.a", "ask")),
                    last="result.u",
                    time="result.ts",
                    request="/v5/market/orderbook",
                    request_symbol="symbol",
                ),
            ),
        ),
    ),
)
