"""Vendor files into the lake: listed, fetched in parallel, checked in staging, and sealed one after the other.

Files are sealed in the order in which they are wanted, whatever order they come in, so that runs end alike. Nothing is
remembered but the ledger and the files in the zones: a run that was killed is run again, and goes on.
"""

import fcntl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from os import environ
from pathlib import Path
from urllib.parse import urlsplit

from tidelake.books.ready import LANES
from tidelake.books.vendor_checks import Check
from tidelake.errors import ConfigError, SourceError
from tidelake.jobs.acquire_fetch import Fetched, fetch, patiently
from tidelake.jobs.acquire_plan import DayFiles, WantedDay, WantedFile, is_vendor_file, wanted_days
from tidelake.jobs.acquire_report import AcquiredFile, AcquireReport, State
from tidelake.jobs.acquire_seal import Sealer
from tidelake.jobs.acquire_staging import Staging
from tidelake.jobs.session import Progress
from tidelake.raw.store import Store
from tidelake.transport.files.place import open_place
from tidelake.transport.files.spec import FilePlace
from tidelake.vendors import registry
from tidelake.vendors.spec import Vendor

AHEAD = 3  # files fetched or being fetched for each worker before the first of them is sealed: bounds the disk


@dataclass(frozen=True)
class AcquireSettings:
    """How a run goes about it.

    Attributes:
        workers: Files in hand at once.
        dry_run: Only list, and say what would be fetched; touches nothing.
        progress: Called with the bytes received, and how many there are where that is told.
        clock: Wall clock, ns since 1970.
        sleep: Waits for seconds, between attempts.
    """

    workers: int = 4
    dry_run: bool = False
    progress: Progress | None = None
    clock: Callable[[], int] = time.time_ns
    sleep: Callable[[float], None] = time.sleep


def acquire(
    store: Store,
    vendor: str,
    *,
    exchange: str,
    symbols: Sequence[str],
    start: date,
    end: date,
    tables: Sequence[str] = (),
    place: str | None = None,
    settings: AcquireSettings | None = None,
) -> AcquireReport:
    """Bring a vendor's files of some days into the lake, as far as they are not there.

    Args:
        store: The lake's store.
        vendor: A name of `vendors.registry`.
        exchange: The vendor's name of the exchange.
        symbols: The vendor's symbols.
        start: First day, UTC.
        end: Day after the last.
        tables: The vendor's tables; all that we know by default.
        place: Where its files lie, laid out as the vendor does: `s3://bucket/prefix`, `https://..`, a folder; by
            default where the vendor documents it.
        settings: How to go about it.

    Raises:
        NotInLake: No such vendor, table, exchange or symbol.
        ConfigError: Nothing is asked for, or there is no such place.
        StoreError: The lake's store failed; what was sealed until then stays, and the same call goes on.
        LedgerBroken: A lane of files does not hold.
    """
    known, chosen = registry.vendor(vendor), settings or AcquireSettings()
    days = wanted_days(known, exchange, symbols, tables, start, end)
    address = place or known.url
    if not address:
        raise ConfigError(f"{vendor} gives each customer a place of files of its own: name it with --from")
    opened = open_place(address, secret=_secret(known, address))
    staging = Staging(Path() if chosen.dry_run else store.spool() / LANES / vendor)  # a dry run makes no folder
    sealer = Sealer(store, known, staging, opened.url, chosen.clock, chosen.clock())
    run = _Run(known, opened, chosen, staging, sealer)
    try:
        with _alone(staging, dry_run=chosen.dry_run):
            return run.report(days)
    finally:
        opened.close()


def _secret(vendor: Vendor, address: str) -> str:
    """The vendor's key, for its own host and for this machine: others are not to see it."""
    host, own = urlsplit(address).hostname, urlsplit(vendor.url or "").hostname
    is_own = address.startswith("https://") and host == own
    return environ.get(vendor.secret or "", "") if is_own or host in ("localhost", "127.0.0.1") else ""


