"""Events of the slow replay as columns, and what the kernels tell in the shape of what the slow one tells."""

from typing import Any

import numpy as np
import pyarrow as pa

from tests.books.reconstruction.slow_replay import DELTA, PART, TRADE, WHOLE, After, Event, Judged
from tidelake.books.reconstruction.batch import EventBatch
from tidelake.books.reconstruction.replay import NO_GRID
from tidelake.kernels import replay_codes as codes
from tidelake.kernels.dense_book import NO_TICK

KINDS = {TRADE: codes.TRADE, DELTA: codes.DELTA, PART: codes.PART, WHOLE: codes.WHOLE}
VERDICTS = {codes.BEGAN: "began", codes.AGREED: "agreed", codes.DRIFTED: "drifted"}
WORDS = {
    codes.FLAG_NOT_BEGUN: "not begun",
    codes.FLAG_BROKEN: "broken",
    codes.FLAG_PAST_DEPTH: "past depth",
    codes.FLAG_CROSSED: "crossed",
    codes.FLAG_BEGAN: "began",
    codes.FLAG_AGREED: "agreed",
    codes.FLAG_DRIFTED: "drifted",
}


def as_batch(events: list[Event], place: int = 0) -> EventBatch:
    """The events, the first of which has this place; receive clock and row tell each one's place."""
    n = len(events)
    places = np.arange(place, place + n)
    levels = np.array([level for event in events for level in event.levels], np.int64).reshape(-1, 3)
    return EventBatch(
        kind=np.array([KINDS[event.kind] for event in events], np.uint8),
        clock_ns=np.array([event.clock_ns for event in events], np.int64),
        event_ns=places + 3000,
        recv_ns=places + 1000,
        sequence=places + 2000,
        broken=np.array([event.broken for event in events], np.uint8),
        exact=np.array([event.exact for event in events], np.uint8),
        level_from=np.cumsum([0, *(len(event.levels) for event in events)]),
        side=levels[:, 0].astype(np.uint8),
        tick=levels[:, 1].copy(),
        lots=levels[:, 2].copy(),
        file=np.zeros(n, np.int32),
        row=places,
        trade_id=pa.nulls(n, pa.string()),
    )


def as_after(out) -> list[After]:
    return [
        After(
            [(tick, lots) if tick != NO_TICK else None for tick, lots in zip(*best, strict=True)],
            [bool(known) for known in is_known],
            {word for flag, word in WORDS.items() if flags & flag},
        )
        for *best, is_known, flags in zip(
            out.best_tick.tolist(), out.best_lots.tolist(), out.known.tolist(), out.flags.tolist(), strict=True
        )
    ]


def as_judged(out) -> list[Judged]:
    found = out.compared
    assert (found.recv_ns == found.place + 1000).all()
    assert (found.sequence == found.place + 2000).all()
    assert (found.event_ns == found.place + 3000).all()
    assert (found.row == found.place).all()
    columns = found.at + out.place, found.place, found.verdict, found.until, found.levels, found.prices, found.sizes
    rows = zip(*(column.tolist() for column in (*columns, found.best_rms)), strict=True)
    return [Judged(at, place, VERDICTS[verdict], *rest) for at, place, verdict, *rest in rows]


def as_shown(out) -> list[tuple[Any, ...]]:
    shown = out.shown
    rows = []
    for i in range(len(shown.after)):
        levels = [
            [(t, q) for t, q in zip(shown.tick[i, s].tolist(), shown.lots[i, s].tolist(), strict=True) if t != NO_TICK]
            for s in (0, 1)
        ]
        grid_ns = None if shown.grid_ns[i] == NO_GRID else int(shown.grid_ns[i])
        rows.append((out.place + int(shown.after[i]), grid_ns, levels, shown.known[i].tolist()))
    return rows
