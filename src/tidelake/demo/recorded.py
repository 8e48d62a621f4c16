"""The demonstration on recorded frames: imported verbatim, killed half way, and read as of a time inside them."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from tidelake.client import Lake
from tidelake.demo.children import spawn, was_killed
from tidelake.demo.narrator import Narrator
from tidelake.demo.page import PageFacts
from tidelake.demo.simulated import report_row
from tidelake.demo.tables import busiest, unified_rows
from tidelake.errors import ConfigError, FormatDrift
from tidelake.jobs.exports import export_recordings, import_lanes
from tidelake.jobs.imports import ImportReport, import_recordings
from tidelake.raw.codec import key_from_environment
from tidelake.raw.recordings import FORMATS
from tidelake.raw.recordings.files import RecordingFile
from tidelake.raw.recordings.sniff import check_format

SNIFFED = 5  # files of a folder that are looked at
SHOWN_STREAMS = 8


def recorded_folders(folder: Path) -> dict[Path, str]:
    """The format of each folder, itself included, that holds recordings.

    Raises:
        ConfigError: There is none.
    """
    folders = [folder, *(path for path in sorted(folder.rglob("*")) if path.is_dir())]
    found = {path: form for path in folders if (form := _format_of(path))}
    if not found:
        known = ", ".join(FORMATS)
        raise ConfigError(f"no recordings in {folder}; known formats are {known}", tried=(str(folder),))
    return found


def _format_of(folder: Path) -> str:
    files = sorted((path for path in folder.iterdir() if path.is_file()), key=lambda path: -path.stat().st_size)
    for path in files[:SNIFFED]:
        with path.open("rb") as file:
            block = next(RecordingFile(file, path.stat().st_size).blocks(), b"")
        for form in FORMATS.values():
            try:
                check_format(form, block, FORMATS.values())
            except FormatDrift:
                continue
            return form.name
    return ""


@dataclass
class Recorded:
    """The tour over a folder of recordings."""

    lake: Lake
    folder: Path
    tell: Narrator
    recordings: Path
    formats: dict[Path, str] = field(default_factory=dict)

    def imports(self) -> None:
        """An import that is killed, then resumed; the export equals the files."""
        self.formats = recorded_folders(self.recordings)
        told = [f"{path}: {form}" for path, form in self.formats.items()]
        self.tell.step("Import: recorded frames, verbatim, and a kill in the middle", *told)
        planned = sum(file.state == "planned" for file in self._import(dry_run=True).files)
        path, form = next(iter(self.formats.items()))
        here = max(1, self._count(path, form) // 2)
        child = spawn(self.folder, "import", *_files(path), "--from", form, crash=f"before-ledger-put:{here}")
        sealed = len(import_lanes(self.lake.store))
        self.tell.check(
            was_killed(child), f"`tidelake import` was ended with kill -9 after {sealed} of {planned} files"
        )
        report = self._import()
        kept = {file.lane for file in report.files if file.lane}
        states = {
            state: sum(file.state == state for file in report.files) for state in ("already imported", "imported")
        }
        skipped = [file for file in report.files if file.state in ("skipped", "failed")]
        self.tell.tell(f"The resume found {states['already imported']} files whole and imported {states['imported']}.")
        for file in skipped[:4]:
            self.tell.tell(f"{file.state}: {file.file} ({file.reason[:90]})")
        per_source: dict[str, list[int]] = {}
        for file in report.files:
            if file.lane:
                counts = per_source.setdefault(file.source, [0, 0, 0])
                counts[:] = [counts[0] + 1, counts[1] + file.lines, counts[2] + file.damaged]
        names = ("source", "files", "lines", "damaged")
        self.tell.rows([dict(zip(names, (source, *counts), strict=True)) for source, counts in per_source.items()])
        self._prove_bytes(kept)

    def _count(self, path: Path, form: str) -> int:
        report = import_recordings(self.lake.store, [Path(p) for p in _files(path)], format=form, dry_run=True)
        return sum(file.state == "planned" for file in report.files)

    def _import(self, *, dry_run: bool = False) -> ImportReport:
        reports = [
            import_recordings(
                self.lake.store,
                [Path(p) for p in _files(path)],
                format=form,
                dry_run=dry_run,
                key=key_from_environment(),
            )
            for path, form in self.formats.items()
        ]
        return ImportReport(tuple(file for report in reports for file in report.files))

    def _prove_bytes(self, lanes: set[str]) -> None:
        originals = {_sha256(Path(path)) for folder in self.formats for path in _files(folder)}
        with TemporaryDirectory() as scratch:
            done = export_recordings(self.lake.store, Path(scratch), key=key_from_environment())
            written = [_sha256(path) for path in Path(scratch).rglob("*") if path.is_file()]
        equal = sum(digest in originals for digest in written)
        size = sum(export.bytes for export in done)
        whole = equal == len(done) == len(lanes) == len(set(written))
        self.tell.check(
            whole, f"exported again, {equal} of {len(done)} files equal the originals byte for byte ({size:,} bytes)"
        )

    def derive(self) -> None:
        """One table."""
        self.tell.step(
            "Derive: one table out of recorded frames", "`side` is the taker's at every venue; times are UTC."
        )
        self.tell.rows([report_row(report) for report in self.lake.derive()])
        self.tell.rows(unified_rows(self.lake, busiest(self.lake)))
        counts = self.lake.scan("trades").group_by("source", "grain").agg(
            symbols=pl.col("symbol").n_unique(), trades=pl.len(), first=pl.col("event_time").min(),
            last=pl.col("event_time").max(),
        )  # fmt: skip
        self.tell.rows(counts.sort("source", "grain").collect())
        added = sum(int(row["rows_added"] or 0) for row in map(report_row, self.lake.derive()))
        self.tell.check(added == 0, f"a second derive adds {added} rows")

    def coverage(self) -> None:
        """What the ledger says is complete."""
        found = [stream for stream in self.lake.coverage() if stream.feed.endswith("trades")]
        gaps = sum(stream.gaps for stream in found)
        self.tell.step(
            f"Coverage: {len(found)} streams, {gaps} gaps",
            "VALID: the venue numbers its trades and none is missing. UNPROVABLE: it numbers nothing to prove it by.",
        )
        rows = [
            {"source": s.source, "feed": s.feed, "symbol": s.symbol, "messages": s.messages,
             "states": ", ".join(sorted({i.state for i in s.intervals})), "gaps_per_million": s.gaps_per_million}
            for s in sorted(found, key=lambda s: (-s.gaps, -s.messages))[:SHOWN_STREAMS]
        ]  # fmt: skip
        self.tell.rows(rows)

    def as_of(self) -> None:
        """What was known in the middle of a recording."""
        known = pl.col("known_at")
        counts = (
            self.lake.scan("trades").group_by("source", "symbol").agg(known.n_unique().alias("times"), known.median())
        )
        source, symbol, _, at = counts.sort("times", "symbol", descending=True).collect().row(0)
        self.tell.step(
            "As of: what was known in the middle of the recording",
            f"Trades of {source} {symbol}, as of {at:%Y-%m-%d %H:%M:%S.%f} UTC (half of it was heard), and now.",
        )
        answers: list[dict[str, Any]] = []
        for name, as_of in (("then", at), ("now", None)):
            rows = self.lake.scan("trades", as_of=as_of).filter(pl.col("source") == source, pl.col("symbol") == symbol)
            trades = rows.sort("event_time", "trade_seq").collect()
            told = {"known": name, "trades": trades.height, "volume": trades["size"].sum()}
            answers.append(told | {"last_price": trades["price"].last() if trades.height else None})
        self.tell.rows(answers)
        fewer = 0 < int(answers[0]["trades"]) < int(answers[1]["trades"])
        self.tell.check(fewer, "a read as of then sees only what had arrived, so a back-test cannot look ahead")

    def facts(self) -> PageFacts:
        """What the page says beside its charts."""
        forms = ", ".join(sorted(set(self.formats.values())))
        return PageFacts(
            title=f"Recorded frames: {self.recordings.name}",
            origin=f"frames recorded by others ({forms}), imported verbatim from {self.recordings.name}",
            after=[stream for stream in self.lake.coverage() if stream.feed.endswith("trades")],
        )


def _files(folder: Path) -> Iterator[str]:
    return (str(path) for path in sorted(folder.iterdir()) if path.is_file())


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in RecordingFile(file, path.stat().st_size).blocks():
            digest.update(block)
    return digest.hexdigest()
