"""A lane's writer: frames go to a part file as they come and are sealed into segments, each exactly once.

    with LaneWriter(store, lane_name("coinbase", "trades", "BTC-USD"), "coinbase", describe=describe) as writer:
        writer.append(payload=answer, kind="page", request="GET https://..", feed="trades", symbol="BTC-USD")
        writer.seal()

What `append` returned for is in the lake after the next seal, or after the next opening of the lane.

A capture appends batches with one write each, and seals in another thread while it goes on in a new part file:

    lines = writer.append_heard(heard, "wss://..")
    writer.detach()
    thread.submit(writer.seal_detached)
"""

import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Literal, Self

import msgspec

from tidelake.errors import LaneMoved
from tidelake.raw.codec import Codec, seal_bytes, suffix
from tidelake.raw.crash_points import reach
from tidelake.raw.entry import Entry, Note
from tidelake.raw.frame import Frame, Kind, encode_line, encode_lines
from tidelake.raw.ledger import Head, Ledger, head_after, lane_name
from tidelake.raw.part_cipher import Opened
from tidelake.raw.part_file import PartFile, dead_parts
from tidelake.raw.sealing import Describe, renumber, seal_lines
from tidelake.raw.store import Store

__all__ = ["Describe", "LaneWriter", "lane_name", "seal_lines"]


