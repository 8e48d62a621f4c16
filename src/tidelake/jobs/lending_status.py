"""What is collected of each lending market, what failed, and what is stale; from the raw log alone."""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tidelake.jobs.lending_lanes import LogsHeld, days_held, logs_held, pins_held
from tidelake.jobs.logs_since_deployment import since_deployment
from tidelake.lending.families.registry import FAMILIES
from tidelake.lending.grid import DAY, end_of, label
from tidelake.lending.market import Market
from tidelake.raw.codec import key_from_environment
from tidelake.raw.store import Store


@dataclass(frozen=True, slots=True)
class MarketStatus:
    """What is in the lake of one market.

    Attributes:
        market, chain: Which.
        first, last: First and last grid time with a word; "" where there is none.
        ok, not_deployed, failed, retracted: Grid times by state; failed are SOURCE_FAILED and REFUSED.
        holes: Days between the first and the last without a word.
        logs_missing: OK days whose logs are not known, as far as the day before is pinned.
        logs_proven: OK days whose logs are proven: by two providers, or by the headers of all blocks.
        logs_unproven: OK days whose logs are one provider's word: it may have left some out.
        state_logs_missing: OK days of which amounts are not known that only logs tell (the collateral of Morpho),
            because not all of these logs since the deployment are known: they are null then, never zero.
        state_logs_unproven: OK days of which they are known by one provider's word.
        without_oracle: OK grid times at which the market's own oracle was asked and told no prices; they stand.
        stale_days: Whole UTC days that have ended since the last that is OK; None where none is.
        reason: Why the last that failed did; where none did, why logs are missing.
    """

    market: str
    chain: str
    first: str = ""
    last: str = ""
    ok: int = 0
    not_deployed: int = 0
    failed: int = 0
    retracted: int = 0
    holes: int = 0
    logs_missing: int = 0
    logs_proven: int = 0
    logs_unproven: int = 0
    state_logs_missing: int = 0
    state_logs_unproven: int = 0
    without_oracle: int = 0
    stale_days: int | None = None
    reason: str = ""


def lending_status(store: Store, markets: Sequence[Market], now: dt.datetime) -> list[MarketStatus]:
    """The status of markets, in their order; `now` is what staleness is counted to."""
    key = key_from_environment()
    logs = {name: logs_held(store, name, key) for name in {market.chain for market in markets}}
    pins = {name: pins_held(store, name, key) for name in logs}
    found = []
    for market in markets:
        notes = days_held(store, market.id, key).notes
        states = Counter(note.state for note in notes.values())
        grids = sorted((grid for grid in notes if end_of(grid) is not None), key=lambda grid: (end_of(grid), grid))
        good = [grid for grid in grids if notes[grid].state == "OK"]
        failed = [note for note in notes.values() if note.state in ("SOURCE_FAILED", "REFUSED")]
        missing = proven = unproven = 0
        for grid in good:
            end = end_of(grid)
            assert end is not None, "grids without an end are left out above"
            step = DAY if "T" not in grid else dt.timedelta(hours=1)
            pin, before = pins[market.chain].get(grid), pins[market.chain].get(label(end - 2 * step, step))
            if pin is not None and before is not None:
                span, held = (market.id, before.block + 1, pin.block), logs[market.chain]
                is_proven, is_known = held.covers(*span, proven=True), held.covers(*span, proven=False)
                missing += not is_known
                proven += is_proven
                unproven += is_known and not is_proven
        blocks = [notes[grid].block or 0 for grid in good]
        stateless = _without_state(market, logs[market.chain], blocks, proven=False)
        found.append(
            MarketStatus(
                market=market.id,
                chain=market.chain,
                first=grids[0] if grids else "",
                last=grids[-1] if grids else "",
                ok=states["OK"],
                not_deployed=states["NOT_DEPLOYED"],
                failed=len(failed),
                retracted=states["RETRACTED"],
                holes=_holes(grids),
                logs_missing=missing,
                logs_proven=proven,
                logs_unproven=unproven,
                state_logs_missing=stateless,
                state_logs_unproven=_without_state(market, logs[market.chain], blocks, proven=True) - stateless,
                without_oracle=sum(bool(notes[grid].oracle_fault) for grid in good),
                stale_days=_stale(good[-1], now) if good else None,
                reason=failed[-1].reason if failed else _why_without_logs(market, logs[market.chain]),
            )
        )
    return found


def _without_state(market: Market, logs: LogsHeld, blocks: Sequence[int], *, proven: bool) -> int:
    """At how many of these blocks amounts that only logs tell are not known."""
    if market.family not in FAMILIES:
        return 0
    wanted = since_deployment(market)
    covered = [
        all(logs.covers(market.id, one.first, block, proven=proven, told=one.told) for one in wanted)
        for block in blocks
    ]
    return covered.count(False)


def _why_without_logs(market: Market, held: LogsHeld) -> str:
    told = [f"logs: {note.reason}" for (name, *_), note in held.failed.items() if name == market.id]
    return told[-1] if told else ""


def _holes(grids: Sequence[str]) -> int:
    days = sorted({grid[:10] for grid in grids})
    if not days:
        return 0
    first, last = dt.date.fromisoformat(days[0]), dt.date.fromisoformat(days[-1])
    return (last - first).days + 1 - len(days)


def _stale(grid: str, now: dt.datetime) -> int:
    end = end_of(grid)
    assert end is not None, "blocks are left out"
    return max(0, (now - end) // DAY)
