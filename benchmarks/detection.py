"""The detection matrix: every fault on the way from every venue, in many seeded sessions, judged against the truth.

Each trial is one session of `sim.books.session` with one fault at a random place, read and judged by the path that a
capture takes (`benchmarks.detection_trials`). The matrix is written to docs/detection.md; it holds no figure that
depends on the machine, so that the same code writes the same page.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.detection_trials import run_trial
from benchmarks.report import Figure, judge
from tidelake.sim.books.faults import FAULTS
from tidelake.sim.books.session import CHECKSUM_TIMES_NS, START_NS

PAGE = Path(__file__).parents[1] / "docs" / "detection.md"
TRIALS, QUICK_TRIALS = 100, 3
PROCESSES = 2
FIRST_SEED = 1_000

# Name of the row, source id, the venue's clock at the start.
ROWS: tuple[tuple[str, str, int], ...] = (
    ("binance-spot", "binance-spot", START_NS),
    ("binance-usdm", "binance-usdm", START_NS),
    ("binance-coinm", "binance-coinm", START_NS),
    ("okx", "okx", START_NS),
    ("okx until 2026-06-22", "okx", CHECKSUM_TIMES_NS),
    ("bybit", "bybit", START_NS),
    ("deribit", "deribit", START_NS),
    ("coinbase-advanced", "coinbase-advanced", START_NS),
    ("kraken", "kraken", START_NS),
    ("coinbase", "coinbase", START_NS),
)
NUMBERED = frozenset({"binance-spot", "binance-usdm", "binance-coinm", "okx", "bybit", "deribit", "coinbase-advanced"})
UNTIL_A_QUOTE = "differs from the quote with the same update id"  # SUSPECT until a quote is equal again
# What numbers of updates speak of: which messages arrived, and in which order. They say nothing of a message's content.
OF_NUMBERS = frozenset({"lost", "doubled", "reordered", "late", "reset", "sync-disconnect", "clock-jump"})


@dataclass(frozen=True)
class Told:
    """What is kept of a trial."""

    seed: int
    found: str
    messages: int
    ms: float
    wrong: int
    unproven: int
    undetected: bool
    audited: bool
    repaired: bool
    first_wrong: int


@dataclass(frozen=True)
class Cell:
    """One venue and one fault."""

    row: str
    source: str
    fault: str
    trials: tuple[Told, ...]

    @property
    def found(self) -> list[Told]:
        return [each for each in self.trials if each.found]

    @property
    def undetected(self) -> list[Told]:
        return [each for each in self.trials if each.undetected]

    @property
    def must_be_found(self) -> bool:
        """Whether the venue's numbers speak of the fault."""
        return self.source in NUMBERED and self.fault in OF_NUMBERS

    @property
    def broken(self) -> list[Told]:
        """Trials in which the product did what it must not."""
        bad = self.undetected if self.must_be_found else []
        stuck = [t for t in self.trials if not t.repaired and not t.audited and t.found != UNTIL_A_QUOTE]
        if self.fault == "zero-checksum":
            stuck = []  # it never ends
        return [*bad, *stuck]


def applies(source: str, fault: str) -> bool:
    """Whether the venue's frames have what the fault hits."""
    return fault != "zero-checksum" or source in ("kraken", "okx")


def cell(row: tuple[str, str, int], fault: str, seeds: Sequence[int]) -> Cell:
    """The trials of one venue and one fault."""
    name, source, start_ns = row
    told = []
    for seed in seeds:
        t = run_trial(source, seed, fault, start_ns)
        told.append(
            Told(
                seed, t.found, t.messages, t.ms, t.wrong, t.unproven, t.undetected, t.audited, t.repaired, t.first_wrong
            )
        )
    return Cell(name, source, fault, tuple(told))


