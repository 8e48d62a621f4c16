"""The demonstration on six simulated venues, whose true trades are known: what is claimed can be counted."""

import asyncio
import datetime as dt
import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tidelake.client import Lake
from tidelake.demo.children import on_disk, spawn, was_killed
from tidelake.demo.market import CORRECTED, KILLED, KILLED_AT_FRAME, LOST_TRADES, PACE, SEED, STREAMS, DemoMarket, heal
from tidelake.demo.narrator import Narrator
from tidelake.demo.page import PageFacts
from tidelake.demo.proof import Proof, compare
from tidelake.demo.tables import unified_rows
from tidelake.jobs.ingest import ingest_async
from tidelake.jobs.instruments import refresh, refresh_async
from tidelake.jobs.repair import repair
from tidelake.jobs.report import Report
from tidelake.jobs.session import Settings
from tidelake.raw.coverage import Interval, StreamCoverage
from tidelake.raw.lane import lane_name
from tidelake.sim.faults import LostRun
from tidelake.sim.server import SimServer
from tidelake.transport.http import Patience


@dataclass
class Simulated:
    """The tour; each step leaves here what later ones and the page need."""

    lake: Lake
    tell: Narrator
    market: DemoMarket
    server: SimServer
    since_ns: int
    lost: dict[tuple[str, str], LostRun]
    before: list[StreamCoverage] = field(default_factory=list)
    as_of: dt.datetime | None = None

    @property
    def settings(self) -> Settings:
        patience = Patience(first_wait=0.1, longest_wait=1.0)
        urls = {source: self.server.url_of(source) for source in STREAMS}
        return Settings(url=urls, rates=PACE, patience=patience, tries=3, try_wait=0.1)

    @property
    def since(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self.since_ns // 10**9, dt.UTC)

    def fetch(self) -> None:
        """Six venues at once, through faults."""
        self.tell.step(
            "Fetch: six venues at once, and they misbehave",
            f"Six simulated exchanges listen on {self.server.url} and speak the wire formats of the real ones.",
            f"Tidelake asks all of them at once for two products each, from {self.since:%H:%M:%S} UTC on (45 minutes).",
            "They refuse (429), fail (5xx) and cut answers short on purpose. Every whole answer is kept verbatim.",
            "This takes some ten seconds; the first run after an installation also compiles a few loops.",
        )
        started = time.monotonic()
        reports = asyncio.run(self._fetch_all())
        rows = [row for report in reports for row in report.rows if report.job == "ingest"]
        self.tell.rows(
            [{"source": r.source, "symbol": r.symbol, "state": r.state, "pages": r.pages, "trades": r.trades,
              "seconds": round(r.seconds, 1)} for r in rows]
        )  # fmt: skip
        self.tell.rows(list(self._injected()))
        bad = sum(1 for fault in self.server.injected if fault.kind != "lost-run")
        done = sum(row.state == "done" for row in rows)
        self.tell.tell(f"{bad} bad answers in {time.monotonic() - started:.1f} s; each was asked for again.")
        self.tell.check(done == len(rows) == 12, f"{done} of {len(rows)} streams came through")

    async def _fetch_all(self) -> list[Report]:
        store, settings = self.lake.store, self.settings
        fetches = (
            ingest_async(store, s, symbols, since=self.since, settings=settings) for s, symbols in STREAMS.items()
        )
        return list(await asyncio.gather(*fetches, refresh_async(store, list(STREAMS), settings=settings)))

    def _injected(self) -> Iterable[dict[str, object]]:
        counts = Counter((fault.source, fault.kind) for fault in self.server.injected)
        kinds = {
            "429": ("429", "429-bare"),
            "5xx": ("5xx",),
            "cut off": ("torn", "truncated"),
            "left out": ("lost-run",),
        }
        for source in STREAMS:
            told = {name: sum(counts[source, kind] for kind in group) for name, group in kinds.items()}
            yield {"faults injected at": source, **told}

    def kill(self) -> None:
        """An ingest that dies twice."""
        source, symbol = KILLED
        lane = lane_name(source, "trades", symbol)
        self.tell.step(
            "A kill: an ingest dies in the middle, twice",
            f"`tidelake ingest {source} {symbol}` now runs as a process of its own and is ended with kill -9.",
        )
        args = ("ingest", source, symbol, "--since", self.since.isoformat(), "--url", self.server.url_of(source))
        stages = []
        for what, crash in (
            (f"killed at answer {KILLED_AT_FRAME - 1}", f"frame-written:{KILLED_AT_FRAME}"),
            ("resumed, killed while sealing", "before-ledger-put"),
            ("resumed, left alone", ""),
        ):
            child = spawn(Path(self.lake.store.url), *args, crash=crash)
            rows = json.loads(child.stdout) if not was_killed(child) and child.stdout else [{}]
            stages.append({
                "run": what, "exit": "kill -9" if was_killed(child) else child.returncode,
                "pages_fetched": rows[0].get("pages"), **on_disk(self.lake.store, lane),
            })  # fmt: skip
            if bool(crash) != was_killed(child):
                self.tell.tell(child.stderr.strip())
            self.tell.check(bool(crash) == was_killed(child), f"{what}: exit code {child.returncode}")
        self.tell.rows(stages)
        self.tell.tell(
            "After the first kill all answers lie in a part file. After the second a segment is on disk that no ledger",
            "entry names: it does not count. The last run sealed it, and asked only for the pages that were missing.",
        )
        self.lake.derive(["trades"])
        self._prove([KILLED], "nothing lost, nothing doubled by the two kills")

    def _prove(self, streams: Iterable[tuple[str, str]], claim: str) -> None:
        proofs: list[Proof] = [compare(self.lake, self.market, *stream, self.since_ns) for stream in streams]
        self.tell.rows(proofs)
        total = sum(proof.venue_traded for proof in proofs)
        self.tell.check(all(proof.equal for proof in proofs), f"{claim}: {total} trades compared one by one")

    def hole(self) -> None:
        """Two runs that venues left out, named and closed."""
        self.tell.step(
            "Holes: two venues left trades out",
            "During the fetch two venues answered as if a run of trades had never been. Coverage says:",
        )
        self.before = self.lake.coverage()
        found = {(h.source, h.symbol): h for h in holes(self.before)}
        self.tell.rows([hole_row(each, self.lost.get(key)) for key, each in found.items()])
        self.tell.tell(
            "SUSPECT: asked again, the venue showed both neighbours, nothing between. GAP: so new that it may be late.",
            "No watermark passes the gap, and nobody has to compare counts to learn of it.",
        )
        exact = {key: (run.first, run.last) for key, run in self.lost.items()}
        named = {key: (each.first, each.last) for key, each in found.items()}
        self.tell.check(named == exact, f"the holes named are exactly the {len(exact)} runs that were left out")
        self.as_of = dt.datetime.now(dt.UTC)
        heal(self.server)
        self.market.moved = True
        report = repair(self.lake.store, settings=self.settings)
        changed = refresh(self.lake.store, [CORRECTED[0]], settings=self.settings)
        asked = sum(row.pages or 0 for row in report.rows)
        self.tell.tell(f"The venues answer again. `tidelake repair` asks for these runs alone: {asked} pages.")
        after = self.lake.coverage()
        self.tell.rows([line for key in exact for line in before_and_after(key, self.before, after)])
        closed = not list(holes(after)) and report.exit_code == changed.exit_code == 0
        self.tell.check(closed, "no hole is left")

    def derive(self) -> None:
        """One table."""
        self.tell.step(
            "Derive: one table out of six wire formats",
            "The raw answers become rows: the same names, UTC, exact decimals, and `side` is always the taker's.",
            "Trades were derived once for the proof above; what is read now is the two answers of the repair.",
        )
        self.tell.rows([report_row(report) for report in self.lake.derive()])
        self.tell.rows(unified_rows(self.lake, [(source, symbols[0]) for source, symbols in STREAMS.items()]))
        again = [report_row(report) for report in self.lake.derive()]
        added = sum(int(row["rows_added"] or 0) for row in again)
        self.tell.check(added == 0, f"a second derive adds {added} rows")
        streams = [(source, symbol) for source, symbols in STREAMS.items() for symbol in symbols]
        self._prove([*streams, KILLED], "every stream equals what its venue really traded")

    def correction(self) -> None:
        """Two answers to one question, both right."""
        assert self.as_of is not None
        (source, symbol), run = next(iter(self.lost.items()))
        at = self.market.truth(source, symbol)[run.first + LOST_TRADES // 2 - 1 : run.first + LOST_TRADES // 2].time_ns
        minute = dt.datetime.fromtimestamp(int(at[0]) // 60_000_000_000 * 60, dt.UTC)
        self.tell.step(
            "A correction: what was known, and when",
            f"The bar of {source} {symbol} at {minute:%H:%M} UTC, asked as of {self.as_of:%H:%M:%S} UTC (before the",
            "repair) and now; and a product whose tick the venue changed meanwhile.",
        )
        answers = []
        for name, as_of in (("before the repair", self.as_of), ("now", None)):
            bars = self.lake.candles(symbol, source=source, as_of=as_of)
            bar = next((row for row in bars.iter_rows(named=True) if row["event_time"] == minute), None)
            tick = self.lake.scan("instruments", as_of=as_of).collect()
            held = [
                row["tick_size"] for row in tick.iter_rows(named=True) if (row["source"], row["symbol"]) == CORRECTED
            ]
            answers.append({
                "known": name,
                f"trades in {minute:%H:%M}": bar["trades"] if bar else 0,
                "volume in BTC": float(bar["volume"]) if bar else 0.0,
                f"tick of {' '.join(CORRECTED)}": held[0] if held else None,
            })  # fmt: skip
        self.tell.rows(answers)
        self.tell.tell(
            "Both are right: the first is what a strategy running then could know, the second is what we know today.",
            "A back-test that reads as of its own time sees the first, so it cannot profit from knowledge it had not.",
        )
        first, second = answers
        changed = all(first[name] != second[name] for name in first)
        self.tell.check(changed, "the answers differ, and neither was overwritten")

    def facts(self) -> PageFacts:
        """What the page says beside its charts."""
        return PageFacts(
            title="Six simulated venues",
            asset="BTC",
            origin=f"simulated venues (seed {SEED}), asked over HTTP in the wire formats of the real ones",
            before=self.before,
            after=self.lake.coverage(),
        )


def holes(covered: Iterable[StreamCoverage]) -> Iterable[Interval]:
    """What is missing, whether it may still come (GAP) or the venue has none (SUSPECT)."""
    return (each for stream in covered for each in stream.intervals if each.state in ("GAP", "SUSPECT"))


def hole_row(hole: Interval, truth: LostRun | None) -> dict[str, object]:
    """One hole beside what the simulator left out."""
    return {
        "source": hole.source, "symbol": hole.symbol, "state": hole.state, "rule": hole.rule,
        "first_missing": hole.first, "last_missing": hole.last, "count": hole.last - hole.first + 1,
        "really_left_out": f"{truth.first} to {truth.last}" if truth else "nothing",
    }  # fmt: skip


def before_and_after(
    key: tuple[str, str], before: Iterable[StreamCoverage], after: Iterable[StreamCoverage]
) -> Iterable[dict[str, object]]:
    """The states of one stream, run for run, at both times."""
    for when, covered in (("before", before), ("after", after)):
        stream = next(each for each in covered if (each.source, each.symbol, each.feed) == (*key, "trades"))
        states = ", ".join(f"{each.state} {each.first}-{each.last}" for each in stream.intervals)
        yield {"source": key[0], "symbol": key[1], "repair": when, "watermark": stream.watermark, "intervals": states}


def report_row(report: object) -> dict[str, Any]:
    """What a derive did to one table."""
    added = getattr(report, "rows_added", None)
    return {
        "table": getattr(report, "table", ""),
        "rows_read": getattr(report, "rows_read", None),
        "rows_added": getattr(report, "bars", None) if added is None else added,
        "repeats": getattr(report, "repeats", None),
        "quarantined": getattr(report, "rejected", None),
    }
