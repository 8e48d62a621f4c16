"""The machine of one coin: a state and an observation in, records out. It knows no clock, no file and no other coin.

Time is what observations say: the latest `event_us` seen is the event clock. A window is OPEN until that clock reaches
its end, PROVISIONAL from then on, and FINAL once its grace has passed and all blocks before its end are of tier 3. What
a FINAL window says is a function of the facts alone, however they came: late, doubled, shuffled, taken back and told
again. What would change one is never applied, and recorded.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from tidelake.stablecoins.lane import MANY_SKIPPED, Lane
from tidelake.stablecoins.observation import (
    FACTS,
    MICROS,
    MOST_CHANGED,
    Head,
    Observation,
    Retraction,
    Violation,
    refusal,
)
from tidelake.stablecoins.records import CorrectionRow, IncidentRow, Record, WindowRow
from tidelake.stablecoins.score import PRIOR, Exponents
from tidelake.stablecoins.series import MOVED, UNCHANGED
from tidelake.stablecoins.setup import CoinSetup
from tidelake.stablecoins.signals import Rules
from tidelake.stablecoins.state import State, Track, new_state
from tidelake.stablecoins.window_book import WindowBook
from tidelake.stablecoins.windows import DECIMALS, tokens

NOTHING: Final[tuple[Record, ...]] = ()
IS_FACT: Final = frozenset(FACTS)


class Machine:
    """Steps of one coin.

    Args:
        setup: The coin.
        state: Goes on from there; a new one by default. It is changed in place.
        rules: When signals are signals.
        powers: Exponents of the score.
    """

    def __init__(
        self, setup: CoinSetup, state: State | None = None, *, rules: Rules | None = None, powers: Exponents = PRIOR
    ) -> None:
        self.setup, self.rules = setup, rules or Rules()
        self.state = state or new_state(setup, self.rules)
        self._records: list[Record] = []
        self._windows = WindowBook(setup, self.state, self.rules, powers, self._records)
        self._step_us = min(setup.windows_s) * MICROS
        self._coin_track = len(setup.chains) * len(setup.windows_s)
        self._chain_tracks = {
            chain.name: (place * len(setup.windows_s), 10**chain.decimals) for place, chain in enumerate(setup.chains)
        }

    def save(self) -> bytes:
        """The state, written down; `Machine.load` goes on from it."""
        return msgspec.json.encode(self.state)

    @classmethod
    def load(
        cls, setup: CoinSetup, saved: bytes, *, rules: Rules | None = None, powers: Exponents = PRIOR
    ) -> "Machine":
        """A machine that goes on where another was saved."""
        return cls(setup, msgspec.json.decode(saved, type=State), rules=rules, powers=powers)

    def step(self, seen: Observation) -> Sequence[Record]:
        """Take one observation; what it gives rise to, in order."""
        state = self.state
        if seen.feature in IS_FACT:
            self._take_fact(seen, state)
        elif seen.event_us > seen.known_us + 86_400 * MICROS:
            self._refuse(seen, "event_time more than a day after it was known")
        else:
            if seen.known_us > state.known_us:
                state.known_us = seen.known_us
            self._take_word(seen, state)
        if self._records:
            out = self._records.copy()
            self._records.clear()
            return out
        return NOTHING

    def open_rows(self) -> list[WindowRow]:
        """What the OPEN windows say so far: one of each scope and length; none once the coin has ended."""
        return self._windows.open_rows()

    # Facts

    def _take_fact(self, seen: Observation, state: State) -> None:
        lane = state.lanes.get(seen.chain)
        why = "the coin is not on this chain" if lane is None else refusal(seen)
        if not why and seen.event_us >= self.setup.end_us:
            why = "the coin has ended"
        if not why and seen.feature == "supply":
            why = self._supply_refusal(seen)
        if why or lane is None:
            self._refuse(seen, why)
            return
        if seen.known_us > state.known_us:
            state.known_us = seen.known_us
        event_us = seen.event_us
        if event_us < lane.frontier_us and not self._told_after_final(seen, lane):
            return
        series = lane.get(seen.feature, seen.source, seen.quote)
        changed = series.put(seen, seen.units if seen.feature == "supply" else seen.value)
        if changed == UNCHANGED:
            state.duplicates += 1
        elif changed == MOVED:
            self._refuse(seen, "its id was told with another time")
            return
        elif changed < state.next_us - self._step_us:
            self._windows.reopen(lane, changed, changed + 1 if seen.feature == "supply" else series.next_after(changed))
        if event_us > state.clock_us:
            state.clock_us = event_us
            if event_us >= state.next_us:
                self._windows.advance()
        if seen.feature == "price":
            peg = self.setup.peg
            if abs(seen.value - peg) >= state.book.depeg_bound * peg and event_us >= state.next_us - self._step_us:
                self._windows.look(self._coin_track, event_us)
        elif seen.feature == "supply" and event_us >= state.next_us - self._step_us:
            place, scale = self._chain_tracks[seen.chain]
            if abs(seen.units) >= state.tracks[place].past.bound * scale:
                self._windows.look(place, event_us)

    def _supply_refusal(self, seen: Observation) -> str:
        if not seen.chain:
            return "supply of no chain"
        _, scale = self._chain_tracks[seen.chain]
        return f"supply changed by more than {MOST_CHANGED:,} tokens" if abs(seen.units) > MOST_CHANGED * scale else ""

    def _told_after_final(self, seen: Observation, lane: Lane) -> bool:
        """Record a fact for a FINAL window; whether windows of other chains may still take it."""
        state = self.state
        state.after_final += 1
        known = lane.series.get(seen.feature, {}).get("" if seen.feature == "supply" else seen.source)
        if known is None or seen.id not in known.told:
            self._note("after_final", seen, f"its window was {_ended(lane, seen.event_us)}: not applied there")
        return not lane.name and event_is_wanted(state.tracks, seen.event_us)

    # Words about chains, sources and time

    def _take_word(self, seen: Observation, state: State) -> None:
        told = seen.told
        lane = state.lanes.get(seen.chain)
        if lane is not None and isinstance(told, Head):
            if not self._head(lane, seen, told):
                return
        elif seen.feature == "clock":
            state.clock_us = max(state.clock_us, seen.event_us)
        elif lane is None or (not seen.chain and seen.feature != "source"):
            return  # a chain on which the coin is not
        elif seen.feature == "source":
            self._source(lane, seen)
        elif isinstance(told, Retraction):
            self._retract(lane, seen, told)
        elif isinstance(told, Violation):
            lane.halted = True
            for fact_id in told.ids or ("",):
                self._note("finality_violated", seen, told.reason, fact_id)
        elif seen.feature == "resumed":
            lane.halted = False
            lane.fall_back(lane.frontier_us)  # until the next head says what is final now
            self._note("resumed", seen, "the chain goes on, on what its providers agree on from now")
        elif seen.feature == "lost":
            lane.lost_us = max(lane.lost_us, seen.event_us)
        self._windows.advance()

    def _head(self, lane: Lane, seen: Observation, told: Head) -> bool:
        """Take a head; whether windows may change by it."""
        passed = lane.passed_us
        final = max(passed[2], told.tier3_us)
        first, second = max(passed[0], seen.event_us), passed[1]
        if seen.known_us >= lane.heard_us:  # the head and tier 2 may fall, by a word that is no late copy
            first = max(seen.event_us, told.tier2_us, final)
            second, lane.heard_us = told.tier2_us, seen.known_us
            self._hear_skipped(lane, seen, told.skipped)
        lane.passed_us = (first, max(second, final), final)
        lane.head_block = max(lane.head_block, seen.block_number)
        lane.final_block = max(lane.final_block, told.tier3_block)
        lane.reorgs.watch(seen.event_us)
        state, step_us = self.state, self._step_us
        state.clock_us = max(state.clock_us, seen.event_us)
        if state.clock_us >= state.next_us or any(track.dirty for track in state.tracks):
            return True
        return any(old // step_us != new // step_us for old, new in zip(passed, lane.passed_us, strict=True))

    def _hear_skipped(self, lane: Lane, seen: Observation, share: float) -> None:
        lane.skipped = share
        if share > MANY_SKIPPED and not lane.many_skipped:
            lane.many_skipped = True
            self._note("slots_skipped", seen, f"{share:.0%} of the newest slots have no block")
        elif share <= MANY_SKIPPED / 2:
            lane.many_skipped = False

    def _source(self, lane: Lane, seen: Observation) -> None:
        is_down = not seen.value
        if is_down == (seen.source in lane.down):
            return
        if is_down:
            lane.down.append(seen.source)
        else:
            lane.down.remove(seen.source)
        for track in self.state.tracks:
            if track.chain in ("", lane.name):
                track.dirty.update(track.standing)
        self._note("source_down" if is_down else "source_back", seen, f"told by {seen.source}")

    def _retract(self, lane: Lane, seen: Observation, told: Retraction) -> None:
        series = lane.get("supply", "", "")
        touched: list[int] = []
        if told.ancestor >= 0:
            lane.final_block = min(lane.final_block, told.ancestor)
            lane.fall_back(told.ancestor_us)
        for fact_id in told.ids:
            known = series.told.get(fact_id)
            stood = known is not None and known.stands
            if known is not None and stood and (told.ancestor >= 0 or known.event_us < lane.let_go_us):
                if known.event_us < lane.frontier_us:
                    why = f"it was taken back, and its window was {_ended(lane, known.event_us)}: not applied there"
                    self._note("after_final", seen, why, fact_id)
                    continue
            elif known is not None and stood and self._is_final(lane, known.block, known.event_us):
                lane.halted = True
                why = "a fact in a final block was taken back; nothing of this chain becomes FINAL any more"
                self._note("finality_violated", seen, why, fact_id)
                continue
            value = series.value_of(fact_id)
            changed = series.take_back(fact_id, seen.known_us, self.state.clock_us)
            if changed != UNCHANGED:
                touched.append(changed)
                self._correct(lane, seen, told, fact_id, changed, value)
        for fact_id in told.ids_in:
            changed = series.restore(fact_id, seen.known_us)
            if changed != UNCHANGED:
                self._correct(lane, seen, told, fact_id, changed, series.value_of(fact_id), "restored")
        lane.reorgs.touch(touched or [seen.event_us])

    def _is_final(self, lane: Lane, block: int, event_us: int) -> bool:
        return event_us < lane.frontier_us or 0 <= block <= lane.final_block

    def _correct(
        self,
        lane: Lane,
        seen: Observation,
        told: Retraction,
        fact_id: str,
        changed_us: int,
        units: float,
        status: str = "invalidated",
    ) -> None:
        decimals = next(chain.decimals for chain in self.setup.chains if chain.name == lane.name)
        self._records.append(
            CorrectionRow(
                coin=self.setup.coin,
                chain=lane.name,
                event_id=fact_id,
                event_us=changed_us,
                known_us=self.state.known_us,
                status=status,
                reason=told.reason,
                net_supply_change=tokens(int(units) * 10 ** (DECIMALS - decimals)),
                replacement_event_ids=told.ids_in if status == "invalidated" else (),
                windows_reopened=self._windows.reopen(lane, changed_us, changed_us + 1),
            )
        )

    # What should not be

    def _refuse(self, seen: Observation, reason: str) -> None:
        self.state.refused += 1
        self._note("refused", seen, reason)

    def _note(self, kind: str, seen: Observation, reason: str, event_id: str = "") -> None:
        self._records.append(
            IncidentRow(
                coin=self.setup.coin,
                chain=seen.chain,
                kind=kind,
                event_us=seen.event_us,
                known_us=max(seen.known_us, self.state.known_us) if kind != "refused" else seen.known_us,
                event_id=event_id or seen.id,
                source=seen.source,
                reason=reason,
            )
        )


def _ended(lane: Lane, event_us: int) -> str:
    """How the windows of a chain that took facts of this time ended."""
    return "let go" if event_us < lane.let_go_us else "FINAL"


def event_is_wanted(tracks: Iterable[Track], event_us: int) -> bool:
    """Whether a window that is not FINAL may still take a fact of this time."""
    return any(track.final_us <= event_us for track in tracks)
