"""Names of live streams: "BTC-USD:trades" asked for, `trades:BTC-USD` as the bus keeps it."""

from typing import NamedTuple

from tidelake.errors import NotInLake

FEEDS = ("trades", "quotes", "book", "candles", "funding", "open_interest", "liquidations")
DERIVED = ("spread", "imbalance", "order_flow", "price_difference", "latency_difference")


class StreamName(NamedTuple):
    """One stream of one symbol over all venues that are captured."""

    symbol: str
    feed: str

    @property
    def key(self) -> str:
        """Its name on the bus."""
        return f"{self.feed}:{self.symbol}"


def stream_name(text: str) -> StreamName:
    """The stream that "SYMBOL:FEED" names.

    Raises:
        NotInLake: The text is not in that form or the feed is unknown; `available` lists the feeds.
    """
    symbol, _, feed = text.rpartition(":")
    if symbol and feed in (*FEEDS, *DERIVED):
        return StreamName(symbol, feed)
    known = (*FEEDS, *DERIVED)
    raise NotInLake(f"{text!r} names no live stream; write SYMBOL:FEED, with a feed of {', '.join(known)}",
                    available=known)  # fmt: skip
