"""Staged files of vendors that were checked: compared with those that are ready, and sealed or kept with a reason."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from tidelake.books.ready import acquire_lane
from tidelake.books.vendor_checks import Check, check_against
from tidelake.books.vendor_manifest import Manifest
from tidelake.jobs.acquire_fetch import Fetched
from tidelake.jobs.acquire_plan import WantedDay, WantedFile, is_ready
from tidelake.jobs.acquire_report import State
from tidelake.jobs.acquire_staging import MANIFEST, REASON, Staging
from tidelake.raw.crash_points import reach
from tidelake.raw.entry import Entry
from tidelake.raw.sealed_files import FileLane
from tidelake.raw.store import Store
from tidelake.vendors.spec import Vendor

_OPTION = re.compile(r"-[CP]$")


@dataclass
class Sealer:
    """Seals the files of one run, in one thread.

    Attributes:
        place: Where the files come from, without secrets.
        clock: Wall clock, ns since 1970.
        asked_ns: When the run began.
    """

    store: Store
    vendor: Vendor
    staging: Staging
    place: str
    clock: Callable[[], int]
    asked_ns: int
    _lanes: dict[str, FileLane] = field(default_factory=dict)

    def is_ready(self, file: WantedFile) -> bool:
        """Whether the lake has the file as its place tells of it."""
        return is_ready(file, self.known(file.of.lane), self.place)

    def known(self, lane: str) -> Mapping[str, Entry]:
        """The files of a lane as this run read it or sealed into it."""
        return self._lane(lane).known

    def _lane(self, name: str) -> FileLane:
        if name not in self._lanes:
            self._lanes[name] = FileLane(self.store, name)
            self._lanes[name].standing()
        return self._lanes[name]

    def settle(self, file: WantedFile, fetched: Fetched) -> tuple[State, list[Check]]:
        """Seal a file that passed; else leave it with its reason. What became of it, and the checks that failed.

        It is "already ready" where another place or time of change made it look new, and its bytes are the same.
        """
        checks = fetched.checks + self._compared(file, fetched)
        if failed := [check for check in checks if check.verdict == "failed"]:
            self.staging.write(file.name, REASON, _reason(file, self._url(file), fetched, checks))
            return "failed", failed
        manifest = self._manifest(file, fetched, checks)
        data = msgspec.json.encode(manifest)
        self.staging.write(file.name, MANIFEST, data)
        reach("manifest-written")
        return "acquired" if self._seal(manifest, data) else "already ready", []

    def _compared(self, file: WantedFile, fetched: Fetched) -> list[Check]:
        """The checks against what is ready; none where the file did not pass by itself."""
        if any(check.verdict == "failed" for check in fetched.checks):
            return []
        own = self.known(file.of.lane).items()
        same = {entry.meta["rows_sha256"]: name for name, entry in own if name != file.name}
        is_option = bool(_OPTION.search(file.of.symbol))
        return check_against(fetched.content, self._prices(file.of), same, is_option=is_option)

    def _prices(self, day: WantedDay) -> dict[str, float]:
        """Median price of each other table's ready files of the same stream and day, by name."""
        lanes = [acquire_lane(self.vendor.name, t, day.exchange, day.vendor_symbol) for t in self.vendor.tables]
        return {
            name: float(entry.meta["median_price"])
            for lane in lanes
            if lane != day.lane
            for name, entry in self.known(lane).items()
            if entry.meta["day"] == day.day.isoformat()
        }

    def _url(self, file: WantedFile) -> str:
        return f"{self.place.rstrip('/')}/{file.name}"

    def _manifest(self, file: WantedFile, fetched: Fetched, checks: list[Check]) -> Manifest:
        day, content = file.of, fetched.content
        return Manifest(
            sha256=fetched.sha256,
            bytes=fetched.bytes,
            name=file.name,
            rows=content.rows,
            vendor=self.vendor.name,
            table=day.table.name,
            exchange=day.exchange,
            vendor_symbol=day.vendor_symbol,
            day=day.day.isoformat(),
            source=day.source,
            symbol=day.symbol,
            place=self.place,
            url=self._url(file),
            tag=fetched.remote.tag,
            asked_ns=self.asked_ns,
            received_ns=self.clock(),
            first_ns=content.first_ns,
            last_ns=content.last_ns,
            first_event_ns=content.first_event_ns,
            last_event_ns=content.last_event_ns,
            median_price=content.median_price,
            median_size=content.median_size,
            rows_sha256=content.rows_sha256,
            checks=checks,
        )

    def finish_interrupted(self) -> None:
        """Seal what passed before a run was killed, first of all: so it takes over the objects that were left."""
        for manifest, data in self.staging.interrupted():
            self._seal(manifest, data)

    def _seal(self, manifest: Manifest, data: bytes) -> bool:
        lane = self._lane(acquire_lane(manifest.vendor, manifest.table, manifest.exchange, manifest.vendor_symbol))
        _, is_new = lane.seal(
            self.staging.staged(manifest.name),
            data,
            source=manifest.source,
            recv_ns=manifest.received_ns,
            meta=manifest.meta(),
            clock=self.clock,
        )
        reach("sealed")
        self.staging.clear(manifest.name)
        return is_new


def _reason(file: WantedFile, url: str, fetched: Fetched, checks: Sequence[Check]) -> bytes:
    told = {
        "name": file.name,
        "url": url,
        "sha256": fetched.sha256,
        "bytes": fetched.bytes,
        "rows": fetched.content.rows,
        "checks": checks,
    }
    return msgspec.json.format(msgspec.json.encode(told))