def matrix(trials: int, processes: int = PROCESSES) -> list[Cell]:
    """All cells, in the order of `ROWS` and of the faults."""
    seeds = range(FIRST_SEED, FIRST_SEED + trials)
    asked = [(row, fault) for row in ROWS for fault in FAULTS if applies(row[1], fault)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        found = [pool.submit(cell, row, fault, seeds) for row, fault in asked]
        cells = []
        for each in found:
            cells.append(each.result())
            print(f"  {len(cells)} of {len(asked)}", end="\r", file=sys.stderr, flush=True)
    return cells


def outcome(cell: Cell) -> str:
    """The cell in words: how many trials were found and how soon, and what became of the others."""
    count = len(cell.trials)
    parts = []
    if cell.found:
        messages = np.array([t.messages for t in cell.found])
        ms = np.median([t.ms for t in cell.found])
        soon = f"after {int(np.median(messages))} (at most {messages.max()})"
        timed = "" if cell.fault == "clock-jump" else f", {ms:.0f} ms"
        parts.append(f"found {len(cell.found)}, {soon}{timed}")
    if cell.undetected:
        audited = sum(t.audited for t in cell.undetected)
        parts.append(f"**unseen {len(cell.undetected)}**" + (f" ({audited} by the page)" if audited else ""))
    unproven = sum(t.unproven > 0 and not t.found for t in cell.trials)
    if unproven:
        parts.append(f"unprovable {unproven}")
    harmless = count - len(cell.found) - len(cell.undetected) - unproven
    if harmless:
        parts.append(f"harmless {harmless}")
    return "; ".join(parts)


def page(cells: Sequence[Cell], trials: int) -> str:
    """The page of documentation."""
    names = [row[0] for row in ROWS]
    by_place = {(c.row, c.fault): c for c in cells}
    lines = [HEAD.format(trials=trials, first=FIRST_SEED, last=FIRST_SEED + trials - 1)]
    for fault in FAULTS:
        lines += [f"## {fault}\n", f"{WHAT[fault]}\n", "| venue | outcome | first reason given |", "|---|---|---|"]
        for name in names:
            if (found := by_place.get((name, fault))) is None:
                lines.append(f"| {name} | no checksum | |")
                continue
            reasons = Counter(t.found for t in found.found).most_common(2)
            told = ", ".join(f"{reason} ({n})" for reason, n in reasons)
            lines.append(f"| {name} | {outcome(found)} | {told} |")
        lines.append("")
    total = sum(len(c.trials) for c in cells)
    must = [c for c in cells if c.must_be_found]
    unseen = sum(len(c.undetected) for c in must)
    stuck = sum(len(c.broken) for c in cells) - unseen
    count = sum(len(c.trials) for c in must)
    lines.append(SUMMARY.format(total=total, unseen=unseen, count=count, stuck=stuck))
    return "\n".join(lines) + "\n"


HEAD = """# What is found out when frames go wrong

Written by `python -m benchmarks detection`; do not edit. {trials} sessions for each venue and each fault, seeds {first}
to {last}. A session is what one receiver hears of two simulated books: 90 updates between a first and a last
synchronisation, about 100 ms apart; the fault falls on a random one of them. Its lines go through the reading and the
engine of a capture, and after each message the engine's book is compared with the true one.

* **found**: the book was no longer called VALID, after so many messages of books and quotes from the fault on (median;
  the most in brackets) and so many milliseconds. Before that message it may have been wrong and called VALID. A book
  that only waits for an update that has not arrived is not wrong.
* **unseen**: the book was wrong and called VALID until the next synchronisation. "By the page" are those that the
  snapshot page fetched then contradicts.
* **unprovable**: wrong, but never called VALID: the venue offers nothing, and the state says so.
* **harmless**: the book was never wrong, as where an old message is dropped.

What cannot be found out, by what the venues offer: a changed digit where only numbers are sent (Binance but for the
best prices that a quote repeats, OKX since its checksums ended, Bybit, Deribit, Coinbase Advanced); on Kraken, which
sums the ten best levels and numbers nothing, whatever happens below them alone; an old snapshot under a new number
(Coinbase Advanced), which looks like a fresh one; and everything on Coinbase Exchange, whose books are UNPROVABLE.
"""

SUMMARY = """## Summary

{total} sessions. Where the venue numbers its updates, {unseen} of {count} sessions with a fault that numbers speak of
(lost, doubled, reordered, late, reset, sync-disconnect, clock-jump) had a wrong book that was called VALID and never
found out. In {stuck} sessions the last synchronisation did not bring a book back; one that differed from a quote
is SUSPECT until a quote agrees, and not counted here."""

WHAT = {
    "lost": "One update never arrives.",
    "doubled": "One update arrives again, at once or up to four updates of its book later.",
    "reordered": "One update arrives after the next one of its book.",
    "corrupted": "One digit of a size in one update is another.",
    "late": "One update arrives two to eight updates of its book late.",
    "reset": "The connection ends, up to three updates are missed, a new one begins with snapshots.",
    "stale-snapshot": "A snapshot is older than it should be: of venues with pages, one of before a lost update; "
    "of the others, an old one in the middle of the stream.",
    "sync-disconnect": "The connection ends again in the middle of the synchronisation after a reset.",
    "clock-jump": "Our clock, or the venue's, leaps by two seconds to a day, forward or back.",
    "zero-checksum": "From one message on, the checksum is the constant 0.",
}


def run(work: Path, *, quick: bool) -> list[Figure]:
    trials = QUICK_TRIALS if quick else TRIALS
    cells = matrix(trials)
    if not quick:
        PAGE.write_text(page(cells, trials))
    for each in cells:
        for told in each.broken:
            print(f"{each.row} {each.fault} seed {told.seed}: {told}", file=sys.stderr)
    must = [c for c in cells if c.must_be_found]
    unseen = sum(len(c.undetected) for c in must)
    broken = sum(len(c.broken) for c in cells)
    inputs = f"{trials} seeded sessions for each of {len(cells)} pairs of venue and fault"
    return [
        Figure(
            "detection", "wrong books unseen where updates are numbered", float(unseen), "sessions",
            budget="none", verdict=judge(unseen == 0), inputs=inputs,
        ),
        Figure(
            "detection", "sessions that broke a rule of the matrix", float(broken), "sessions",
            budget="none", verdict=judge(broken == 0), inputs=inputs,
        ),
    ]  # fmt: skip
