"""Coinbase: Exchange (`level2`) and Advanced Trade (`level2`, answered as `l2_data`).

Source:  https://docs.cdp.coinbase.com/exchange/websocket-feed/channels, https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels
Quirks:  Exchange numbers and checks no book message: what it sends can never be proven.
         Advanced numbers all messages of a connection, over all channels, in sequence_num: a jump loses a message of
         an unknown book, so that every book of the connection is lost.
Samples: captures/cryptofeed/COINBASE.ws.28.0 (Exchange)
"""

from tidelake.books.rules.spec import BookRule

RULES = {
    "coinbase": (BookRule("coinbase/1"),),
    "coinbase-advanced": (BookRule("coinbase-advanced/1", connection=True),),
}
