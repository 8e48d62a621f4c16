"""Rows of one vendor table as plain columns, faults and all: what the measures take."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.uint8]
Keys = npt.NDArray[np.uint64]

FIRST, SECOND, UNKNOWN = range(3)  # sides: bid or a taker that buys, ask or a taker that sells


@dataclass(frozen=True, slots=True)
class Rows:
    """n rows in the order of their file. Columns that the table does not have are None.

    Attributes:
        event_ns: int64[n], the exchange's clock as it is told, ns since 1970; 0 where it is null.
        event_null: bool[n], where it is null.
        recv_ns: int64[n], the recorder's clock; 0 where it is null.
        sequence: int64[n]; -1 where it is null.
        side: uint8[n]; FIRST, SECOND, UNKNOWN.
        price, size: float64[n]; NaN where null. Measures need no more digits than that.
        trade_key: uint64[n], a hash of the trade's id; 0 where it has none.
        trade_number: int64[n], the id where it is a number, else -1.
        whole: bool[n], where a row belongs to a whole book (Tardis: `is_snapshot`).
        prices, sizes: float64[n, 2, depth] of snapshots: bids, asks, best first; NaN where there is no level.
    """

    event_ns: Integers
    event_null: Flags
    recv_ns: Integers
    sequence: Integers | None = None
    side: Codes | None = None
    price: Floats | None = None
    size: Floats | None = None
    trade_key: Keys | None = None
    trade_number: Integers | None = None
    whole: Flags | None = None
    prices: Floats | None = None
    sizes: Floats | None = None

    def __len__(self) -> int:
        return len(self.recv_ns)

    def taken(self, chosen: Flags | slice) -> "Rows":
        """Some of the rows."""
        columns: dict[str, Any] = {}
        for name in Rows.__slots__:
            column = getattr(self, name)
            columns[name] = None if column is None else column[chosen]
        return Rows(**columns)


class MessageStarts:
    """Finds where messages begin; one that goes on in the next batch is not begun again there.

    Args:
        words: The columns that are equal for all rows of a message, as `VendorTable.message` names them; none: each
            row is a message.
    """

    NAMES = {"sequence": "sequence", "recv_time": "recv_ns", "is_snapshot": "whole", "event_time": "event_ns"}

    def __init__(self, words: tuple[str, ...]) -> None:
        self._columns = [self.NAMES[word] for word in words]
        self._last: tuple[int, ...] | None = None

    def of(self, rows: Rows) -> Flags:
        """bool[n], true at the first row of each message."""
        if not self._columns or not len(rows):
            return np.ones(len(rows), dtype=np.bool_)
        found = [getattr(rows, name) for name in self._columns]
        columns = [column for column in found if column is not None]
        starts = np.zeros(len(rows), dtype=np.bool_)
        for column in columns:
            starts[1:] |= column[1:] != column[:-1]
        first = tuple(int(column[0]) for column in columns)
        starts[0] = first != self._last
        self._last = tuple(int(column[-1]) for column in columns)
        return starts
