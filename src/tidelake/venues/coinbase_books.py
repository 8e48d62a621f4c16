"""Books of Coinbase: Exchange and Advanced, by WebSocket and REST.

Source:  https://docs.cdp.coinbase.com/exchange/websocket-feed/channels (level2, ticker)
         https://docs.cdp.coinbase.com/exchange/rest-api/requests (product book)
         https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels
Quirks:  Exchange numbers no book message: a `sequence` stands in ticker and heartbeat frames, and in REST books, alone.
         `level2_batch` sends the same frames as level2. Snapshots had no `time` in 2021, tickers no sizes of the best
         bid and ask.
         Advanced counts `sequence_num` over all channels of a connection; a frame's events are messages that share it.
         One subscribes to level2 and hears l2_data. Its sides are "bid" and "offer".
Samples: captures/cryptofeed/COINBASE.* (2021-04)
"""

import re

from tidelake.venues.book_format import (
    BookFeed,
    BookFormat,
    BookLayout,
    BookName,
    Levels,
    LevelShape,
    Named,
    in_channel,
)

CHANGE = LevelShape(1, 2, side=0, sides=("buy", "sell"))
EVENT = LevelShape("price_level", "new_quantity", side="side", sides=("bid", "offer"))

PRODUCT = re.compile(r"/products/([^/?]+)/book")


def _page(named: Named) -> BookName:
    """A book page says its product in the path of its request alone."""
    match = PRODUCT.search(named.request)
    return BookName(match[1] if match else "", "")


EXCHANGE = BookFeed(
    layouts=(
        BookLayout(
            (
                BookFormat(
                    kind="update",
                    name=in_channel("level2"),
                    symbol="product_id",
                    where={"type": ("l2update",)},
                    levels=(Levels("changes", "", CHANGE),),
                    time="time",
                    time_unit="iso8601",
                ),
                BookFormat(
                    kind="snapshot",
                    name=in_channel("level2"),
                    symbol="product_id",
                    where={"type": ("snapshot",)},
                    levels=(Levels("bids", "bid"), Levels("asks", "ask")),
                    time="time?",
                    time_unit="iso8601",
                ),
                BookFormat(
                    kind="quote",
                    name=in_channel("ticker"),
                    symbol="product_id",
                    where={"type": ("ticker",)},
                    has=("best_bid_size", "best_ask_size"),
                    top=("best_bid", "best_bid_size", "best_ask", "best_ask_size"),
                    last="sequence?",
                    time="time?",
                    time_unit="iso8601",
                ),
                BookFormat(
                    kind="heartbeat",
                    name=in_channel("heartbeat"),  # of a product, but no book's: without symbol it is the connection's
                    where={"type": ("heartbeat",)},
                    last="sequence",
                    time="time?",
                    time_unit="iso8601",
                ),
                BookFormat(
                    kind="page",
                    name=_page,
                    has=("sequence",),
                    levels=(Levels("bids", "bid"), Levels("asks", "ask")),
                    last="sequence",
                    time="time?",
                    time_unit="iso8601",
                    request="/book",
                ),
            ),
        ),
    ),
)

ADVANCED = BookFeed(
    layouts=(
        BookLayout(
            (
                *(
                    BookFormat(
                        kind=kind,
                        name=in_channel("level2"),
                        symbol="events.product_id",
                        where={"channel": ("l2_data",), "events.type": (kind,)},
                        levels=(Levels("events.updates", "", EVENT),),
                        conn_seq="sequence_num",
                        time="timestamp",
                        time_unit="iso8601",
                    )
                    for kind in ("update", "snapshot")
                ),
                BookFormat(
                    kind="heartbeat",
                    name=in_channel("heartbeats"),
                    where={"channel": ("heartbeats",)},
                    conn_seq="sequence_num",
                    time="timestamp",
                    time_unit="iso8601",
                ),
                BookFormat(
                    kind="other",
                    name=in_channel(""),
                    has=("sequence_num",),
                    conn_seq="sequence_num",
                    time="timestamp?",
                    time_unit="iso8601",
                ),
                BookFormat(
                    kind="page",
                    name=in_channel(""),
                    symbol="pricebook.product_id",
                    levels=(
                        Levels("pricebook.bids", "bid", LevelShape("price", "size")),
                        Levels("pricebook.asks", "ask", LevelShape("price", "size")),
                    ),
                    time="pricebook.time?",
                    time_unit="iso8601",
                    request="product_book",
                    request_symbol="product_id",
                ),
            ),
            rows="events",
        ),
    ),
)
