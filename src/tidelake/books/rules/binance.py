"""Binance: spot, USD-M and COIN-M.

Source:  https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams#how-to-manage-a-local-order-book-correctly
         https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams/How-to-manage-a-local-order-book-correctly
Quirks:  Spot counts every change: U is the u before it plus one. Futures leave numbers out and name the u before in pu.
         A bookTicker with the u of a depth update says the same best prices and sizes.
         Ids are the venue's own, the same on every connection.
Samples: captures/cryptofeed/BINANCE*, captures/hftbacktest-2024-08
"""

from dataclasses import replace

from tidelake.books.rules.spec import BookRule, Join, Link

_SPOT = BookRule("binance-spot/1", Link.COUNTS, Join.NEXT, continues=True, quotes=True, channels=("depth",))
_USDM = replace(_SPOT, version="binance-usdm/1", link=Link.NAMES, join=Join.SPANS)
RULES = {
    "binance-spot": (_SPOT,),
    "binance-usdm": (_USDM,),
    "binance-coinm": (replace(_USDM, version="binance-coinm/1"),),
}
