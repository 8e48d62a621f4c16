"""A market of several venues with known truth: trades are a pure function of (seed, start, listing, number).

Trades are made in blocks of 1,024 that each fill the same stretch of time, so that any page can be made directly.
Within a block, times are drawn evenly and sorted, a quarter of the trades share the time and side of the one before
(one taker order that hit several resting ones), prices follow the shared path of `sim.reference` with a spread and a
small basis of the venue's own, and all prices and sizes are whole ticks and lots.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import numpy as np

from tidelake.errors import NotInLake
from tidelake.sim.listing import Listing, Trades, joined
from tidelake.sim.reference import Ints, noise, reference_usd, seed_of

BLOCK = 1024
DAY_NS = 86_400 * 10**9
KEPT_BLOCKS = 512
Clock = Callable[[], int]


class Tape:
    """The trades of one listing. `seq` counts from 1 at the market's start; `number` is the venue's own numbering."""

    def __init__(self, listing: Listing, *, seed: int, start_ns: int, rate: float, jumps: Sequence[tuple[int, int]]):
        self.listing = listing
        self.seed = seed
        self.start_ns = start_ns
        self.block_ns = max(int(BLOCK / rate * 1e9) // listing.clock_ns, 2 * BLOCK) * listing.clock_ns
        self.jumps = tuple(sorted(jumps))
        self._blocks: dict[int, Trades] = {}
        self._aggregates: list[int] = [0]
        self._lock = threading.Lock()

    def block(self, number: int) -> Trades:
        """Trades number * BLOCK + 1 to (number + 1) * BLOCK."""
        found = self._blocks.get(number)
        if found is None:
            if len(self._blocks) >= KEPT_BLOCKS:
                self._blocks.clear()
            found = self._blocks[number] = self._make(number)
        return found

    def _make(self, number: int) -> Trades:
        listing = self.listing
        rng = np.random.Generator(np.random.PCG64(seed_of(self.seed, listing.key, number)))
        room = self.block_ns - BLOCK * listing.clock_ns  # so that making times distinct stays inside the block
        offset = np.sort(rng.integers(0, room, BLOCK)) // listing.clock_ns * listing.clock_ns
        same = rng.random(BLOCK) < 0.25
        same[0] = False
        leader = np.maximum.accumulate(np.where(same, 0, np.arange(BLOCK)))
        time_ns = self.start_ns + number * self.block_ns + offset[leader]
        if listing.distinct_times:
            least = np.arange(BLOCK) * listing.clock_ns
            time_ns = np.maximum.accumulate(time_ns - least) + least
        buy = (rng.random(BLOCK) < 0.5)[leader]
        depth = (np.arange(BLOCK) - leader) // 2
        ticks = self._ticks(time_ns, buy, depth)
        lots = self._lots(time_ns, rng.random(BLOCK))
        seq = np.arange(number * BLOCK + 1, (number + 1) * BLOCK + 1)
        return Trades(listing, seq, self.numbers(seq), time_ns + listing.clock_offset_ns, ticks, lots, buy)

    def _ticks(self, time_ns: Ints, buy: Any, depth: Ints) -> Ints:
        listing = self.listing
        mid = np.full(len(time_ns), listing.price_scale)
        if listing.kind != "option":
            base, quote = (reference_usd(asset, time_ns, self.seed) for asset in (listing.base, listing.quote))
            mid = mid * base / quote
        basis = 1.0 + 0.0002 * noise(time_ns, 600 * 10**9, seed_of(self.seed, "basis", listing.key))
        side = np.where(buy, 1, -1)
        away = 0.00005 * mid / float(listing.tick)
        ticks = np.rint(mid * basis / float(listing.tick) + side * away).astype(np.int64) + side * depth
        return np.maximum(ticks, 1)

    def _lots(self, time_ns: Ints, draw: Any) -> Ints:
        listing = self.listing
        usd = 10.0 * (1.0 + 2999.0 * draw * draw * draw * draw)
        if listing.size_unit == "quote" or listing.contract_unit == "USD":
            lot_usd = np.full(len(time_ns), float(listing.lot * listing.contract_size))
        else:
            lot_usd = float(listing.lot * listing.contract_size) * reference_usd(listing.base, time_ns, self.seed)
        lots: Ints = np.maximum(np.rint(usd / lot_usd).astype(np.int64), listing.min_lots)
        return lots

    def numbers(self, seq: Ints) -> Ints:
        """The venue's numbers of these counts: a jump (at, by) adds `by` to every number after trade `at`."""
        number = seq.copy()
        for at, by in self.jumps:
            number[seq > at] += by
        return number

    def seq_from(self, number: int) -> int:
        """The count of the first trade whose number is `number` or larger."""
        seq, shift = max(number, 1), 0
        for at, by in self.jumps:
            if number <= at + shift:
                break
            shift += by
            seq = max(number - shift, at + 1)
        return seq

    def happened(self, now_ns: int) -> int:
        """How many trades have happened at or before now."""
        return self.seq_since(now_ns + 1) - 1

    def seq_since(self, time_ns: int) -> int:
        """The count of the first trade at or after the time."""
        offset = time_ns - self.start_ns
        if offset <= 0:
            return 1
        number = offset // self.block_ns
        return int(number * BLOCK + np.searchsorted(self.block(number).time_ns, time_ns, side="left")) + 1

    def between(self, first: int, last: int) -> Trades:
        """Trades with first <= seq <= last, in order; counts below 1 do not exist."""
        first = max(first, 1)
        if last < first:
            return self.block(0)[:0]
        low, high = (first - 1) // BLOCK, (last - 1) // BLOCK
        table = joined([self.block(number) for number in range(low, high + 1)])
        return table[first - 1 - low * BLOCK : last - low * BLOCK]

    def visible(self, first: int, last: int, now_ns: int, *, limit: int, newest: bool) -> Trades:
        """At most `limit` of the trades first..last that the venue shows now, in order, from one end."""
        last = min(last, self.happened(now_ns))
        first = max(first, 1)
        if newest:
            first = max(first, last - limit + 1)
        else:
            last = min(last, first + limit - 1)
        return self.between(first, last)

    def aggregate_starts(self, number: int) -> Ints:
        """Places in a block where a new aggregate begins: another time, side or price than the trade before."""
        block = self.block(number)
        new = np.ones(BLOCK, dtype=bool)
        new[1:] = (
            (block.time_ns[1:] != block.time_ns[:-1])
            | (block.buy[1:] != block.buy[:-1])
            | (block.ticks[1:] != block.ticks[:-1])
        )
        return np.flatnonzero(new)

    def aggregates_before(self, number: int) -> int:
        """How many aggregates all blocks before this one hold."""
        with self._lock:
            while len(self._aggregates) <= number:
                done = len(self._aggregates) - 1
                self._aggregates.append(self._aggregates[-1] + len(self.aggregate_starts(done)))
        return self._aggregates[number]


