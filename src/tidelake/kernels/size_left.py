"""What trades left of the last snapshot's levels: a model, for books of which nothing is told between snapshots."""

from tidelake.kernels.compiling import kernel
from tidelake.kernels.replay_codes import DELTA, TRADE

UNKNOWN = -1


@kernel
def take_from_snapshots(kind, level_from, side, tick, lots, held, count, left):
    """Takes each trade from the side that it met, and writes what is left at its price.

    Args:
        kind: uint8[n], `replay_codes`; a PART or WHOLE is a snapshot, a DELTA changes nothing.
        level_from: int64[n + 1], where the levels of each event begin.
        side: uint8[m], 0 bid, 1 ask; of a trade 0 where the taker bought, and so from asks, 1 where it sold.
        tick, lots: int64[m].
        held: int64[3, room], the last snapshot's side, tick and what is left; changed. room >= levels of any snapshot.
        count: int64[1], how many levels it has; changed.
        left: int64[n], written: what is left at a trade's price, not below 0; UNKNOWN where the snapshot does not show
            the price, or the event is no trade.

    Trusts: shapes. Cost: O(levels of the snapshot) per trade. Oracle: dicts, in tests/books.
    """
    for i in range(len(kind)):
        left[i] = UNKNOWN
        if kind[i] == DELTA:
            continue
        start, end = level_from[i], level_from[i + 1]
        if kind[i] != TRADE:
            count[0] = end - start
            for level in range(start, end):
                held[0, level - start], held[1, level - start] = side[level], tick[level]
                held[2, level - start] = lots[level]
            continue
        for level in range(count[0]):
            if held[1, level] == tick[start] and held[0, level] == 1 - side[start]:
                held[2, level] = max(0, held[2, level] - lots[start])
                left[i] = held[2, level]
                break
