"""Deribit: `book.{instrument}.{interval}`, all levels.

Source:  https://docs.deribit.com/subscriptions/orderbook/bookinstrument_nameinterval
Quirks:  prev_change_id names the change_id before; the first message is a snapshot without one.
         A snapshot with a lower change_id and an earlier time than what was taken since is a frame that came late.
         Grouped books (`book.{instrument}.{group}.{depth}.{interval}`) are whole each time and name nothing before.
Samples: captures/cryptofeed/DERIBIT.ws.1.0
"""

from tidelake.books.rules.spec import BookRule, Link

RULES = {"deribit": (BookRule("deribit/2", link=Link.NAMES),)}
