"""The obvious replay: two dicts, sorted whenever something is asked, copied whole where two books are compared."""

import math
from dataclasses import dataclass, field
from typing import Any

TRADE, DELTA, PART, WHOLE = "trade", "delta", "part", "whole"


@dataclass
class Event:
    kind: str
    levels: list[tuple[int, int, int]]  # side, tick, lots
    clock_ns: int = 0
    broken: bool = False
    exact: bool = True


@dataclass
class Judged:
    at: int
    place: int
    verdict: str
    until: int
    levels: int
    prices: int
    sizes: int
    best_rms: float


@dataclass
class After:
    """What is told after an event: best (tick, lots), whether it is known, for both sides, and words."""

    best: list[tuple[int, int] | None]
    known: list[bool]
    words: set[str]


@dataclass
class Waiting:
    event: Event
    place: int
    book: list[dict[int, int]]


@dataclass
class SlowReplay:
    """`known` holds per side how deep it is known: a tick, math.inf away from the best for all, None for nothing."""

    depth: int
    levels: int
    every_ns: int | None
    book: list[dict[int, int]] = field(default_factory=lambda: [{}, {}])
    known: list[float | None] = field(default_factory=lambda: [None, None])
    stand: str = "not begun"
    waiting: Waiting | None = None
    last_clock: int | None = None
    place: int = 0
    words: set[str] = field(default_factory=set)
    after: list[After] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    shown: list[tuple[Any, ...]] = field(default_factory=list)

    def run(self, events):
        for event in events:
            self._show_grid(event.clock_ns)
            self._step(event)
            self.last_clock = event.clock_ns
            self.place += 1
            if self.every_ns is None and event.kind != TRADE:
                self.shown.append((self.place, None, *self._top()))

    def finish(self):
        self._show_grid(None)
        self.words = set()
        if self.waiting:
            self._judge_waiting(None)

    def _show_grid(self, clock_ns):
        if self.every_ns is None or self.last_clock is None:
            return
        moment = math.ceil(self.last_clock / self.every_ns) * self.every_ns
        if clock_ns is None or moment < clock_ns:
            self.shown.append((self.place, moment, *self._top()))

    def _top(self):
        sides = [self._sorted(self.book[which], which)[: self.levels] for which in (0, 1)]
        return sides, [sum(self._is_known(which, tick) for tick, _ in sides[which]) for which in (0, 1)]

    @staticmethod
    def _sorted(side, which):
        return sorted(side.items(), reverse=which == 0)

    def _is_known(self, which, tick, limits=None):
        limit = (limits or self.known)[which]
        return limit is not None and (tick >= limit if which == 0 else tick <= limit)

    def _step(self, event):
        self.words = set()
        if event.kind == TRADE:
            pass
        elif event.kind == DELTA:
            if event.broken:
                self._break()
            if self.waiting:
                self._judge_waiting(event)
            else:
                self._set(event.levels)
        else:
            if self.waiting:
                self._judge_waiting(None)
            if event.broken:
                self._break()
            self._meet(event)
        self._tell()

    def _break(self):
        if self.waiting:
            self._judge_waiting(None)
        self.known, self.stand = [None, None], "broken"

    def _set(self, levels):
        for side, tick, lots in levels:
            self.book[side].pop(tick, None)
            if lots:
                self.book[side][tick] = lots

    def _range(self, snapshot):
        """Of both sides: how deep it tells the book."""
        deep: list[float | None] = []
        for which in (0, 1):
            ticks = [tick for side, tick, _ in snapshot.levels if side == which]
            whole = len(ticks) == 0 if snapshot.kind == WHOLE else len(ticks) < self.depth
            away = -math.inf if which == 0 else math.inf
            if whole:
                deep.append(away)
            elif ticks:
                deep.append(min(ticks) if which == 0 else max(ticks))
            else:
                deep.append(None)
        return deep

    @staticmethod
    def _told(snapshot):
        book = [{}, {}]
        for side, tick, lots in snapshot.levels:
            book[side][tick] = lots
        return [{tick: lots for tick, lots in side.items() if lots} for side in book]

    def _differing(self, snapshot, before, after):
        """Counts of prices compared, of prices and of sizes that differ."""
        told, deep = self._told(snapshot), self._range(snapshot)
        levels = prices = sizes = 0
        for which in (0, 1):
            for tick in {*told[which], *before[which], *after[which]}:
                if not (self._is_known(which, tick) and self._is_known(which, tick, deep)):
                    continue
                says, was, is_now = (book[which].get(tick, 0) for book in (told, before, after))
                if says or was:
                    levels += 1
                if says in (was, is_now):
                    continue
                if says == 0 or was == is_now == 0:
                    prices += 1
                else:
                    sizes += 1
        return levels, prices, sizes

    def _meet(self, snapshot):
        now = [dict(side) for side in self.book]
        _, prices, sizes = self._differing(snapshot, now, now)
        if snapshot.exact or snapshot.kind == WHOLE or not prices + sizes:
            self._conclude(Waiting(snapshot, self.place, now), now, waited=False)
            self._take(snapshot)
        else:
            self.waiting = Waiting(snapshot, self.place, now)

    def _judge_waiting(self, message):
        waiting: Any = self.waiting
        self.waiting = None
        held = [dict(side) for side in self.book]
        if message:
            self._set(message.levels)
        self._conclude(waiting, [dict(side) for side in self.book], waited=True)
        self.book = held
        self._take(waiting.event)
        if message:
            self._set(message.levels)

    def _conclude(self, waiting, after, waited):
        """Says what the snapshot is, and how deep the book is known then."""
        snapshot = waiting.event
        levels, prices, sizes = self._differing(snapshot, waiting.book, after)
        verdict = "drifted" if prices + sizes else "agreed"
        if self.stand != "begun":
            verdict = "began"
        self.words.add(verdict)
        until = self.place if waited else self.place + (verdict == "agreed")
        rms = math.nan if verdict == "began" else self._rms(self._told(snapshot), waiting.book, after)
        self.judged.append(Judged(self.place, waiting.place, verdict, until, levels, prices, sizes, rms))
        deep = self._range(snapshot)
        if verdict == "agreed" and snapshot.kind == PART:
            deeper = [self.known[which] for which in (0, 1)]
            for which in (0, 1):
                told = [limit for limit in (deep[which], self.known[which]) if limit is not None]
                deeper[which] = (min, max)[which](told) if told else None
            deep = deeper
        self.known, self.stand = deep, "begun"

    def _best(self, book, which):
        if not book[which]:
            return None
        tick = self._sorted(book[which], which)[0][0]
        return tick if self._is_known(which, tick) else None

    def _rms(self, told, before, after):
        squares = []
        for which in (0, 1):
            says = self._sorted(told[which], which)[0][0] if told[which] else None
            bests = [self._best(book, which) for book in (before, after)]
            if says is None:
                squares.append(0 if None in bests else math.nan)
            else:
                squares.append(min(((says - best) ** 2 for best in bests if best is not None), default=math.nan))
        return math.sqrt(sum(squares) / 2)

    def _take(self, snapshot):
        """Replaces what lies in the snapshot's range; of a whole book, all."""
        told, deep = self._told(snapshot), self._range(snapshot)
        for which in (0, 1):
            if snapshot.kind == WHOLE:
                self.book[which] = told[which]
                continue
            kept = {t: lots for t, lots in self.book[which].items() if not self._is_known(which, t, deep)}
            self.book[which] = kept | told[which]

    def _tell(self):
        best = [self._sorted(side, which)[0] if side else None for which, side in enumerate(self.book)]
        known = [top is not None and self._is_known(which, top[0]) for which, top in enumerate(best)]
        if self.stand != "begun":
            self.words.add(self.stand)
        if not all(known):
            self.words.add("past depth")
        if best[0] and best[1] and best[0][0] >= best[1][0]:
            self.words.add("crossed")
        self.after.append(After(best, known, self.words))
