"""Derive of one new small entry into a table that has thousands of commits, whole and by its parts.

The commits before are made by the table writer itself, 20 rows each over 300 days, without decoding and without looking
whether the table was dropped: only the length of the table's log and the number of its files matter. Between them small
files are merged as derive merges them, and what that takes is reported by commit. The timed derives run all of
`derive_table`: find the new entry, read and decode it, look for stored rows of its keys, commit.
"""

import datetime as dt
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

from benchmarks.generated import trades_of_day
from benchmarks.inputs import match_frames
from benchmarks.report import Figure, judge
from benchmarks.timing import percentile

COMMITS, QUICK_COMMITS = 10_000, 300
TIMED, FRAMES = 20, 20
PER_HANDLE = 50  # a handle keeps its own commits one by one: after 1,000 of them a commit takes four times as long
BUDGET_S = 0.100
PARTS = {"open_or_create": "open", "_new_entries": "find", "_batch": "find", "_read_entry": "decode",
         "are_all_new": "versions", "drop_repeats": "versions"}  # fmt: skip


def _seal_entry(folder: Path, number: int) -> None:
    """An entry of 20 frames, each with trades that no entry had before."""
    from tidelake.jobs.imports import no_claims
    from tidelake.raw.frame import Frame, encode_line
    from tidelake.raw.lane import lane_name, seal_lines
    from tidelake.raw.ledger import Ledger
    from tidelake.raw.store import Store

    store = Store.open(folder)
    lane = lane_name("coinbase", "bench", "all")
    head = Ledger(store).head(lane)
    found = list(match_frames(FRAMES * (number + 1)))[-FRAMES:]
    lines = b"".join(
        encode_line(Frame(head.next_n + i, int(at.timestamp() * 1e6) * 1_000, 0, "frame", frame))
        for i, (at, frame) in enumerate(found)
    )
    seal_lines(store, lane, "coinbase", lines, describe=no_claims, head=head)


def _fill(folder: Path, count: int) -> tuple[float, float]:
    """Makes `count` commits; seconds of the last one, and of all merges between them."""
    from tidelake.raw.store import Store
    from tidelake.tables.delta import open_or_create
    from tidelake.tables.maintain import is_merge_due, merge_small
    from tidelake.tables.registry import table

    trades, store = table("trades"), Store.open(folder)
    first = dt.date(2022, 1, 1)
    last = merging = 0.0
    renew = True
    for number in range(count):
        if renew:
            handle = open_or_create(store, trades.name, trades.schema, trades.partition_by)
        day = first + dt.timedelta(days=number * 300 // count)
        rows = trades_of_day("coinbase", "BTC-USD", day, FRAMES, first_id=10**9 + number * FRAMES)
        started = time.perf_counter()
        handle.commit(rows, {"bench": number})
        last = time.perf_counter() - started
        version = handle.version
        if merges := is_merge_due(version - 1, version):
            started = time.perf_counter()
            merge_small(store, trades)
            merging += time.perf_counter() - started
        renew = merges or number % PER_HANDLE == PER_HANDLE - 1
    return last, merging


@contextmanager
def _watched(taken: dict[str, float]) -> Iterator[None]:
    """Adds up the seconds that a derive spends in each of its parts."""
    from tidelake.tables import derive
    from tidelake.tables.delta import TableHandle
    from tidelake.tables.lookup import Lookup

    def timed(name: str, function: Callable[..., object]) -> Callable[..., object]:
        def run_timed(*arguments: object, **named: object) -> object:
            started = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                taken[name] += time.perf_counter() - started

        return run_timed

    with ExitStack() as stack:
        for function, part in PARTS.items():
            stack.enter_context(patch.object(derive, function, timed(part, getattr(derive, function))))
        stack.enter_context(patch.object(Lookup, "stored_rows", timed("lookup", Lookup.stored_rows)))
        stack.enter_context(patch.object(TableHandle, "commit", timed("commit", TableHandle.commit)))
        yield


def _timed_derives(folder: Path, first: int) -> tuple[list[float], list[float], dict[str, float]]:
    """Seconds of each derive, on the wall and of processors, and mean milliseconds of its parts."""
    from tidelake.raw.store import Store
    from tidelake.tables.derive import derive_table
    from tidelake.tables.registry import table

    whole: list[float] = []
    busy: list[float] = []
    parts: dict[str, float] = defaultdict(float)
    for number in range(first, first + TIMED):
        _seal_entry(folder, number)
        store = Store.open(folder)
        with _watched(parts):
            started, worked = time.perf_counter(), time.process_time()
            done = derive_table(store, table("trades"))
            whole.append(time.perf_counter() - started)
            busy.append(time.process_time() - worked)
        if done.rows_added != FRAMES:
            raise AssertionError(f"derived {done.rows_added} rows of {FRAMES}")
    return whole, busy, {name: seconds / TIMED * 1e3 for name, seconds in parts.items()}


def run(work: Path, *, quick: bool) -> list[Figure]:
    count = QUICK_COMMITS if quick else COMMITS
    folder = work / "commit-lake"
    shutil.rmtree(folder, ignore_errors=True)
    figures = []
    _timed_derives(folder, 0)  # imports, caches
    for when, commits in (("in a new table", 0), (f"after {count:,} commits", count)):
        last, merging = _fill(folder, commits) if commits else (0.0, 0.0)
        whole, busy, parts = _timed_derives(folder, TIMED * (2 if commits else 1))
        p50 = percentile(whole, 50) * 1e3
        parts["processors"] = percentile(busy, 50) * 1e3
        parts["merging, by commit"] = merging * 1e3 / max(commits, 1)
        note = ", ".join(f"{name} {ms:.1f} ms" for name, ms in parts.items())
        figures.append(
            Figure(
                "commit", f"derive of a new small entry, {when}, p50", p50, "ms", budget=f"{BUDGET_S * 1e3:.0f} ms",
                verdict=judge(p50 <= BUDGET_S * 1e3), inputs=f"{TIMED} derives of {FRAMES} Coinbase match frames each",
                note=f"{when}: {note}",
                details={"p50_ms": p50, "max_ms": max(whole) * 1e3, "last_fill_commit_ms": last * 1e3,
                         **{f"{name}_ms".replace(", ", "_").replace(" ", "_"): ms for name, ms in parts.items()}},
            )
        )  # fmt: skip
    shutil.rmtree(folder)
    return figures