class Market:
    """Several venues' trades with known truth.

    Args:
        seed: Same seed, start and rate: same trades, in every process.
        start_ns: Time of the first trades, rounded down to a second; by default the midnight (UTC) at least `hours`
            before the clock at creation.
        hours: See `start_ns`.
        rate: Trades per second of each listing, or by listing key ("coinbase:BTC-USD"; missing ones have 1).
        clock: The present, ns since 1970 UTC.
        jumps: By listing key, (at, by): after trade `at` the venue's numbers skip `by`.
    """

    def __init__(
        self,
        seed: int = 1,
        *,
        start_ns: int | None = None,
        hours: float = 6.0,
        rate: float | Mapping[str, float] = 1.0,
        clock: Clock = time.time_ns,
        jumps: Mapping[str, Sequence[tuple[int, int]]] | None = None,
    ) -> None:
        if start_ns is None:
            start_ns = (clock() - int(hours * 3600) * 10**9) // DAY_NS * DAY_NS
        self.seed = seed
        self.start_ns = start_ns // 10**9 * 10**9
        self.rate = rate
        self.clock = clock
        self.jumps = dict(jumps or {})
        self._tapes: dict[str, Tape] = {}

    def listings(self, source: str) -> tuple[Listing, ...]:
        """What the venue lists.

        Raises:
            NotInLake: No simulated venue has this source id.
        """
        from tidelake.sim.venues import simulated

        return simulated(source).listings(self.start_ns)

    def listing(self, source: str, symbol: str) -> Listing:
        """One listing, by canonical symbol or the venue's own.

        Raises:
            NotInLake: The venue does not list it.
        """
        found = self.listings(source)
        for listing in found:
            if symbol == listing.symbol:
                return listing
        for listing in found:
            if symbol == listing.venue_symbol:
                return listing
        raise NotInLake(f"{source} lists no {symbol!r}", available=[listing.symbol for listing in found])

    def tape(self, listing: Listing) -> Tape:
        """The trades of the listing."""
        tape = self._tapes.get(listing.key)
        if tape is None:
            rate = self.rate if isinstance(self.rate, (int, float)) else self.rate.get(listing.key, 1.0)
            tape = Tape(
                listing,
                seed=self.seed,
                start_ns=self.start_ns,
                rate=rate,
                jumps=self.jumps.get(listing.key, ()),
            )
            self._tapes[listing.key] = tape
        return tape

    def add_jumps(self, source: str, jumps: Sequence[tuple[int, int]]) -> None:
        """Makes the numbers of all the venue's numbered listings jump; jumps that they have already change nothing."""
        for listing in self.listings(source):
            if listing.numbered:
                self.jumps[listing.key] = tuple(sorted({*self.jumps.get(listing.key, ()), *jumps}))
                self._tapes.pop(listing.key, None)

    def truth(self, source: str, symbol: str, until_ns: int | None = None, since_ns: int = 0) -> Trades:
        """All trades with since_ns <= time <= until_ns (by default, now), in order; faults do not touch them."""
        tape = self.tape(self.listing(source, symbol))
        until_ns = self.clock() if until_ns is None else until_ns
        return tape.between(tape.seq_since(since_ns), tape.happened(until_ns))

    def truth_rows(
        self, source: str, symbol: str, until_ns: int | None = None, since_ns: int = 0
    ) -> list[dict[str, object]]:
        """`truth` as rows with the names and types of the `trades` table; `event_us` is in us since 1970 UTC."""
        from tidelake.sim.venues import simulated

        trades = self.truth(source, symbol, until_ns, since_ns)
        listing = trades.listing
        ids = simulated(source).trade_ids(trades, self.seed)
        rows = zip(ids, *(column.tolist() for column in columns(trades)), strict=True)
        return [
            {
                "source": source,
                "symbol": listing.symbol,
                "trade_id": trade_id,
                "trade_seq": number if listing.numbered else None,
                "event_us": time_ns // 1000,
                "price": ticks * listing.tick,
                "size": lots * listing.lot,
                "size_unit": listing.size_unit,
                "side": "buy" if buy else "sell",
            }
            for trade_id, number, time_ns, ticks, lots, buy in rows
        ]


def columns(trades: Trades) -> tuple[Any, ...]:
    """Number, time, ticks, lots and side, the columns that every wire format needs."""
    return trades.number, trades.time_ns, trades.ticks, trades.lots, trades.buy


def trade_uuids(trades: Trades, seed: int) -> list[str]:
    """Ids of venues that number nothing: one UUID per trade, from the seed, the listing and the count."""
    keys = (seed_of(seed, trades.listing.key, seq) for seq in trades.seq.tolist())
    return [str(UUID(int=key << 64 | seed_of(key), version=5)) for key in keys]
