"""Capture of a playback of each recording and import of its file give equal tables: all of them, in every row.

The capture talks to a server that plays the file back at the address where it was recorded, each REST page where it
stands among the frames, and has the receive clock of the recorder: the times of messages that name none, dated formats
and rules all go by it. So the tables are equal in `known_at` and `recv_ns` too, and the rows that were told live are
those that derive makes. What is not compared is where a row's line lies (`segment`, `line`), for a capture also keeps
what it sent itself, and seals in other places.
"""

import asyncio
import gzip
import json
import re
import sys
import time
import zipfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from starlette.requests import Request
from starlette.responses import Response

import tidelake
from tests.recorded.independent_reader import CRYPTOFEED, HFTBACKTEST, MARKETS, SOURCES, nanoseconds
from tidelake.jobs import capture as capturing
from tidelake.jobs.capture_plan import plan_links
from tidelake.jobs.capture_report import CaptureReport
from tidelake.jobs.imports import import_recordings
from tidelake.jobs.session import Settings
from tidelake.raw.frame import Frame
from tidelake.raw.lane import LaneWriter
from tidelake.raw.ledger import Ledger
from tidelake.raw.segments import iter_frames
from tidelake.raw.store import Store
from tidelake.raw.verify import verify
from tidelake.sim.playback import Item, Playback
from tidelake.tables import quarantine
from tidelake.tables.delta import open_table
from tidelake.tables.registry import TABLES
from tidelake.transport import link as link_module
from tidelake.transport.http import Patience
from tidelake.venues.registry import venue

pytestmark = pytest.mark.skipif(not CRYPTOFEED.is_dir(), reason="needs the recorded data in ../shared/data/captures")

BYBIT_V5 = CRYPTOFEED.parent / "bybit-v5" / "xrpusdt-ob500.data.zip"
HFTBACKTEST_DAYS = (
    ("spot", "btcusdt_20240808"),
    ("usdm", "ethusdt_20240808"),
    ("cm", "btcusd_perp_20240808"),
)
WHERE = ("segment", "line")
FIRST_LINES = 1_500
ROTATE_BYTES = 1 << 16  # an import has one segment of all of it
PATIENT_SECONDS = 120
PAGE = re.compile(r"(\S+symbol=(\w+)\S*) -> ([\d.]+): (.*)")


@dataclass(frozen=True)
class Recording:
    """A recording file as it is imported, and what it holds.

    Attributes:
        name: Of the file.
        format: As `import_recordings` takes it.
        text: What stands in the file.
        items: Its frames and pages, in order; the pages as today's capture asks for them.
        address: Of the socket.
    """

    name: str
    source: str
    format: str
    text: str
    items: list[Item]
    address: str


def book_request(source: str, symbol: str) -> str:
    """What a capture asks for the book of a symbol of the venue."""
    page = next(sockets.book_page for sockets in venue(source).sockets if sockets.book_page is not None)
    return f"GET {venue(source).rest_url}{page(symbol).path}"


def cryptofeed_items(source: str, lines: Sequence[str]) -> Iterator[Item]:
    for line in lines:
        if line[:1].isdigit():
            clock, _, payload = line.partition(": ")
            yield Item(nanoseconds(clock), "frame", payload.encode())
        elif match := PAGE.match(line):
            yield Item(nanoseconds(match[3]), "page", match[4].encode(), book_request(source, match[2]))


def with_pages(lines: list[str], pages: Path) -> list[str]:
    """The lines of a socket's file, and those of a file of pages where they were received."""
    lines = list(lines)
    for page in pages.read_text().splitlines() if pages.exists() else []:
        if match := PAGE.match(page):
            later = (
                i for i, line in enumerate(lines) if line[:1].isdigit() and float(line.split(":")[0]) > float(match[3])
            )
            lines.insert(next(later, len(lines)), page)
    return lines


def cryptofeed(path: Path, most: int) -> Recording:
    source = SOURCES[path.name.split(".")[0]]
    pages = path.with_name(path.name.split(".")[0] + ".http.0.0")
    lines = with_pages(path.read_text().splitlines(), pages)[:most]
    address = next(line.split(" ")[0] for line in lines if " <-> " in line)
    items = list(cryptofeed_items(source, lines))
    return Recording(path.name, source, "cryptofeed", "\n".join(lines) + "\n", items, address)


def hftbacktest(path: Path, most: int) -> Recording:
    source = MARKETS[path.parent.name]
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()[:most]
    symbol = path.name.partition("_2024")[0].upper()
    items = []
    for line in lines:
        clock, _, payload = line.partition(" ")
        page = '"lastUpdateId"' in payload
        request = book_request(source, symbol) if page else ""
        items.append(Item(int(clock), "page" if page else "frame", payload.strip().encode(), request))
    sockets = next(sockets for sockets in venue(source).sockets if "book" in sockets.channels)
    return Recording(path.name, source, "hftbacktest", "\n".join(lines) + "\n", items, sockets.url)


