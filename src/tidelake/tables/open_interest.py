"""The `open_interest` table: how much of a contract is held open, as the venue counts it.

`open_interest` is in `size_unit`; `open_interest_base` and `open_interest_quote` are the same amount in the base and
the quote asset where the venue says them itself: nothing is converted here. `interest_id` is
"<event_us>-<first 16 hex digits of the payload's SHA-256>".
"""

from tidelake.tables.schema import Table, event_time, exact, text

OPEN_INTEREST = Table(
    name="open_interest",
    facts=(
        text("source"),
        text("symbol"),
        text("channel"),
        text("interest_id"),
        event_time(),
        exact("open_interest"),
        text("size_unit"),
        exact("open_interest_base", nullable=True),
        exact("open_interest_quote", nullable=True),
    ),
    key=("source", "symbol", "channel", "interest_id"),
    restatable=False,
    ids=("interest_id", ""),
)
