"""A toy source for the tests of the raw log: payloads {"id": .., "t": ..} of one stream."""

import json
import re

from tidelake.raw.entry import Claim, Entry, Span
from tidelake.raw.frame import Frame
from tidelake.raw.lane import LaneWriter
from tidelake.raw.ledger import Ledger
from tidelake.raw.segments import iter_frames
from tidelake.raw.store import Store

LANE = "toy.trades.BTC-USD"
SOURCE = "toy"
_TRADE = re.compile(rb'"payload":\{"id":(\d+),"t":(\d+)\}')


def describe(lines: bytes, context: dict[str, str]) -> tuple[tuple[Claim, ...], dict[str, str]]:
    """One claim with the runs of ids; the context counts the trades seen so far."""
    found = [(int(number), int(t)) for number, t in _TRADE.findall(lines)]
    after = {**context, "seen": str(int(context.get("seen", "0")) + len(found))} if found else context
    trades = sorted(set(found))
    spans: list[Span] = []
    for number, t in trades:
        if spans and number == spans[-1].last + 1:
            spans[-1] = Span(spans[-1].first, number, spans[-1].first_ns, t)
        else:
            spans.append(Span(number, number, t, t))
    claim = Claim("trades", "BTC-USD", "trade_seq", "ws", len(found), tuple(spans))
    return ((claim,) if found else ()), after


def trade(number: int) -> bytes:
    """The payload of one trade; its event time is ten times its id."""
    return b'{"id":%d,"t":%d}' % (number, number * 10)


def writer(store: Store, lane: str = LANE, **options) -> LaneWriter:
    return LaneWriter(store, lane, SOURCE, describe=describe, **options)


def append(lane: LaneWriter, *numbers: int) -> None:
    """Append trades with their id as the receive clock, in µs."""
    for number in numbers:
        lane.append(payload=trade(number), kind="frame", recv_ns=number * 1000, mono_ns=number)


def seal_each(store: Store, count: int, per_entry: int = 3, **options) -> list[Entry]:
    """A lane of `count` entries with `per_entry` trades each, ids from 0."""
    entries = []
    with writer(store, **options) as lane:
        for i in range(count):
            append(lane, *range(i * per_entry, (i + 1) * per_entry))
            entry = lane.seal()
            assert entry is not None
            entries.append(entry)
    return entries


def frames(store: Store, lane: str = LANE, key: bytes | None = None) -> list[Frame]:
    return [frame for entry in Ledger(store).entries(lane) for frame in iter_frames(store, entry.segment, key)]


def ids(store: Store, lane: str = LANE, key: bytes | None = None) -> list[int]:
    """The ids of the lane's trades, in order."""
    return [json.loads(frame.payload)["id"] for frame in frames(store, lane, key)]


def part_files(store: Store) -> list[str]:
    return sorted(path.name for path in store.spool().iterdir())
