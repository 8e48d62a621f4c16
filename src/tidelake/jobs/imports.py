"""Recordings into the raw log, verbatim: each file is a lane named by its content, so that importing twice is once.

A file is cut into segments at places that depend on its content alone. A killed import therefore goes on where it was,
and two at once on one file seal the same entries: whoever comes second for an entry sees it taken and goes on.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Literal

from tidelake.errors import ConfigError, FormatDrift, LaneMoved, NotInLake, TidelakeError
from tidelake.raw.codec import Codec
from tidelake.raw.lane import Describe, seal_lines
from tidelake.raw.ledger import Ledger, head_after
from tidelake.raw.recordings import FORMATS, RecordingFormat, recording_format
from tidelake.raw.recordings.bulk import Encoded, encode_block
from tidelake.raw.recordings.files import RecordingFile, hashes_of_file
from tidelake.raw.recordings.sniff import check_format
from tidelake.raw.store import Store
from tidelake.vendors.registry import VENDORS
from tidelake.venues import registry

SEGMENT_BYTES = 32 << 20
CLOCKS_APART_NS = 60_000_000_000  # a recorder's clock may be this far ahead of ours
NAMED_LINES = 5

State = Literal["planned", "imported", "already imported", "skipped", "failed"]
Progress = Callable[[int, int, str], None]  # bytes of the file read, of how many, its name


@dataclass(frozen=True)
class ImportedFile:
    """What became of one file.

    Attributes:
        file: Its path as given, or below the folder that was given.
        state: "already imported" where the lake held all of it.
        source, lane: Where its lines are; "" where it was not imported.
        lines: Lines that the lake holds of it.
        new_lines: Those that this run sealed.
        segments: Entries that this run sealed.
        damaged: Lines that are not of the format, or received after the import began; they are kept as notes and become
            no rows.
        damaged_lines: The numbers of the first few, from 1.
        truncated: Why the file could not be read to its end; "" where it could.
        contended: Whether another import of the same file sealed entries meanwhile.
        reason: Why it was skipped or failed.
    """

    file: str
    state: State
    source: str = ""
    lane: str = ""
    bytes: int = 0
    lines: int = 0
    new_lines: int = 0
    segments: int = 0
    damaged: int = 0
    damaged_lines: tuple[int, ...] = ()
    truncated: str = ""
    contended: bool = False
    reason: str = ""


@dataclass(frozen=True)
class ImportReport:
    """What became of each file, in order of their names."""

    files: tuple[ImportedFile, ...]

    @property
    def exit_code(self) -> int:
        """1 where a file failed, 3 where something of one was damaged or cut off, else 0."""
        if any(file.state == "failed" for file in self.files):
            return 1
        return 3 if any(file.damaged or file.truncated for file in self.files) else 0


def import_recordings(
    store: Store,
    paths: Iterable[Path],
    *,
    format: str,
    source: str | None = None,
    describe_for: Callable[[str], Describe] | None = None,
    progress: Progress | None = None,
    dry_run: bool = False,
    codec: Codec = "zstd",
    key: bytes | None = None,
) -> ImportReport:
    """Import files and folders of recordings, plain or gzip.

    Args:
        store: The lake's store.
        paths: Files, and folders that are searched through with their sub-folders.
        format: A name of `raw.recordings.FORMATS`.
        source: The venue of all files; else it is told by each file's name or folder, and others are skipped.
        describe_for: Gives the claims' maker of a source; by default that of the venues' own mappings.
        progress: Called as a file is read.
        dry_run: Only look, and say what would be done.
        codec: How segments are compressed.
        key: Encrypts segments where given.

    Raises:
        NotInLake: No such format or venue.
        ConfigError: A path does not exist, or there is nothing to import in them.
        FormatDrift: No file is in the format. Where only some are not, the report says so for each.
    """
    form = _recording_format(format)
    if source is not None:
        registry.venue(source)
    found = sorted(set(_files(paths)))
    if not found:
        raise ConfigError(f"no files in {', '.join(str(path) for path in paths)}; nothing to import")
    job = _Import(store, form, describe_for or _venue_claims, progress, dry_run, codec, key)
    drifts: list[FormatDrift] = []
    files = [_one_file(job, path, name, source or _source_of(form, path), drifts) for path, name in found]
    if all(file.state == "skipped" for file in files):
        raise ConfigError(f"no file is named after a venue, nothing was imported. {files[0].file}: {files[0].reason}")
    if drifts and all(file.state in ("failed", "skipped") for file in files):
        raise drifts[0]
    return ImportReport(tuple(files))


def _recording_format(name: str) -> RecordingFormat:
    if name in VENDORS:
        text = f"`tidelake books acquire --vendor {name} --from FOLDER` checks and seals them"
        raise NotInLake(f"files of {name} are no recordings: {text}", available=tuple(FORMATS))
    return recording_format(name)


def _venue_claims(source: str) -> Describe:
    from tidelake.tables.describe import describe_for

    return describe_for(source)


def _files(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    for path in paths:
        if path.is_dir():
            inside = (p for p in path.rglob("*") if p.is_file())
            names = ((p, p.relative_to(path).as_posix()) for p in inside)
            yield from ((p, name) for p, name in names if not any(part.startswith(".") for part in name.split("/")))
        elif path.is_file():
            yield path, path.name
        else:
            raise ConfigError(f"no such file or folder: {path}; nothing was imported", tried=(str(path),))


def _source_of(form: RecordingFormat, path: Path) -> str | None:
    if form.source_of_file:
        token = path.name.split(".")[0].upper()
        return next((venue.source for venue in registry.venues().values() if token in venue.recording_names), None)
    found = form.source_of_folder.get(path.absolute().parent.name.lower())
    return found if found in registry.venues() else None


def _no_source(form: RecordingFormat) -> str:
    if form.source_of_file:
        names = sorted(name for venue in registry.venues().values() for name in venue.recording_names)
        return f"its name starts with none of {', '.join(names)}; name its venue with --venue to import it"
    return f"its folder is none of {', '.join(form.source_of_folder)}; name its venue with --venue to import it"


@dataclass(frozen=True)
class _Import:
    store: Store
    form: RecordingFormat
    describe_for: Callable[[str], Describe]
    progress: Progress | None
    dry_run: bool
    codec: Codec
    key: bytes | None


def _one_file(job: _Import, path: Path, name: str, source: str | None, drifts: list[FormatDrift]) -> ImportedFile:
    if source is None:
        return ImportedFile(name, "skipped", reason=_no_source(job.form))
    blank = ImportedFile(name, "planned", source=source)
    try:
        with path.open("rb") as file:
            return _import_file(job, path, file, blank)
    except FormatDrift as exc:
        drifts.append(FormatDrift(f"{name}: {exc}"))
        return replace(blank, state="failed", reason=str(exc))
    except (TidelakeError, OSError) as exc:
        return replace(blank, state="failed", reason=str(exc))


def _import_file(job: _Import, path: Path, file: BinaryIO, blank: ImportedFile) -> ImportedFile:
    latest_ns = time.time_ns() + CLOCKS_APART_NS
    first_clock = _first_clock(job.form, path, latest_ns)
    sha256, text_sha256, size = hashes_of_file(path)
    lane = f"import.{blank.source}.{job.form.name}.{text_sha256[:16]}"  # plain or packed, a recording is one lane
    sealer = _Sealer(job, lane, blank.source)
    known = replace(blank, lane=lane, bytes=size, lines=sealer.head.next_n)
    if (closing := sealer.closing()) is not None:
        return _with_facts(replace(known, state="already imported"), closing)
    if job.dry_run:
        return known
    recording = RecordingFile(file, size)
    reader = _Reader(job, recording, path.name, first_clock, latest_ns)
    meta = {"file": path.name, "size": str(size), "sha256": sha256, "format": job.form.name}
    with ThreadPoolExecutor(1) as thread:
        sealing: Future[None] | None = None
        for segment in _segments(reader.encoded()):
            facts = dict(meta)
            if segment.final:
                _check_unchanged(recording, sha256)
                facts |= reader.facts()
            if sealing is not None:
                sealing.result()
            sealing = thread.submit(sealer.seal, segment, facts)
        if sealing is not None:
            sealing.result()
    state: State = "imported" if sealer.new_lines else "already imported"
    return replace(
        _with_facts(known, reader.facts()),
        state=state,
        lines=reader.count,
        new_lines=sealer.new_lines,
        segments=sealer.segments,
        contended=sealer.contended,
    )


def _first_clock(form: RecordingFormat, path: Path, latest_ns: int) -> int:
    with path.open("rb") as file:
        recording = RecordingFile(file, path.stat().st_size)
        block = next(recording.blocks(), None)
    if block is None:
        found = recording.damage or "an empty file"
        raise FormatDrift(f"found {found}, expected lines like {form.looks_like}. Nothing of it was imported.")
    return check_format(form, block, FORMATS.values(), latest_ns)


def _check_unchanged(recording: RecordingFile, sha256: str) -> None:
    if recording.sha256() != sha256:
        raise TidelakeError(
            "the file changed while it was read. Its lines up to the last whole segment are kept, "
            "as they were read; import it again when nothing writes to it."
        )


def _with_facts(file: ImportedFile, facts: Mapping[str, str]) -> ImportedFile:
    numbers = facts.get("damaged_lines", "")
    return replace(
        file,
        damaged=int(facts.get("damaged", "0")),
        damaged_lines=tuple(int(number) for number in numbers.split()),
        truncated=facts.get("truncated", ""),
    )


class _Reader:
    """Reads a recording to segment lines and keeps count."""

    def __init__(self, job: _Import, recording: RecordingFile, name: str, first_clock: int, latest_ns: int) -> None:
        self.count = 0
        self._job = job
        self._recording = recording
        self._name = name
        self._before_ns = first_clock
        self._latest_ns = latest_ns
        self._damaged = 0
        self._damaged_lines: list[int] = []

    def encoded(self) -> Iterator[Encoded]:
        """The segment lines, block by block."""
        for block in self._recording.blocks():
            encoded = encode_block(self._job.form, block, self.count, self._before_ns, self._latest_ns)
            self.count += encoded.count
            self._before_ns = encoded.last_ns
            self._note_damage(encoded.damaged)
            if self._job.progress is not None:
                self._job.progress(self._recording.position, self._recording.size, self._name)
            yield encoded

    def _note_damage(self, places: Sequence[int]) -> None:
        self._damaged += len(places)
        room = NAMED_LINES - len(self._damaged_lines)
        self._damaged_lines += [place + 1 for place in places[:room]]

    def facts(self) -> dict[str, str]:
        """What the closing entry says of the whole file."""
        facts = {"final": "true", "text_sha256": self._recording.text_sha256()}
        if self._damaged:
            facts["damaged"] = str(self._damaged)
            facts["damaged_lines"] = " ".join(str(number) for number in self._damaged_lines)
        if self._recording.damage:
            facts["truncated"] = self._recording.damage
        return facts


@dataclass
class _SegmentLines:
    first_n: int
    blocks: list[bytes] = field(default_factory=list)
    count: int = 0
    size: int = 0
    final: bool = False

    def add(self, encoded: Encoded) -> None:
        self.blocks.append(encoded.lines)
        self.count += encoded.count
        self.size += len(encoded.lines)

    def lines_from(self, n: int) -> bytes:
        """The lines from place n of the lane on."""
        lines = b"".join(self.blocks)
        start = 0
        for _ in range(n - self.first_n):
            start = lines.index(b"\n", start) + 1
        return lines[start:]


def _segments(encoded: Iterator[Encoded]) -> Iterator[_SegmentLines]:
    """Blocks gathered to segments. Where one ends depends only on what follows the end of the one before."""
    segment = _SegmentLines(0)
    for block in encoded:
        if segment.size >= SEGMENT_BYTES:
            yield segment
            segment = _SegmentLines(segment.first_n + segment.count)
        segment.add(block)
    segment.final = True
    yield segment


class _Sealer:
    """Seals segments that the lane does not hold yet."""

    def __init__(self, job: _Import, lane: str, source: str) -> None:
        self.new_lines = 0
        self.segments = 0
        self.contended = False
        self._job = job
        self._lane = lane
        self._source = source
        self._ledger = Ledger(job.store)
        self._describe: Describe | None = None
        self.head = self._ledger.head(lane)

    def closing(self) -> dict[str, str] | None:
        """The facts of the entry that closes the lane; None where it is not closed."""
        if self.head.seq < 0:
            return None
        meta = self._ledger.entry(self._lane, self.head.seq).meta
        return meta if meta.get("final") == "true" else None

    def seal(self, segment: _SegmentLines, meta: dict[str, str]) -> None:
        """Seal what the lane lacks of the segment, unless another import does so first."""
        while self.head.next_n < segment.first_n + segment.count:
            lines = segment.lines_from(self.head.next_n)
            try:
                self._seal(lines, meta)
            except LaneMoved:
                self.contended = True
                self.head = self._ledger.head(self._lane)

    def _seal(self, lines: bytes, meta: dict[str, str]) -> None:
        if self._describe is None:
            self._describe = self._job.describe_for(self._source)
        entry = seal_lines(
            self._job.store,
            self._lane,
            self._source,
            lines,
            describe=self._describe,
            head=self.head,
            codec=self._job.codec,
            key=self._job.key,
            meta=meta,
        )
        self.head = head_after(entry)
        self.new_lines += entry.segment.lines
        self.segments += 1
