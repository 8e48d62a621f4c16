"""Trades of a lane on their way to a vendor's files: those that its sockets told, each once."""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from tidelake.raw.entry import Entry
from tidelake.tables.decode import decode
from tidelake.tables.mapping import Mapping
from tidelake.tables.segment_lines import SegmentLines
from tidelake.tables.trades import TRADES

BY_REST = "trades of pages asked for by REST"
MERGED = "trades that the venue had merged"
REMEMBERED = 1 << 17  # ids of a symbol, to find those that come again after a connection was made anew


class TakerTrade(NamedTuple):
    """One trade, or several of one taker order and price.

    Attributes:
        recv_ns: Receive clock of the last of them.
        event_us: The venue's clock.
        trade_id: Of the last of them.
        side: The taker's, "buy" or "sell".
    """

    recv_ns: int
    event_us: int
    trade_id: str
    side: str
    price: Decimal
    size: Decimal


def merge_taker_orders(trades: Iterable[TakerTrade]) -> Iterator[TakerTrade]:
    """Consecutive trades of equal event time, side and price as one.

    No venue tells the taker's order in its public trades: two orders that take one price within one tick of the
    venue's clock, one right after the other, become one here.
    """
    held: TakerTrade | None = None
    for trade in trades:
        if held is not None and trade[1:2] + trade[3:5] == held[1:2] + held[3:5]:
            held = trade._replace(size=held.size + trade.size)
        else:
            if held is not None:
                yield held
            held = trade
    if held is not None:
        yield held


class TradeReader:
    """Reads the trades of the lanes of one source."""

    def __init__(self, source: str, mappings: Sequence[Mapping]) -> None:
        self._source = source
        self._mappings = mappings

    def read(
        self, entry: Entry, lines: SegmentLines, start_ns: int, end_ns: int
    ) -> tuple[pa.Table, Counter[tuple[str, str]]]:
        """The trades of an entry that a socket told in that time, as rows of `trades`; others by symbol and reason."""
        segment = entry.segment.sha256[:16]
        rows = decode(TRADES, self._source, lines, segment, dict(entry.context), self._mappings).rows
        recv_ns = rows["recv_ns"].to_numpy()
        rows = rows.filter(pa.array((recv_ns >= start_ns) & (recv_ns < end_ns)))
        told = pc.equal(rows["transport"], "ws")
        single = pc.equal(rows["grain"], "trade")
        left: Counter[tuple[str, str]] = Counter()
        for why, flags in ((BY_REST, pc.invert(told)), (MERGED, pc.and_(told, pc.invert(single)))):
            left.update((symbol, why) for symbol in rows["symbol"].filter(flags).to_pylist())
        return rows.filter(pc.and_(told, single)), left


class TradesOnce:
    """The trades of one symbol, without those that came before: known by id."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, None] = OrderedDict()

    def take(self, rows: pa.Table, days: Sequence[int]) -> tuple[list[TakerTrade], list[int]]:
        """The trades in rows of one symbol, and of each its day; without repetitions."""
        names = ("recv_ns", "event_time", "trade_id", "side", "price", "size")
        cells = [rows[name].cast(pa.int64()) if name == "event_time" else rows[name] for name in names]
        trades = zip(*(cell.to_pylist() for cell in cells), strict=True)
        new = [(TakerTrade(*row), day) for row, day in zip(trades, days, strict=True) if self._is_new(row[2])]
        return [trade for trade, _ in new], [day for _, day in new]

    def _is_new(self, trade_id: str) -> bool:
        if trade_id in self._seen:
            return False
        self._seen[trade_id] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return True