class LaneWriter:
    """Appends to one lane and seals. One thread appends and detaches; one more may seal what was detached and sync.

    Opening it seals what a killed writer of the lane left in part files on this machine. Their torn ends go to
    `quarantine/torn/<lane>/` in the store, other lines that are not whole to `quarantine/damaged/<lane>/`, with the
    reason. Part files are encrypted where segments are.

    Attributes:
        head: Where the lane ends, as last read or sealed by this writer.
        contended: Whether another writer sealed into the lane while this one had it open.
        recovered: Entries that were sealed from part files of killed writers.
    """

    def __init__(
        self,
        store: Store,
        lane: str,
        source: str,
        *,
        describe: Describe,
        codec: Codec = "zstd",
        key: bytes | None = None,
        on_conflict: Literal["append", "stop"] = "append",
        meta: dict[str, str] | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.store = store
        self.lane = lane
        self.source = source
        self.contended = False
        self.recovered: list[Entry] = []
        self._describe = describe
        self._codec: Codec = codec
        self._key = key
        self._on_conflict = on_conflict
        self._meta = dict(meta or {})
        self._clock = clock
        self._part: PartFile | None = None
        self._pending = 0
        self._detached: list[tuple[PartFile, int]] = []  # with the number of lines of each
        self._moving = threading.Lock()  # the head moves when lines leave `_detached`
        self._ledger = Ledger(store)
        self._spool = store.spool()
        self.head: Head = self._ledger.head(lane)
        self._recover()

    @property
    def next_n(self) -> int:
        """Place in the lane of the next frame, unless another writer seals first."""
        with self._moving:
            return self.head.next_n + sum(count for _, count in self._detached) + self._pending

    @property
    def part_bytes(self) -> int:
        """Length of the part file that is written now; 0 where there is none."""
        return self._part.size if self._part is not None else 0

    def append(
        self,
        *,
        payload: bytes,
        kind: Kind,
        request: str = "",
        feed: str = "",
        symbol: str = "",
        status: int = 0,
        recv_ns: int | None = None,
        mono_ns: int | None = None,
        sync: bool = True,
    ) -> Frame:
        """Keep a frame: on return it outlives the process, and within a second the machine.

        `recv_ns` and `mono_ns` are the clocks of now where they are not given: the writer's `clock`, as for the time of
        a seal, and the machine's. Without `sync` another thread syncs.
        """
        frame = Frame(
            n=self.next_n,
            recv_ns=self._clock() if recv_ns is None else recv_ns,
            mono_ns=time.monotonic_ns() if mono_ns is None else mono_ns,
            kind=kind,
            payload=payload,
            request=request,
            feed=feed,
            symbol=symbol,
            status=status,
        )
        if self._part is None:
            self._part = self._new_part()
        self._part.append(encode_line(frame))
        self._pending += 1
        reach("frame-written")
        if sync:
            self._part.sync_when_due()
        return frame

    def append_heard(self, heard: Sequence[tuple[int, int, Kind, bytes]], request: str) -> bytes:
        """Keep what passed on a socket with one write, and return the lines.

        On return it outlives the process; `sync` brings it to disk.

        Args:
            heard: Receive clock and monotonic clock in ns, kind, and payload of each; one at least.
            request: Address of the socket.
        """
        lines = encode_lines(self.next_n, heard, request)
        if self._part is None:
            self._part = self._new_part()
        self._part.append(lines)
        self._pending += len(heard)
        reach("frame-written")
        return lines

    def sync(self) -> None:
        """Bring what was appended to disk, where the last time is more than a second ago."""
        part = self._part
        if part is not None:
            part.sync_when_due()

    def detach(self) -> bool:
        """Close the part file, for `seal_detached`; False where there is none. Appending starts a new one."""
        part = self._filled_part()
        if part is None:
            return False
        with self._moving:
            self._detached.append((part, self._pending))
            self._part, self._pending = None, 0
        return True

    def _filled_part(self) -> PartFile | None:
        """The part file that is written now; None where it holds no line, because the first could not be written."""
        if self._part is not None and not self._pending:
            self._part.delete()
            self._part = None
        return self._part

    def seal_detached(self, meta: dict[str, str] | None = None) -> list[Entry]:
        """Seal the part files that were detached, in their order; the entries. Raises as `seal` does."""
        entries = []
        while self._detached:
            entries.append(self._seal_part(self._detached[0][0], {**self._meta, **(meta or {})}, from_detached=True))
        return entries

    def note(self, note: Note, feed: str, symbol: str) -> None:
        """Keep a statement about a stream, as a frame of kind "note"."""
        self.append(payload=msgspec.json.encode(note), kind="note", feed=feed, symbol=symbol)

    def seal(self, meta: dict[str, str] | None = None) -> Entry | None:
        """Seal what was appended since the last seal; None where that is nothing.

        Raises:
            LaneMoved: Another writer sealed first and `on_conflict` is "stop".
            StoreError: The store failed. The frames stay in the part file; seal again, or open the lane again later.
            FormatDrift: The encrypted part file was changed on the disk. It stays; open the lane again.
        """
        self.seal_detached(meta)
        part = self._filled_part()
        if part is None:
            return None
        return self._seal_part(part, {**self._meta, **(meta or {})}, from_detached=False)

    def close(self) -> None:
        """Seal what is left."""
        self.seal()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if exc is None:
            self.close()
            return
        try:
            self.close()
        except Exception as second:
            exc.add_note(f"lane {self.lane} could not be sealed then: {second}; its part file will be recovered")
            self.abandon()

    def abandon(self) -> None:
        """Let go of the lane without sealing; the part file stays and is recovered when the lane is opened again."""
        for part, _ in self._detached:
            part.release()
        self._detached.clear()
        if self._part is not None:
            self._part.release()
            self._part, self._pending = None, 0

    def _seal_part(self, part: PartFile, meta: dict[str, str], *, from_detached: bool) -> Entry:
        part.sync()
        reach("part-synced")
        lines = part.read()
        if part.header is not None and part.header.base_n != self.head.next_n:  # another writer sealed in between
            lines = renumber(lines, self.head.next_n)
        entry = self._commit(part, lines, meta)
        with self._moving:
            self.head = head_after(entry)
            if from_detached:
                self._detached.pop(0)
            else:
                self._part, self._pending = None, 0
        part.delete()
        reach("part-deleted")
        return entry

    def _new_part(self) -> PartFile:
        return PartFile.create(
            self._spool,
            self.lane,
            self.source,
            base_n=self.next_n,
            base_seq=self.head.seq,
            meta=self._meta,
            key=self._key,
        )

    def _commit(self, part: PartFile, lines: bytes, meta: dict[str, str]) -> Entry:
        while True:
            try:
                entry = seal_lines(
                    self.store,
                    self.lane,
                    self.source,
                    lines,
                    describe=self._describe,
                    head=self.head,
                    codec=self._codec,
                    key=self._key,
                    meta=meta,
                    part=part.id,
                    clock=self._clock,
                )
            except LaneMoved:
                self.contended = True
                if self._on_conflict == "stop":
                    self._drop_part(part, lines)
                    raise
                self.head = self._ledger.head(self.lane)
                lines = renumber(lines, self.head.next_n)
            else:
                return entry

    def _drop_part(self, part: PartFile, lines: bytes) -> None:
        """Put lines that came second beside the lake: their source gives them again, sealing them would double them."""
        self._set_aside("moved", part, lines)
        if part is self._part:
            self._part, self._pending = None, 0
        self._detached = [(other, count) for other, count in self._detached if other is not part]
        part.delete()

    def _set_aside(self, why: str, part: PartFile, data: bytes) -> None:
        name = f"quarantine/{why}/{self.lane}/{part.id}{suffix(self._codec, self._key)}"
        self.store.put_new(name, seal_bytes(data, codec=self._codec, key=self._key))

    def _recover(self) -> None:
        parts = dead_parts(self._spool, self.lane)
        try:
            while parts:
                self._recover_part(parts[0])
                parts.pop(0)
        finally:
            for part in parts:
                part.release()

    def _recover_part(self, part: PartFile) -> None:
        if part.header is not None and self._is_sealed(part.id, part.header.base_seq):
            part.delete()
            return
        opened, torn = part.salvage(self._key)
        if torn:
            self._set_aside("torn", part, torn)
        if opened.bad or opened.remarks:
            self._set_aside("damaged", part, _report(part, opened))
        lines = b"".join(line + b"\n" for line in opened.lines)
        if not lines or part.header is None:
            part.delete()
        elif self._on_conflict == "stop" and part.header.base_seq != self.head.seq:
            self._drop_part(part, lines)
        else:
            self._seal_dead_part(part, lines, part.header.meta)

    def _seal_dead_part(self, part: PartFile, lines: bytes, meta: dict[str, str]) -> None:
        try:
            self.recovered.append(self._commit(part, renumber(lines, self.head.next_n), meta))
            self.head = head_after(self.recovered[-1])
        except LaneMoved:  # only under "stop", and then the part has been set aside
            self.head = self._ledger.head(self.lane)
        else:
            part.delete()

    def _is_sealed(self, part: str, base_seq: int) -> bool:
        """Whether an entry holds the part: the writer was killed between the commit and the deletion."""
        return any(entry.part == part for entry in self._ledger.entries(self.lane, after=base_seq))


def _report(part: PartFile, opened: Opened) -> bytes:
    """What was found wrong in a part file, as JSON lines: the header, then each line that was not taken."""
    told: list[object] = [{"header": part.header, "remarks": opened.remarks}]
    told += [{"line": place, "reason": reason, "b64": line} for place, line, reason in opened.bad]
    return msgspec.json.Encoder().encode_lines(told)
