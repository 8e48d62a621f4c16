"""Carries out a fault plan: wraps the market so that trades go missing, and spoils answers on their way out."""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tidelake.sim.answer import Answer, SimVenue, TapeView
from tidelake.sim.faults import ONLY_TRADES, Asked, FaultPlan, Injected, LostRun, Record, Rule
from tidelake.sim.listing import Listing, Trades, joined
from tidelake.sim.market import Market
from tidelake.sim.reference import seed_of, unit

SYMBOL_PARAMETERS = ("category", "pair", "symbol", "instId", "instrument_name")
SERVER_ERRORS = (500, 502, 503, 504)
HTML = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>Checking your browser</body></html>"


def stream_of(path: str, query: Mapping[str, str]) -> str:
    """What a request for trades asks for, without its place and size of page."""
    return " ".join((path, *(query[name] for name in SYMBOL_PARAMETERS if name in query)))


class Injector:
    """Answers for one venue under a plan; `injected` tells what was done.

    Args:
        plan: What goes wrong.
        venue: The venue.
        market: Its market; jumps of the plan are added to it, so that its truth has them.
    """

    def __init__(self, plan: FaultPlan, venue: SimVenue, market: Market) -> None:
        self.plan = plan
        self.venue = venue
        self.market = market
        self.record = Record(venue.source)
        self._asked: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()
        self._number = 0
        self._lock = threading.Lock()
        self._previous: dict[str, Answer] = {}
        self._run_asks: Counter[tuple[LostRun, str]] = Counter()
        self._run_since: dict[tuple[LostRun, str], int] = {}
        if plan.jumps:
            market.add_jumps(venue.source, plan.jumps)

    @property
    def injected(self) -> list[Injected]:
        """What was injected so far, in order."""
        return list(self.record.injected)

    def answer(self, method: str, path: str, query: Mapping[str, str], now_ns: int) -> Answer:
        """The answer to one request, after all faults."""
        asked = self._count(path, dict(query), now_ns)
        delay, rule = self._draw(asked)
        answer = self._planned(rule, asked) if rule else None
        if answer is None:
            view = FaultyView(self, asked)
            answer = self.venue.respond(view, method, path, query, now_ns)
            answer = self._spoiled(answer, rule, asked) if rule else answer
            if rule is None and answer.status == 200 and self.venue.asks_trades(path):
                self._previous[stream_of(path, query)] = answer
        return replace(answer, delay_s=delay) if delay else answer

    def _count(self, path: str, query: dict[str, str], now_ns: int) -> Asked:
        key = (path, tuple(sorted(query.items())))
        with self._lock:
            self._number += 1
            self._asked[key] += 1
            return Asked(path, query, self._asked[key], self._number, now_ns)

    def _hits(self, rule: Rule, place: int, asked: Asked) -> bool:
        if rule.kind in ONLY_TRADES and not self.venue.asks_trades(asked.path):
            return False
        if rule.first:
            return rule.first <= asked.number <= rule.last
        parts = (self.plan.seed, place, rule.kind, asked.path, sorted(asked.query.items()), asked.nth)
        return seed_of(*parts) < rule.probability * 2**64

    def _draw(self, asked: Asked) -> tuple[float, Rule | None]:
        delay, chosen = 0.0, None
        for place, rule in enumerate(self.plan.rules):
            if rule.kind == "slow":
                if self._hits(rule, place, asked):
                    delay += rule.seconds
                    self.record.add("slow", asked)
            elif chosen is None and self._hits(rule, place, asked):
                chosen = rule
        return delay, chosen

    def _planned(self, rule: Rule, asked: Asked) -> Answer | None:
        """The answer that takes the place of the venue's; None where the fault needs the venue's."""
        answer = None
        if rule.kind in ("429", "429-bare"):
            answer = self.venue.refuse(rule.seconds if rule.kind == "429" else None)
        elif rule.kind == "5xx":
            status = SERVER_ERRORS[seed_of(self.plan.seed, asked.path, asked.nth) % len(SERVER_ERRORS)]
            answer = self.venue.fail(status)
        elif rule.kind == "html":
            answer = Answer(200, {"content-type": "text/html; charset=UTF-8"}, HTML)
        elif rule.kind == "empty":
            answer = self.venue.empty(asked.path, asked.query)
        elif rule.kind == "repeat":
            answer = self._previous.get(stream_of(asked.path, asked.query))
        if answer is not None:
            self.record.add(rule.kind, asked)
        return answer

    def _spoiled(self, answer: Answer, rule: Rule, asked: Asked) -> Answer:
        half = len(answer.body) * 2 // 3
        if rule.kind not in ("torn", "truncated") or not half:
            return answer
        self.record.add(rule.kind, asked)
        if rule.kind == "torn":
            return replace(answer, cut_at=half)
        return replace(answer, body=answer.body[:half])

    def hidden(self, trades: Trades, asked: Asked, *, count: bool) -> NDArray[np.bool_]:
        """Which of these trades the venue does not show to this request; `count` also counts it as an ask."""
        hidden = np.zeros(len(trades), dtype=bool)
        symbol = trades.listing.symbol
        for run in self.plan.lost_runs:
            inside = (trades.seq >= run.first) & (trades.seq <= run.last)
            if run.symbol in ("", symbol) and inside.any() and self._is_lost(run, symbol, asked.now_ns, count=count):
                hidden |= inside
                if count:
                    lost = trades.seq[inside]
                    self.record.add("lost-run", asked, first=int(lost[0]), last=int(lost[-1]), symbol=symbol)
        for place, late in enumerate(self.plan.late):
            draw = unit(trades.seq, seed_of(self.plan.seed, "late", place, trades.listing.key))
            behind = (draw < late.probability) & (trades.time_ns + int(late.seconds * 1e9) > asked.now_ns)
            if count and behind.any():
                away = trades.seq[behind]
                self.record.add("late", asked, first=int(away[0]), last=int(away[-1]), symbol=symbol)
            hidden |= behind
        return hidden

    def _is_lost(self, run: LostRun, symbol: str, now_ns: int, *, count: bool) -> bool:
        key = (run, symbol)
        with self._lock:
            if run.asks:
                self._run_asks[key] += count
                return self._run_asks[key] <= run.asks
            if run.seconds:
                return now_ns < self._run_since.setdefault(key, now_ns) + int(run.seconds * 1e9)
            return True