@contextmanager
def _alone(staging: Staging, *, dry_run: bool) -> Iterator[None]:
    """Wait for other runs of the vendor on this machine, which share the zones; a dry run touches nothing."""
    if dry_run:
        yield
        return
    staging.root.mkdir(parents=True, exist_ok=True)
    with open(staging.root / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@dataclass
class _Run:
    vendor: Vendor
    place: FilePlace
    settings: AcquireSettings
    staging: Staging
    sealer: Sealer
    received: int = 0
    total: int | None = None
    stopped: bool = False
    counting: threading.Lock = field(default_factory=threading.Lock)

    def report(self, days: Sequence[WantedDay]) -> AcquireReport:
        started = time.monotonic()
        if not self.settings.dry_run:
            self.sealer.finish_interrupted()
        with ThreadPoolExecutor(self.settings.workers) as pool:
            try:
                rows = self.rows(pool, days)
            except BaseException:
                self.stopped = True
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        order = {(day.table.name, day.vendor_symbol, day.day.isoformat()): i for i, day in enumerate(days)}
        rows.sort(key=lambda row: (order[row.table, row.symbol, row.day], row.name))
        return AcquireReport(rows, self.received, time.monotonic() - started)

    def rows(self, pool: ThreadPoolExecutor, days: Sequence[WantedDay]) -> list[AcquiredFile]:
        rows, pending = [], []
        for day in pool.map(self.listed, days):
            if not day.files:
                rows.append(_row(day.of, "failed" if day.reason else "missing", day.of.key, reason=day.reason))
            for file in day.files:
                if self.sealer.is_ready(file):
                    rows.append(self.ready(file))
                else:
                    pending.append(file)
        if self.settings.dry_run:
            return rows + [_row(file.of, "planned", file.name, file.remote.bytes) for file in pending]
        return rows + self.get(pool, pending)

    def listed(self, day: WantedDay) -> DayFiles:
        """The day's files as their place tells of them."""
        try:
            found = patiently(lambda: self.place.find(day.key), self.settings.sleep)
        except SourceError as exc:
            return DayFiles(day, reason=self.hint(exc))
        return DayFiles(day, tuple(WantedFile(day, file) for file in found if is_vendor_file(self.vendor, file.key)))

    def hint(self, exc: SourceError) -> str:
        if exc.status in (401, 403) and self.vendor.secret:
            return f"{exc}; set {self.vendor.secret} to the key of {self.vendor.name}"
        return str(exc)

    def ready(self, file: WantedFile) -> AcquiredFile:
        if not self.settings.dry_run:
            self.staging.clear(file.name)  # of older versions that did not pass
        sealed = self.sealer.known(file.of.lane)[file.name].file
        return _row(file.of, "already ready", file.name, file.remote.bytes, rows=sealed.rows if sealed else 0)

    def get(self, pool: ThreadPoolExecutor, pending: Sequence[WantedFile]) -> list[AcquiredFile]:
        """Fetch and check in the pool; compare and seal here, in order."""
        sizes = [file.remote.bytes for file in pending]
        self.total = None if None in sizes else sum(size or 0 for size in sizes)
        rows = []
        waiting: deque[tuple[WantedFile, Future[Fetched]]] = deque()
        for file in pending:
            waiting.append((file, pool.submit(self.fetch, file)))
            if len(waiting) >= AHEAD * self.settings.workers:
                rows.append(self.settle(*waiting.popleft()))
        return rows + [self.settle(*each) for each in waiting]

    def fetch(self, file: WantedFile) -> Fetched:
        def received(count: int) -> None:
            if self.stopped:
                raise SourceError("the run was stopped", retryable=False)
            with self.counting:
                self.received += count
                if self.settings.progress:
                    self.settings.progress(self.received, self.total, file.name)

        sleep = self.settings.sleep
        return fetch(self.place, self.staging, self.vendor, file, received=received, sleep=sleep)

    def settle(self, file: WantedFile, fetching: "Future[Fetched]") -> AcquiredFile:
        try:
            fetched = fetching.result()
        except SourceError as exc:
            return _row(file.of, "failed", file.name, file.remote.bytes, reason=self.hint(exc))
        state, failed = self.sealer.settle(file, fetched)
        reason = "; ".join(_told(check) for check in failed)
        return _row(file.of, state, file.name, fetched.bytes, rows=0 if failed else fetched.content.rows, reason=reason)


def _row(
    day: WantedDay, state: State, name: str, size: int | None = None, *, rows: int = 0, reason: str = ""
) -> AcquiredFile:
    stream = (day.table.name, day.exchange, day.vendor_symbol, day.day.isoformat())
    return AcquiredFile(*stream, state, name, size, rows, reason)


def _told(check: Check) -> str:
    return f"{check.name} {check.found}: {check.reason}" if check.found != "" else f"{check.name}: {check.reason}"