def bybit_v5(path: Path, most: int) -> Recording:
    """The frames as a recorder of today would have written them; the archive says no receive clock but the venue's."""
    with zipfile.ZipFile(path) as archive:
        frames = archive.read(archive.namelist()[0]).decode().splitlines()[:most]
    address = "wss://stream.bybit.com/v5/public/linear"
    clocks = [json.loads(frame)["ts"] for frame in frames]
    lines = [f"{clock // 1000}.{clock % 1000:03}: {frame}" for clock, frame in zip(clocks, frames, strict=True)]
    items = list(cryptofeed_items("bybit", lines))
    return Recording("BYBIT.ws.1.0", "bybit", "cryptofeed", "\n".join(lines) + "\n", items, address)


def sockets_of_cryptofeed() -> list[Path]:
    """The files of sockets of the venues that can be captured."""
    found = []
    for path in sorted(CRYPTOFEED.glob("*.ws.*")):
        source = SOURCES.get(path.name.split(".")[0])
        if source is not None and venue(source).sockets:
            found.append(path)
    return found


def case(read, path):
    return pytest.param(read, path, id=f"{path.parent.name}-{path.name}")


def cases():
    """The first lines of each recording; of hftbacktest's one per market."""
    days = [HFTBACKTEST / market / f"{name}.gz" for market, name in HFTBACKTEST_DAYS]
    found = [case(cryptofeed, path) for path in sockets_of_cryptofeed()]
    found += [case(hftbacktest, path) for path in days]
    return [*found, case(bybit_v5, BYBIT_V5)]


def whole_cases():
    found = [case(cryptofeed, path) for path in sockets_of_cryptofeed()]
    return found + [case(hftbacktest, path) for path in sorted(HFTBACKTEST.glob("*/*.gz"))]


class PlaybackInPlace(Playback):
    """Answers each page once all before it is kept, and goes on once the page is; tells a capture its clocks.

    Args:
        recording: What it plays.
        clock: When a frame or page is received; by default when the recorder received it.

    Attributes:
        kept: Frames and pages of the recording that the capture has written.
        now_ns: Receive clock of the last of them.
    """

    def __init__(self, recording: Recording, clock: Callable[[], int] | None = None) -> None:
        self.items = recording.items
        self.kept = 0
        self.clock = clock or (lambda: self.items[min(self.kept, len(self.items) - 1)].recv_ns)
        self.now_ns = self.clock()
        super().__init__(recording.items, speed=0, wait_for_message=True, stay_open=True)

    def next_clock(self) -> int:
        self.now_ns = self.clock()
        self.kept += 1
        return self.now_ns

    async def until_kept(self, count: int) -> None:
        while self.kept < count:
            await asyncio.sleep(0.001)

    async def _page(self, request: Request) -> Response:
        asked = f"{request.url.path}?{request.url.query}"
        places = [i for i, item in enumerate(self.items) if item.kind == "page" and item.request.endswith(asked)]
        for place in places:
            await self.until_kept(place)
        return await super()._page(request)

    async def _timed(self, frames: Sequence[Item]) -> AsyncIterator[bytes]:
        for place, item in enumerate(self.items):
            if item.kind == "page":
                await self.until_kept(place + 1)
                continue
            if place % 256 == 0:
                await asyncio.sleep(0)
            yield item.payload


def writer_with_clocks_of(playback: PlaybackInPlace) -> type[LaneWriter]:
    """A writer of captured lanes whose lines are received when those of the recording were."""

    class Writer(LaneWriter):
        def append_heard(self, heard, request):
            stamped = [one._replace(recv_ns=playback.next_clock() if one.kind == "frame" else playback.now_ns)
                       for one in heard]  # fmt: skip
            return super().append_heard(stamped, request)

        def append(self, **said):
            return super().append(**said | {"recv_ns": playback.next_clock()})

    return Writer


def captured(
    store: Store, recording: Recording, symbols: Sequence[str], monkeypatch, clock: Callable[[], int] | None
) -> dict[str, pl.DataFrame]:
    """Captures the recording's playback at its own address until all of it is kept; the rows that were told live."""
    known = venue(recording.source)
    (link, *_), _ = plan_links(known, symbols, ["book"])
    sockets = replace(link.sockets, url=recording.address.partition("?")[0])
    told: dict[str, list[pl.DataFrame]] = {}
    choices = capturing.CaptureSettings(
        publish=lambda table, rows: told.setdefault(table, []).append(pl.DataFrame(rows)),
        book_levels=0,
        audit_seconds=0,
        rotate_bytes=ROTATE_BYTES,
    )
    with PlaybackInPlace(recording, clock) as server, monkeypatch.context() as patch:
        patch.setattr(link_module, "ANSWER_SECONDS", 0.1)  # who recorded asked otherwise: our requests are not answered
        patch.setattr(capturing, "SLOW_TICKS", 1)  # so that parts are sealed where they are long enough
        patch.setattr(capturing, "find_venue", lambda _: replace(known, sockets=(sockets,)))
        patch.setattr(capturing, "LaneWriter", writer_with_clocks_of(server))
        settings = Settings(url=server.url, clock=lambda: server.now_ns, patience=Patience(attempts=1))
        asked = {recording.source: symbols}
        work = capturing.capture_async(
            store, asked, channels=list(sockets.channels), settings=settings, capturing=choices
        )
        report = asyncio.run(until_kept(server, work))
    assert [link.opens for link in report.links] == [1]
    assert (report.shed, report.failed) == (0, "")
    return {table: pl.concat(parts) for table, parts in told.items()}