class FaultyView:
    """The market as one request sees it."""

    def __init__(self, injector: Injector, asked: Asked) -> None:
        self.injector = injector
        self.asked = asked
        self.seed = injector.market.seed
        self.start_ns = injector.market.start_ns

    def listings(self, source: str) -> tuple[Listing, ...]:
        """As the market's."""
        return self.injector.market.listings(source)

    def tape(self, listing: Listing) -> TapeView:
        """The trades of the listing, some of them hidden."""
        tape = self.injector.market.tape(listing)
        plan = self.injector.plan
        return FaultyTape(tape, self.injector, self.asked) if plan.lost_runs or plan.late else tape


class FaultyTape:
    """A tape of which one request does not see every trade."""

    def __init__(self, tape: TapeView, injector: Injector, asked: Asked) -> None:
        self.tape = tape
        self.injector = injector
        self.asked = asked

    def between(self, first: int, last: int) -> Trades:
        """As the true tape's: candles are made from all trades."""
        return self.tape.between(first, last)

    def happened(self, now_ns: int) -> int:
        """As the true tape's."""
        return self.tape.happened(now_ns)

    def seq_since(self, time_ns: int) -> int:
        """As the true tape's."""
        return self.tape.seq_since(time_ns)

    def seq_from(self, number: int) -> int:
        """As the true tape's."""
        return self.tape.seq_from(number)

    def visible(self, first: int, last: int, now_ns: int, *, limit: int, newest: bool) -> Trades:
        """As the true tape's without the hidden trades; the page is filled up with further ones."""
        first, last = max(first, 1), min(last, self.happened(now_ns))
        page = self.tape.visible(first, last, now_ns, limit=limit, newest=newest)
        parts = [page[~self.injector.hidden(page, self.asked, count=True)]]
        while len(page) and sum(map(len, parts)) < limit:
            first, last = (first, int(page.seq[0]) - 1) if newest else (int(page.seq[-1]) + 1, last)
            page = self.tape.visible(first, last, now_ns, limit=limit, newest=newest)
            shown = page[~self.injector.hidden(page, self.asked, count=False)]
            parts = [shown, *parts] if newest else [*parts, shown]
        table = joined(parts)
        return table[-limit:] if newest else table[:limit]
