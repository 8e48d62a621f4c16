"""The windows of a coin: closed, written anew and settled as its clock and the heads of its chains allow."""

from collections.abc import Container

from tidelake.stablecoins.attestation import attest
from tidelake.stablecoins.lane import Lane
from tidelake.stablecoins.observation import MICROS
from tidelake.stablecoins.records import IncidentRow, Record, WindowRow
from tidelake.stablecoins.score import Exponents
from tidelake.stablecoins.setup import LONGEST_GRACE_US, CoinSetup
from tidelake.stablecoins.signals import Rules, read_signals
from tidelake.stablecoins.state import State, Track
from tidelake.stablecoins.windows import Scope


class WindowBook:
    """The windows of all scopes and lengths.

    Args:
        setup: The coin.
        state: Of its machine; it is changed in place.
        rules: When signals are signals.
        powers: Exponents of the score.
        records: Gets what windows say, in order.
    """

    def __init__(self, setup: CoinSetup, state: State, rules: Rules, powers: Exponents, records: list[Record]) -> None:
        self._setup, self._state, self._rules, self._records = setup, state, rules, records
        self._scopes = [Scope(setup, track.chain, state.lanes, powers) for track in state.tracks]
        self._step_us = min(setup.windows_s) * MICROS
        self._grace_us = {"": max([chain.grace_us for chain in setup.chains], default=LONGEST_GRACE_US)}
        self._grace_us |= {chain.name: chain.grace_us for chain in setup.chains}

    def open_rows(self) -> list[WindowRow]:
        """What the OPEN windows say so far: one of each scope and length; none once the coin has ended."""
        state = self._state
        if state.clock_us >= self._setup.end_us:
            return []
        found = zip(state.tracks, self._scopes, strict=True)
        return [scope.row(t.closed_us, t.closed_us + t.window_us, "OPEN", 0, state.known_us) for t, scope in found]

    def reopen(self, lane: Lane, changed_us: int, until_us: int | None) -> int:
        """Mark the closed windows that a change may touch; how many there are.

        Args:
            until_us: Time of the next fact of the series, from which windows after this time are filled; None for none.
                A change of supply fills nothing: it touches the windows that it is in.
        """
        marked = 0
        for track in self._state.tracks:
            if lane.name and track.chain and track.chain != lane.name:
                continue
            window = track.window_us
            first = max(changed_us - changed_us % window, track.final_us)
            last = track.closed_us if until_us is None else min(track.closed_us, until_us + window - 1)
            starts = range(first, last - last % window, window)
            track.dirty.update(starts)
            marked += len(starts)
        return marked

    def advance(self) -> None:
        """Close, write anew and settle what the clock and the heads allow."""
        state = self._state
        clock = state.clock_us
        settled = False
        for place, (track, scope) in enumerate(zip(state.tracks, self._scopes, strict=True)):
            window = track.window_us
            passed = [scope.passed_us(tier) for tier in range(3)]
            for start in range(track.closed_us, min(clock - clock % window, self._setup.end_us), window):
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
            if track.final_us < clock - self._setup.held_us - self._setup.held_us // 4:  # in large pieces
                held = clock - self._setup.held_us
                self._let_go(place, held, "; ".join(filter(None, (lane.hindrance(held) for lane in scope.own))))
                settled = True
            limit = min(clock - self._grace_us[track.chain], passed[2], self._setup.end_us)
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
        track = self._state.tracks[place]
        first, count = track.final_us, track.let_go(until_us)
        if not count:
            return
        if track.chain:
            lane = self._state.lanes[track.chain]
            lane.let_go_us = max(lane.let_go_us, track.final_us)
        self._records.append(
            IncidentRow(
                coin=self._setup.coin,
                chain=track.chain,
                kind="let_go",
                event_us=first,
                known_us=self._state.known_us,
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
        state = self._state
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
                track.past.remember(row, self._rules)

    def _judge(
        self, track: Track, row: WindowRow, event_us: int, asked: Container[str] = (), *, closed: bool = False
    ) -> None:
        book = self._state.book
        signals = read_signals(row, self._setup, self._rules, track.past, asked)
        if signals or book.alerts:
            self._records += book.read(row, signals, self._rules, event_us, closed=closed)

    def look(self, place: int, event_us: int) -> None:
        """Judge an OPEN window, because of what was told just now."""
        track = self._state.tracks[place]
        start = track.closed_us
        row = self._scopes[place].row(start, start + track.window_us, "OPEN", 0, self._state.known_us)
        self._judge(track, row, event_us, self._state.book.asked(row))

    def _move_frontiers(self) -> None:
        """Take no more facts of FINAL windows, and forget what no other window needs."""
        state = self._state
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
