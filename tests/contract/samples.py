"""Samples of each registered venue, found by what the venue says of itself: no test names a venue.

made      frames and pages of the simulated venue; where none is simulated, the recordings in samples/, which are in
          the recorders' formats and were written for these tests
recorded  the beginning of each recording in ../shared, where it is there
"""

import gzip
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import polars as pl
import pyarrow as pa

from tidelake.errors import NotInLake
from tidelake.raw.frame import Frame, encode_line
from tidelake.raw.recordings import FORMATS
from tidelake.raw.recordings.spec import RecordingFormat
from tidelake.sim.market import Market
from tidelake.sim.recordings import STREAMS, write_cryptofeed
from tidelake.sim.server import SimApi
from tidelake.tables.decode import Decoded, decode
from tidelake.tables.mapping import Mapping
from tidelake.tables.registry import TABLES
from tidelake.tables.segment_lines import split
from tidelake.venues.registry import venues
from tidelake.venues.spec import Request, Venue

Origin = Literal["made", "recorded"]
HERE = Path(__file__).parent / "samples"
CAPTURES = Path(__file__).parents[2].parent / "shared" / "data" / "captures"
MOST_LINES = 3_000  # of one recording
START_NS = 1_714_521_600_000_000_000 + 9 * 3_600 * 10**9  # 2024-05-01 09:00 UTC
END_NS = START_NS + 180 * 10**9


@dataclass(frozen=True)
class Sample:
    """Frames of one venue, in order of receipt."""

    source: str
    origin: Origin
    frames: tuple[Frame, ...]

    def decode(self, table: str = "trades") -> Decoded:
        """What the product reads in it."""
        return _decoded(self.source, self.origin, table)


def read(
    source: str, frames: tuple[Frame, ...], table: str = "trades", mappings: Sequence[Mapping] | None = None
) -> Decoded:
    """What the product reads in some frames; they become the lines 0, 1, .. of one segment."""
    plain = b"".join(encode_line(replace(frame, n=n)) for n, frame in enumerate(frames))
    return decode(TABLES[table], source, split(plain, first_n=0, known_before_ns=0), "0" * 16, {}, mappings)


@cache
def _decoded(source: str, origin: Origin, table: str) -> Decoded:
    found = sample(source, origin)
    assert found is not None
    return read(source, found.frames, table)


FACTS = [field.name for field in TABLES["trades"].facts if field.name not in ("trade_id", "event_time")]


def facts(rows: pa.Table | pl.DataFrame) -> Counter[tuple[object, ...]]:
    """What each row says, without where it came from, and without ids, which some mappings make by counting."""
    table = rows.to_arrow() if isinstance(rows, pl.DataFrame) else rows
    times = table["event_time"].cast(pa.int64())
    return Counter(zip(times.to_pylist(), *(table[name].to_pylist() for name in FACTS), strict=True))


def _lines(path: Path) -> list[bytes]:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).split(b"\n")


def frames_of(form: RecordingFormat, path: Path) -> Iterator[Frame]:
    """The frames and pages of a recording."""
    for line in islice(_lines(path), MOST_LINES):
        said = form.read_line(line)
        if said is not None and said.recv_ns is not None and said.kind in ("frame", "page"):
            yield Frame(0, said.recv_ns, 0, said.kind, line[said.head :], said.request, status=said.status)


def _recordings(venue: Venue, folder: Path) -> Iterator[Frame]:
    for form in FORMATS.values():
        for path in sorted(p for p in folder.rglob("*") if p.is_file()) if folder.is_dir() else ():
            by_name = form.source_of_file and path.name.split(".")[0] in venue.recording_names
            if by_name or form.source_of_folder.get(path.parent.name) == venue.source:
                yield from frames_of(form, path)


def _requests(venue: Venue, name: str) -> Iterator[tuple[str, Request]]:
    """(feed, request) of every page that the venue can be asked for."""
    pages = venue.trades
    if pages is not None:
        yield "trades", pages.newest(name)
        yield from (("trades", build(name, END_NS - 60 * 10**9)) for build in (pages.since, pages.below_time) if build)
    if venue.candles is not None:
        yield "candles", venue.candles.page(name, "1m", START_NS - 3_600 * 10**9)
    yield from (("instruments", request) for request in venue.instruments)


def _generated(venue: Venue) -> Iterator[Frame]:
    market = Market(3, start_ns=START_NS - 7_200 * 10**9, clock=lambda: END_NS)
    try:
        listings = market.listings(venue.source)
    except NotInLake:
        return
    streams = [stream for stream in STREAMS if stream.source == venue.source]
    with TemporaryDirectory() as folder:
        for written in write_cryptofeed(Path(folder), market, START_NS, END_NS, streams):
            yield from frames_of(FORMATS["cryptofeed"], written.path)
    api = SimApi(venue.source, market)
    for listing in [found for found in listings if found.kind in ("spot", "perpetual")][:2]:
        for feed, request in _requests(venue, listing.venue_symbol):
            answer = api.get(request.path)
            assert answer.status == 200, (request.path, answer.body[:200])
            symbol = "" if feed == "instruments" else listing.symbol
            url = f"GET {venue.rest_url}{request.path}"
            yield Frame(0, END_NS, 0, "page", answer.body, url, feed, symbol, 200)


@cache
def sample(source: str, origin: Origin) -> Sample | None:
    """The venue's sample of that origin; None where there is none."""
    venue = venues()[source]
    frames = list(_generated(venue) if origin == "made" else _recordings(venue, CAPTURES))
    if origin == "made" and not frames:
        frames = list(_recordings(venue, HERE))
    ordered = sorted(frames, key=lambda frame: frame.recv_ns)
    return Sample(source, origin, tuple(ordered)) if ordered else None
