"""Explain: from a row's provenance back to the frame or file row as it was received, and the chain that holds it."""

from collections.abc import Iterator
from typing import Any

import msgspec

from tidelake.errors import NotInLake
from tidelake.raw.codec import key_from_environment
from tidelake.raw.entry import Entry, entry_hash
from tidelake.raw.frame import decode_line
from tidelake.raw.ledger import Ledger, entry_key
from tidelake.raw.sealed_files import file_name, read_row
from tidelake.raw.segments import lane_and_seq, read_lines, segment_name
from tidelake.raw.store import Store

SHOWN_SEGMENTS = 10


def explain(store: Store, segment16: str, line: int, item: int = 0, *, key: bytes | None = None) -> dict[str, Any]:
    """Where a row comes from: its frame, the ledger entry that sealed it, and the links before and after.

    Args:
        store: The lake's store.
        segment16: The row's `segment`: the first 16 digits of the hash of the segment or of the vendor's file.
        line: The row's `line`: from 0, within the segment or, without its header, the file.
        item: The row's `item`: its place in the payload; given back as it is.
        key: Opens encrypted segments; TIDELAKE_KEY where it is not given.

    Returns:
        `frame` (the payload as text, base64 where it is not UTF-8) or, of a file, `row`; `entry`; and `chain`: the
        hashes of the entry, of the one before it and of the one that follows it, and whether each link holds.

    Raises:
        NotInLake: No entry names such a segment or file, or it has no such line.
        LedgerBroken: The segment or file is not the one that was sealed.
    """
    entry = find_entry(store, segment16)
    if entry.file and file_name(entry.file) == segment16:
        shown = {"row": read_row(store, entry.file, line)}
    else:
        shown = {"frame": _frame(store, entry, line, key)}
    return {
        "segment": segment16,
        "line": line,
        "item": item,
        **shown,
        "entry": msgspec.to_builtins(entry),
        "chain": _chain(store, entry),
    }


def _frame(store: Store, entry: Entry, line: int, key: bytes | None) -> dict[str, Any]:
    lines = read_lines(store, entry.segment, key or key_from_environment()).split(b"\n")[:-1]
    if not 0 <= line < len(lines):
        raise NotInLake(f"segment {segment_name(entry.segment)} has lines 0 to {len(lines) - 1}; asked for {line}")
    frame = decode_line(lines[line])
    shown = {name: getattr(frame, name) for name in frame.__slots__}
    shown["payload"] = _text(frame.payload)
    return {name: value for name, value in shown.items() if value != ""}


def find_entry(store: Store, segment16: str) -> Entry:
    """The ledger entry of the segment or file whose hash begins with these 16 digits.

    Raises:
        NotInLake: No entry names such a segment or file.
    """
    ledger = Ledger(store)
    names: list[str] = []
    for key in store.list("raw"):
        name = key.rsplit("/", 1)[-1].partition("-")[2][:16]
        if name == segment16:
            for entry in _entry_at(ledger, *lane_and_seq(key)):
                if segment16 in (segment_name(entry.segment), entry.file and file_name(entry.file)):
                    return entry
        elif len(names) < SHOWN_SEGMENTS:
            names.append(name)
    raise NotInLake(f"no ledger entry of {store.url} names a segment or file {segment16}", available=names)


def _entry_at(ledger: Ledger, lane: str, seq: int) -> Iterator[Entry]:
    try:
        yield ledger.entry(lane, seq)
    except NotInLake:
        return


def _chain(store: Store, entry: Entry) -> dict[str, Any]:
    own = entry_hash(store.get(entry_key(entry.lane, entry.seq)))
    before = entry_key(entry.lane, entry.seq - 1)
    chain: dict[str, Any] = {"entry": entry_key(entry.lane, entry.seq), "hash": own, "prev": entry.prev}
    if entry.seq > 0:
        chain["prev_holds"] = store.head(before) is not None and entry_hash(store.get(before)) == entry.prev
    for following in _entry_at(Ledger(store), entry.lane, entry.seq + 1):
        chain["next"] = entry_key(entry.lane, following.seq)
        chain["next_holds"] = following.prev == own
    return chain


def _text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        import base64

        return "base64:" + base64.b64encode(payload).decode()
