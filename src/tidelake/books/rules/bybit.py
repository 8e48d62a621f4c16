"""Bybit: v5 (`orderbook.500`) and the legacy format of recordings (`orderBookL2_25`, `orderBook_200`).

Source:  https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook
Quirks:  `u` counts the updates of one book by one, in the recording on 49 of 49 steps; `seq` orders but leaves out.
         A snapshot overwrites whenever it comes, and so does a message with u = 1, after a restart of the service;
         the venue says that a snapshot is always the latest. One with a lower u and an earlier ts than what was taken
         since is a frame that came late; so is such an update.
         The legacy format numbers over all symbols (`cross_seq`) and so proves nothing of one.
Samples: captures/bybit-v5, captures/cryptofeed/BYBIT.ws.*
"""

from tidelake.books.rules.spec import BookRule, Link, Reset

RULES = {
    "bybit": (
        BookRule("bybit/2", link=Link.STEPS, reset=Reset.ONE, channels=("orderbook.",)),
        BookRule("bybit-legacy/1", channels=("orderBook",)),
    )
}
