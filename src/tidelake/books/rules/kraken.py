"""Kraken, WebSocket v1 (`book-1000`) and v2 (`book`).

Source:  https://docs.kraken.com/api/docs/guides/spot-ws-book-v1, https://docs.kraken.com/api/docs/guides/spot-ws-book-v2
Quirks:  No numbers. Each update carries the CRC32 of the book's ten best asks and bids after it.
         The receiver cuts the book to the subscribed depth after each message; without that old levels come back.
         v1 sends strings, whose digits are the text; v2 sends numbers, padded to the decimals of the instrument.
Samples: captures/cryptofeed/KRAKEN.ws.50.0
"""

from tidelake.books.rules.spec import BookRule, Checksum

RULES = {"kraken": (BookRule("kraken/1", checksum=Checksum.KRAKEN, channels=("book",)),)}
