"""The machine of one coin: a state and an observation in, records out. It knows no clock, no file and no other coin.

Time is what observations say: the latest `event_us` seen is the event clock. A window is OPEN until that clock reaches
its end, PROVISIONAL from then on, and FINAL once its grace has passed and all blocks before its end are of tier 3. What
a FINAL window says is a function of the facts alone, however they came: late, doubled, shuffled, taken back and told
again. What would change one is never applied, and recorded.
"""

from collections.abc import Container, Iterable, Sequence
from typing import Final

import msgspec

from tidelake.errors import ConfigError
from tidelake.stablecoins.alerts import AlertBook
from tidelake.stablecoins.attestation import attest
from tidelake.stablecoins.lane import ALWAYS_US, MANY_SKIPPED, NEVER_US, Lane
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
from tidelake.stablecoins.setup import LONGEST_GRACE_US, NO_END_US, CoinSetup
from tidelake.stablecoins.signals import History, Rules, read_signals
from tidelake.stablecoins.windows import DECIMALS, Scope, tokens

NOTHING: Final[tuple[Record, ...]] = ()
IS_FACT: Final = frozenset(FACTS)


class Track(msgspec.Struct):
    """The windows of one scope and length.

    Attributes:
        closed_us: Windows that end here or earlier are closed.
        final_us: Windows that end here or earlier are FINAL, or were let go as PROVISIONAL.
        told_us: For each tier, the end of the windows whose rows know that their blocks have it.
        standing: The last row of each PROVISIONAL window, by start.
        dirty: Starts of those whose facts changed.
        ripe: Starts of those whose blocks reached another tier.
        sequence, sha256: The next attestation's place, and the hash of the one before.
        past: What its windows said before.
    """

    chain: str
    window_us: int
    closed_us: int
    final_us: int
    told_us: list[int]
    standing: dict[int, WindowRow] = {}
    dirty: set[int] = set()
    ripe: set[int] = set()
    sequence: int = 0
    sha256: str = "0" * 64
    past: History = msgspec.field(default_factory=History)

    def let_go(self, until_us: int) -> int:
        """Forget closed windows that end by then and are not FINAL; how many."""
        until_us = min(until_us - until_us % self.window_us, self.closed_us)
        count = max(until_us - self.final_us, 0) // self.window_us
        if count:
            self.final_us = until_us
            self.standing = {start: row for start, row in self.standing.items() if start >= until_us}
            self.dirty = {start for start in self.dirty if start >= until_us}
            self.ripe = {start for start in self.ripe if start >= until_us}
        return count


class State(msgspec.Struct):
    """All that the machine remembers; JSON can hold it.

    Attributes:
        clock_us: The event clock.
        known_us: The latest time at which anything was known.
        next_us: The clock at which the next windows close.
        lanes: By chain; "" is the market.
        tracks: Chains in the order of the setup, then all chains; of each the shortest windows first.
        duplicates, after_final, refused: How many came again, came for a FINAL window, could not be taken.
    """

    clock_us: int
    known_us: int
    next_us: int
    lanes: dict[str, Lane]
    tracks: list[Track]
    book: AlertBook
    duplicates: int = 0
    after_final: int = 0
    refused: int = 0


