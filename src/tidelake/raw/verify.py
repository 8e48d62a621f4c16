"""Verify: read the lake against its ledger and name all that does not hold.

What the chain cannot show: that the last entries of a lane were removed together with their segments (an entry that is
removed alone leaves its segment behind, and that is named), and what the last entry says of its writer (`writer`,
`part`, `sealed_ns`, `meta`), which nothing follows from. `derive` tells both where tables have read the entry.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from tidelake.errors import ConfigError, FormatDrift, LedgerBroken, NotInLake
from tidelake.raw.codec import key_from_environment
from tidelake.raw.entry import FIRST_PREV, Entry, SealedFile, entry_hash, named_keys
from tidelake.raw.frame import decode_line
from tidelake.raw.ledger import Ledger, entry_key, lane_folder, parse_entry
from tidelake.raw.sealed_files import FileFacts, file_fault
from tidelake.raw.sealing import Versioned, clocks, segment_stem
from tidelake.raw.segments import lane_and_seq, read_lines
from tidelake.raw.store import Store

ProblemKind = Literal[
    "missing-entry",
    "changed-entry",
    "misplaced-entry",
    "broken-chain",
    "wrong-sums",
    "wrong-claims",
    "missing-segment",
    "changed-segment",
    "missing-file",
    "changed-file",
    "unnamed-object",
]
COUNTED = ("lanes", "entries", "segments", "files", "lines", "bytes", "not_decrypted", "claims_not_compared")
Progress = Callable[[int, int], None]
"""Called with the entries done and the entries there are."""


DescribeFor = Callable[[str], Versioned | None]
"""What finds the claims of a source today; None where it is not known."""


class Problem(msgspec.Struct, frozen=True):
    """One thing that does not hold.

    Attributes:
        kind: What it is.
        key: The object that is meant.
        lane, seq: Its place; "" and -1 where it has none.
        message: What was found and expected, and what to do.
    """

    kind: ProblemKind
    key: str
    lane: str
    seq: int
    message: str


class VerifyReport(msgspec.Struct, frozen=True):
    """All problems, by lane and number, and how much was looked at."""

    problems: list[Problem]
    counts: dict[str, int]


@dataclass(slots=True)
class _Run:
    store: Store
    deep: bool
    key: bytes | None
    progress: Progress | None
    describe_for: DescribeFor | None
    total: int = 0
    problems: list[Problem] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)  # key of a segment or file -> key of the entry that names it
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))

    def say(self, kind: ProblemKind, key: str, lane: str, seq: int, message: str) -> None:
        self.problems.append(Problem(kind, key, lane, seq, message))


def verify(
    store: Store,
    *,
    deep: bool = True,
    progress: Progress | None = None,
    key: bytes | None = None,
    describe_for: DescribeFor | None = None,
) -> VerifyReport:
    """Check the chains, the names and, if `deep`, every byte of every segment and file.

    Args:
        store: The lake's store.
        deep: Read the segments and files; else only look whether they are there.
        progress: Called after each entry.
        key: Opens encrypted segments; TIDELAKE_KEY where it is not given. Without it their stored bytes are still
            checked, and counted as `not_decrypted`.
        describe_for: Finds the claims of each segment again, if `deep`. Only those that the same version found are
            compared; others, made under another parser or mapping, are counted as `claims_not_compared`.
    """
    run = _Run(store, deep, key or key_from_environment(), progress, describe_for)
    objects = list(store.list("raw"))  # before the ledger, so that a segment sealed meanwhile is not taken for unnamed
    lanes = {lane: list(store.list(lane_folder(lane))) for lane in Ledger(store).lanes()}
    run.total = sum(map(len, lanes.values()))
    for lane, keys in lanes.items():
        _verify_lane(run, lane, keys)
    _find_unnamed(run, objects)
    return VerifyReport(sorted(run.problems, key=lambda problem: (problem.lane, problem.seq, problem.key)), run.counts)


def _verify_lane(run: _Run, lane: str, keys: list[str]) -> None:
    run.counts["lanes"] += 1
    last: Entry | None = None
    prev: str | None = FIRST_PREV  # None: not known, because the entry before is missing or misplaced
    expected = 0
    for key in keys:
        seq = _number(lane, key)
        if seq is None:
            run.say("unnamed-object", key, lane, -1, "is not a ledger entry; move it out of the lake")
            continue
        for missing in range(expected, seq):
            _say_missing(run, lane, missing)
            last, prev = None, None
        expected = seq + 1
        last, prev = _verify_entry(run, lane, seq, last, prev)
        run.counts["entries"] += 1
        if run.progress:
            run.progress(run.counts["entries"], run.total)


def _number(lane: str, key: str) -> int | None:
    digits = key.rsplit("/", 1)[-1].removesuffix(".json")
    if not digits.isdecimal() or key != entry_key(lane, int(digits)):
        return None
    return int(digits)


def _say_missing(run: _Run, lane: str, seq: int) -> None:
    key = entry_key(lane, seq)
    run.say("missing-entry", key, lane, seq, "is missing, and entries follow it; restore it from a copy")


def _verify_entry(
    run: _Run, lane: str, seq: int, last: Entry | None, prev: str | None
) -> tuple[Entry | None, str | None]:
    """Check one entry against the one before, and its segment; gives back what the next is checked against."""
    key = entry_key(lane, seq)
    try:
        data = run.store.get(key)
    except NotInLake:
        _say_missing(run, lane, seq)
        return None, None
    try:
        entry = parse_entry(data, lane, seq)
    except LedgerBroken as exc:
        kind: ProblemKind = "changed-entry" if exc.__cause__ else "misplaced-entry"
        run.say(kind, key, lane, seq, str(exc))
        return None, None
    if prev is not None and entry.prev != prev:
        message = (
            f"follows an entry with the hash {entry.prev[:16]}, but entry {seq - 1} has {prev[:16]}: "
            f"one of the two was changed after it was sealed; restore {entry_key(lane, seq - 1)} or {key} from a copy"
        )
        run.say("broken-chain", entry_key(lane, max(seq - 1, 0)), lane, max(seq - 1, 0), message)
    elif wrong := _wrong_sums(entry, last):
        run.say("wrong-sums", key, lane, seq, wrong)
    _verify_segment(run, entry, key)
    if entry.file:
        _verify_file(run, entry, entry.file, key)
    return entry, entry_hash(data)


def _wrong_sums(entry: Entry, last: Entry | None) -> str:
    """What an entry says that does not follow from the entry before; "" where all does."""
    if last is None and entry.seq > 0:
        return ""
    expected = {
        "first_n": last.first_n + last.segment.lines if last else 0,
        "known_before_ns": last.known_ns if last else 0,
        "known_ns": max(last.known_ns if last else 0, entry.last_recv_ns),
        "context": last.next_context() if last else {},
    }
    wrong = [f"{name} is {getattr(entry, name)}, expected {value}" for name, value in expected.items()]
    return "; ".join(text for text, name in zip(wrong, expected, strict=True) if getattr(entry, name) != expected[name])


def _verify_segment(run: _Run, entry: Entry, entry_at: str) -> None:
    segment, place = entry.segment, (entry.segment.key, entry.lane, entry.seq)
    _verify_name(run, entry, segment.key, entry_at)
    if not run.deep:
        if run.store.head(segment.key) is None:
            run.say("missing-segment", *place, f"is missing; {entry_at} names it; restore it from a copy")
        return
    try:
        lines = read_lines(run.store, segment, run.key)
    except ConfigError:
        run.counts["not_decrypted"] += 1  # the stored bytes were found right before that
    except LedgerBroken as exc:
        gone = run.store.head(segment.key) is None
        run.say("missing-segment" if gone else "changed-segment", *place, str(exc))
        return
    else:
        _verify_lines(run, entry, lines, entry_at)
    run.counts["segments"] += 1
    run.counts["lines"] += segment.lines
    run.counts["bytes"] += segment.stored_bytes


def _verify_name(run: _Run, entry: Entry, key: str, entry_at: str) -> None:
    other = run.named.setdefault(key, entry_at)
    if other != entry_at or lane_and_seq(key) != (entry.lane, entry.seq):
        run.say("wrong-sums", entry_at, entry.lane, entry.seq, f"names an object of another entry: {key}")


def _verify_file(run: _Run, entry: Entry, file: SealedFile, entry_at: str) -> None:
    place = (file.key, entry.lane, entry.seq)
    _verify_name(run, entry, file.key, entry_at)
    stem = segment_stem(entry.source, entry.lane, entry.first_recv_ns, entry.seq)
    if not file.key.startswith(f"{stem}-{file.sha256[:16]}."):
        message = f"names its file {file.key}; by what it says of it that is {stem}-{file.sha256[:16]}"
        run.say("wrong-sums", entry_at, entry.lane, entry.seq, message)
    if run.store.head(file.key) is None:
        run.say("missing-file", *place, f"is missing; {entry_at} names it; restore it from a copy")
    elif run.deep:
        if fault := file_fault(run.store, file):
            run.say("changed-file", *place, f"{fault}; restore it from a copy")
        run.counts["files"] += 1
        run.counts["bytes"] += file.bytes


def _verify_manifest(run: _Run, entry: Entry, file: SealedFile, lines: bytes, entry_at: str) -> None:
    said = FileFacts(file.sha256, file.bytes, file.name, file.rows)
    try:
        found = msgspec.json.decode(decode_line(lines.rstrip(b"\n")).payload, type=FileFacts)
    except (FormatDrift, msgspec.MsgspecError) as exc:
        run.say("wrong-sums", entry_at, entry.lane, entry.seq, f"names a file, and its segment is no manifest: {exc}")
        return
    if found != said:
        run.say("wrong-sums", entry_at, entry.lane, entry.seq, f"says of its file {said}; its manifest says {found}")


def _verify_lines(run: _Run, entry: Entry, lines: bytes, entry_at: str) -> None:
    try:
        found = clocks(lines, entry.first_n)
    except ValueError as exc:
        run.say("wrong-sums", entry_at, entry.lane, entry.seq, f"does not fit its segment: {exc}")
        return
    stem = segment_stem(entry.source, entry.lane, found[1], entry.seq)
    if not entry.segment.key.startswith(f"{stem}-{entry.segment.sha256[:16]}."):
        message = f"names its segment {entry.segment.key}; by what both hold it is {stem}-{entry.segment.sha256[:16]}"
        run.say("wrong-sums", entry_at, entry.lane, entry.seq, message)
    said = (entry.segment.lines, entry.first_recv_ns, entry.last_recv_ns)
    if found != said or len(lines) != entry.segment.bytes:
        message = f"says lines, first and last recv_ns {said}, bytes {entry.segment.bytes}; found {found}, {len(lines)}"
        run.say("wrong-sums", entry_at, entry.lane, entry.seq, message)
    if entry.file:
        _verify_manifest(run, entry, entry.file, lines, entry_at)
    else:
        _verify_claims(run, entry, lines, entry_at)


def _verify_claims(run: _Run, entry: Entry, lines: bytes, entry_at: str) -> None:
    """Find again what the entry claims; an entry in the midst is held by the chain, the last one by this alone."""
    describe = run.describe_for(entry.source) if run.describe_for else None
    if run.describe_for and describe is None and not entry.claims:  # of no venue: there is nothing to compare
        return
    if describe is None or describe.version != entry.claimed_by:
        run.counts["claims_not_compared"] += 1
        return
    claims, context = describe(lines, dict(entry.context))
    wrong = [name for name, differs in (
        ("claims", claims != entry.claims), ("context_after", context != entry.next_context())
    ) if differs]  # fmt: skip
    if wrong:
        message = (
            f"says other {' and '.join(wrong)} than its segment gives, read by the same version ({entry.claimed_by}): "
            f"coverage cannot be trusted here; restore {entry_at} from a copy. Found: {claims}"
        )
        run.say("wrong-claims", entry_at, entry.lane, entry.seq, message)


def _find_unnamed(run: _Run, objects: list[str]) -> None:
    for key in objects:
        if key in run.named:
            continue
        lane, seq = lane_and_seq(key)
        if _names(run.store, lane, seq, key):  # sealed since the ledger was read
            continue
        run.say("unnamed-object", key, lane, seq, _why_unnamed(run.store, lane, seq))


def _names(store: Store, lane: str, seq: int, key: str) -> bool:
    try:
        return lane != "" and key in named_keys(Ledger(store).entry(lane, seq))
    except (NotInLake, LedgerBroken):
        return False


def _why_unnamed(store: Store, lane: str, seq: int) -> str:
    if not lane:
        return "is no segment or file, and no ledger entry names it; move it out of the lake"
    if store.head(entry_key(lane, seq)) is None:
        return (
            f"no ledger entry names it, and entry {seq} of lane {lane} is missing: it was removed, or its writer was "
            "stopped before it sealed and will take the object over when it runs again"
        )
    return f"entry {seq} of lane {lane} names another object: its writer came second; it may be deleted"
