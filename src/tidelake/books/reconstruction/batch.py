"""Events of one symbol in the order of their replay, as columns: what the streams give and the kernels take."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Integers = npt.NDArray[np.int64]
Small = npt.NDArray[np.int32]
Codes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class EventBatch:
    """n events with m levels; a message of the venue is never cut in two.

    Attributes:
        kind: uint8[n], `kernels.replay_codes`.
        clock_ns: int64[n], the declared clock, ns since 1970; never decreases, also not from batch to batch.
        event_ns: int64[n], the exchange's clock; 0 where it told none. Clocks are those of an event's last row.
        recv_ns: int64[n], the recorder's clock.
        sequence: int64[n], the exchange's number; NO_SEQUENCE where there is none.
        broken: uint8[n], 1 where messages before this one are proven to be missing.
        exact: uint8[n], 1 where a PART shows the book as it is after the events before it; 0 where it may show some of
            the next message too. 0 for other kinds: a WHOLE always shows it as it is.
        level_from: int64[n + 1], where the levels of each event begin. A trade has one; those of a PART are its bids,
            then its asks, the best first.
        side: uint8[m], 0 bid or a taker that buys, 1 ask or a taker that sells, 2 a taker of unknown side.
        tick: int64[m], price in units of 10**price_exponent.
        lots: int64[m] >= 0, size in units of 10**size_exponent; 0 in a DELTA removes the level.
        file: int32[n], which of the stream's files it stands in.
        row: int64[n], its first row there, from 0. Levels of a DELTA or WHOLE stand in rows of their own, one after
            the other unless the file is out of order; those of a PART in one.
        trade_id: string[n], null where the event is no trade, or has no id.
    """

    kind: Codes
    clock_ns: Integers
    event_ns: Integers
    recv_ns: Integers
    sequence: Integers
    broken: Codes
    exact: Codes
    level_from: Integers
    side: Codes
    tick: Integers
    lots: Integers
    file: Small
    row: Integers
    trade_id: pa.Array

    def __len__(self) -> int:
        return len(self.kind)