def new_state(setup: CoinSetup, rules: Rules) -> State:
    """The state before anything was told.

    Raises:
        ConfigError: The setup has no window, lengths do not divide the longest, or it begins or ends within one.
    """
    lengths = sorted(seconds * MICROS for seconds in setup.windows_s)
    if not lengths or any(lengths[-1] % each for each in lengths):
        raise ConfigError(f"{setup.coin}: needs lengths of windows that divide the longest")
    if setup.begin_us % lengths[-1] or any(not 0 <= chain.decimals <= DECIMALS for chain in setup.chains):
        raise ConfigError(f"{setup.coin}: begins within a window, or a chain has more than {DECIMALS} decimals")
    if setup.end_us <= setup.begin_us or (setup.end_us != NO_END_US and setup.end_us % lengths[-1]):
        raise ConfigError(f"{setup.coin}: ends within a window, or before it begins")
    begin = setup.begin_us
    lanes = {"": Lane("", (ALWAYS_US,) * 3)}
    for chain in setup.chains:
        passed = NEVER_US if chain.follows_heads else ALWAYS_US
        lanes[chain.name] = Lane(chain.name, (passed,) * 3)
    scopes = [*(chain.name for chain in setup.chains), ""]
    tracks = [Track(scope, length, begin, begin, [begin] * 3) for scope in scopes for length in lengths]
    return State(begin, 0, begin + lengths[0], lanes, tracks, AlertBook(rules.depeg[0]))


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
        self._scopes = [Scope(setup, track.chain, self.state.lanes, powers) for track in self.state.tracks]
        self._step_us = min(setup.windows_s) * MICROS
        self._grace_us = {"": max([chain.grace_us for chain in setup.chains], default=LONGEST_GRACE_US)}
        self._grace_us |= {chain.name: chain.grace_us for chain in setup.chains}
        self._coin_track = len(setup.chains) * len(setup.windows_s)
        self._chain_tracks = {
            chain.name: (place * len(setup.windows_s), 10**chain.decimals) for place, chain in enumerate(setup.chains)
        }
        self._records: list[Record] = []

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
            out, self._records = self._records, []
            return out
        return NOTHING

    def open_rows(self) -> list[WindowRow]:
        """What the OPEN windows say so far: one of each scope and length; none once the coin has ended."""
        state = self.state
        if state.clock_us >= self.setup.end_us:
            return []
        found = zip(state.tracks, self._scopes, strict=True)
        return [scope.row(t.closed_us, t.closed_us + t.window_us, "OPEN", 0, state.known_us) for t, scope in found]

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
            self._reopen(lane, changed, changed + 1 if seen.feature == "supply" else series.next_after(changed))
        if event_us > state.clock_us:
            state.clock_us = event_us
            if event_us >= state.next_us:
                self._advance()
        if seen.feature == "price":
            peg = self.setup.peg
            if abs(seen.value - peg) >= state.book.depeg_bound * peg and event_us >= state.next_us - self._step_us:
                self._look(self._coin_track, event_us)
        elif seen.feature == "supply" and event_us >= state.next_us - self._step_us:
            place, scale = self._chain_tracks[seen.chain]
            if abs(seen.units) >= state.tracks[place].past.bound * scale:
                self._look(place, event_us)

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

    def _reopen(self, lane: Lane, changed_us: int, until_us: int | None) -> int:
        """Mark the closed windows that a change may touch; how many there are.

        Args:
            until_us: Time of the next fact of the series, from which windows after this time are filled; None for none.
                A change of supply fills nothing: it touches the windows that it is in.
        """
        marked = 0
        for track in self.state.tracks:
            if lane.name and track.chain and track.chain != lane.name:
                continue
            window = track.window_us
            first = max(changed_us - changed_us % window, track.final_us)
            last = track.closed_us if until_us is None else min(track.closed_us, until_us + window - 1)
            starts = range(first, last - last % window, window)
            track.dirty.update(starts)
            marked += len(starts)
        return marked

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
        self._advance()

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
                windows_reopened=self._reopen(lane, changed_us, changed_us + 1),
            )
        )

    # Windows

    def _advance(self) -> None:
        """Close, write anew and settle what the clock and the heads allow."""
        state = self.state
        clock = state.clock_us
        settled = False
        for place, (track, scope) in enumerate(zip(state.tracks, self._scopes, strict=True)):
            window = track.window_us
            passed = [scope.passed_us(tier) for tier in range(3)]
            for start in range(track.closed_us, min(clock - clock % window, self.setup.end_us), window):
                track.closed_us = start + window
                self._write(place, start, "PROVISIONAL", closed=True)
                for tier in range(3):
                    if track.told_us[tier] == start and passed[tier] >= start + window:
                        track.told_us[tier] = start + window
            for tier in range(3):
                reached = min(passed[tier], track.closed_us)
                reached = max(reached - reached % window, track.final_us)
                if reached != track.told_us[tier]:
                    fresh = range(min(reached, track.told_us[tier]), max(reached, track.told_us[tier]), window)
                    (track.ripe if tier else track.dirty).update(fresh)  # the head says that no more changes come
                    track.told_us[tier] = reached
            for lane in scope.own:
                if lane.lost_us >= track.final_us:
                    self._let_go(place, lane.lost_us + window, f"logs of {lane.name} are lost")
                    settled = True
            if track.final_us < clock - self.setup.held_us - self.setup.held_us // 4:  # in large pieces
                held = clock - self.setup.held_us
                self._let_go(place, held, "; ".join(filter(None, (lane.hindrance(held) for lane in scope.own))))
                settled = True
            limit = min(clock - self._grace_us[track.chain], passed[2], self.setup.end_us)
            limit = track.final_us if any(lane.holds for lane in scope.own) else limit - limit % window
            dirty = track.dirty
            if dirty or track.ripe:
                self._write_anew(place, track, limit)
            for start in range(track.final_us, limit, window):
                track.final_us = start + window
                self._write(place, start, "FINAL", changed=start in dirty)
                settled = True
        state.next_us = clock - clock % self._step_us + self._step_us
        if settled:
            self._move_frontiers()

    def _let_go(self, place: int, until_us: int, why: str) -> None:
        """Leave closed windows that end by then PROVISIONAL for good, as their last versions say."""
        track = self.state.tracks[place]
        first, count = track.final_us, track.let_go(until_us)
        if not count:
            return
        if track.chain:
            lane = self.state.lanes[track.chain]
            lane.let_go_us = max(lane.let_go_us, track.final_us)
        self._records.append(
            IncidentRow(
                coin=self.setup.coin,
                chain=track.chain,
                kind="let_go",
                event_us=first,
                known_us=self.state.known_us,
                event_id="",
                source="",
                reason=f"{count} windows of {track.window_us // MICROS} s from then on stay PROVISIONAL: {why}",
            )
        )

    def _write_anew(self, place: int, track: Track, from_us: int) -> None:
        """Versions of the marked windows; those before `from_us` are to be FINAL now, and need none in between."""
        dirty, ripe = track.dirty, track.ripe
        track.dirty, track.ripe = set(), set()
        for start in sorted(dirty | ripe):
            if max(track.final_us, from_us) <= start < track.closed_us:
                self._write(place, start, "PROVISIONAL", changed=start in dirty)

    def _write(
        self, place: int, start_us: int, window_state: str, *, closed: bool = False, changed: bool = True
    ) -> None:
        """A version of a window, where it says something else than the one before.

        Args:
            closed: Whether it is the first since the window closed.
            changed: Whether its facts may have changed since the version before.
        """
        state = self.state
        track, scope = state.tracks[place], self._scopes[place]
        before = track.standing.get(start_us)
        end_us = start_us + track.window_us
        if before is None:
            row = scope.row(start_us, end_us, window_state, 1, state.known_us)
        else:
            if changed:
                row = scope.row(start_us, end_us, window_state, before.event_version, before.known_us)
            else:
                row = scope.rescored(before, window_state)
            if row == before:
                return
            row.event_version, row.known_us = before.event_version + 1, state.known_us
        self._records.append(row)
        is_final = window_state == "FINAL"
        if is_final:
            track.standing.pop(start_us, None)
            if sealed := attest(row, track.sequence, track.sha256):
                track.sequence, track.sha256 = sealed.sequence + 1, sealed.sha256
                self._records.append(sealed)
        else:
            track.standing[start_us] = row
        if track.window_us == self._step_us:
            asked = state.book.asked(row) if state.book.alerts else ()
            if asked or not is_final:
                self._judge(track, row, end_us, asked, closed=closed)
            if closed:
                track.past.remember(row, self.rules)

    def _judge(
        self, track: Track, row: WindowRow, event_us: int, asked: Container[str] = (), *, closed: bool = False
    ) -> None:
        book = self.state.book
        signals = read_signals(row, self.setup, self.rules, track.past, asked)
        if signals or book.alerts:
            self._records += book.read(row, signals, self.rules, event_us, closed=closed)

    def _look(self, place: int, event_us: int) -> None:
        """Judge an OPEN window, because of what was told just now."""
        track = self.state.tracks[place]
        start = track.closed_us
        row = self._scopes[place].row(start, start + track.window_us, "OPEN", 0, self.state.known_us)
        self._judge(track, row, event_us, self.state.book.asked(row))

    def _move_frontiers(self) -> None:
        """Take no more facts of FINAL windows, and forget what no other window needs."""
        state = self.state
        tracks = state.tracks
        lowest = min(track.final_us for track in tracks)
        for lane in state.lanes.values():
            of_lane = [track.final_us for track in tracks if track.chain == lane.name] if lane.name else []
            frontier = max(of_lane) if of_lane else min(t.final_us for t in tracks if t.window_us == self._step_us)
            if frontier > lane.frontier_us:
                lane.frontier_us = frontier
                for by_source in lane.series.values():
                    for series in by_source.values():
                        series.prune(lowest)

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