async def until_kept(server: PlaybackInPlace, work: Coroutine[Any, Any, CaptureReport]) -> CaptureReport:
    """The report of a capture that is interrupted once it has kept all that is played."""
    task = asyncio.create_task(work)
    ends = time.monotonic() + PATIENT_SECONDS
    while server.kept < len(server.items) and not task.done() and time.monotonic() < ends:
        await asyncio.sleep(0.01)
    task.cancel()
    report = await task
    assert server.kept == len(server.items), f"the capture has {server.kept} of {len(server.items)} frames and pages"
    return report


def heard(store: Store) -> list[Frame]:
    """All frames and pages in the lake, lanes one after another."""
    ledger = Ledger(store)
    frames = (f for lane in ledger.lanes() for e in ledger.entries(lane) for f in iter_frames(store, e.segment))
    return [frame for frame in frames if frame.kind in ("frame", "page")]


def tables(root: Path) -> dict[str, pl.DataFrame]:
    """Every table that holds rows, without where their lines lie."""
    lake = tidelake.open(root)
    lake.derive()
    found = {name: lake.scan(name).collect() for name in TABLES}
    if (rejected := open_table(lake.store, quarantine.NAME)) is not None:
        found["quarantine"] = pl.DataFrame(rejected.to_pyarrow_table()).drop("lane", "seq")
    return {name: sorted_rows(table) for name, table in found.items() if table.height}


def sorted_rows(table: pl.DataFrame) -> pl.DataFrame:
    """The table without where its lines lie, in one order."""
    bare = table.drop(WHERE, strict=False)
    return bare.sort(bare.columns)


@dataclass(frozen=True)
class BothWays:
    """The tables of one recording, imported and captured, and the rows that the capture told live."""

    imported: dict[str, pl.DataFrame]
    captured: dict[str, pl.DataFrame]
    told: dict[str, pl.DataFrame]


def both_ways(recording: Recording, folder: Path, monkeypatch, clock: Callable[[], int] | None = None) -> BothWays:
    file = folder / recording.name
    file.write_text(recording.text)
    imported, store = Store.open(folder / "imported"), Store.open(folder / "captured")
    report = import_recordings(imported, [file], format=recording.format, source=recording.source)
    assert report.exit_code == 0
    expected = tables(folder / "imported")
    symbols = sorted({name for table in expected.values() if "symbol" in table.columns for name in table["symbol"]})
    told = captured(store, recording, symbols, monkeypatch, clock)
    assert verify(store).problems == []
    assert [(f.kind, f.payload) for f in heard(store)] == [(f.kind, f.payload) for f in heard(imported)]
    return BothWays(expected, tables(folder / "captured"), told)


def check_same_rows(found: BothWays) -> None:
    assert found.captured.keys() == found.imported.keys() != set()
    for name, table in found.imported.items():
        assert_frame_equal(found.captured[name], table)
    assert found.told.keys() >= found.imported.keys() & {"quotes"}
    for name, rows in found.told.items():
        if not TABLES[name].restatable:  # of others `scan` shows the last version alone
            assert_frame_equal(sorted_rows(rows), found.captured[name].drop("revision"))


@pytest.mark.parametrize(("read", "path"), cases())
def test_capture_of_a_playback_and_import_of_its_file_give_equal_tables(read, path, tmp_path, monkeypatch):
    check_same_rows(both_ways(read(path, FIRST_LINES), tmp_path, monkeypatch))


@pytest.mark.soak
@pytest.mark.parametrize(("read", "path"), whole_cases())
def test_capture_of_a_playback_and_import_of_its_whole_file_give_equal_tables(read, path, tmp_path, monkeypatch):
    check_same_rows(both_ways(read(path, sys.maxsize), tmp_path, monkeypatch))


def test_a_playback_heard_years_later_gives_the_same_facts(tmp_path, monkeypatch):
    recording = cryptofeed(CRYPTOFEED / "BYBIT.ws.25.0", FIRST_LINES)  # its messages all say their time
    found = both_ways(recording, tmp_path, monkeypatch, clock=time.time_ns)
    assert found.captured.keys() == found.imported.keys() >= {"book_deltas"}
    for table, rows in found.imported.items():
        facts = rows.drop("recv_ns", "known_at")
        assert_frame_equal(found.captured[table].select(facts.columns).sort(facts.columns), facts.sort(facts.columns))
