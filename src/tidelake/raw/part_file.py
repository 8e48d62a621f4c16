"""Part files: the frames of a lane that are not sealed yet, on local disk at `<spool>/<lane>.<part id>.part`.

The first line is a JSON header, every further line a segment line. Each frame is handed to the operating system when
it comes, so a killed process loses nothing, and synced once a second, so a power cut loses at most that. The owner
holds a lock on the file while it lives; a part that can be locked is dead and may be recovered by anyone.
"""

import fcntl
import os
import re
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tidelake.errors import FormatDrift
from tidelake.raw.frame import decode_line
from tidelake.raw.store import sync_folder

SYNC_SECONDS = 1.0
_NAME = re.compile(r"(?P<lane>.+)\.(?P<part>[0-9a-f]{32})\.part")


class PartHeader(msgspec.Struct, frozen=True):
    """First line of a part file: what it would be sealed as.

    Attributes:
        part: Id of the part, also in the file's name and in the entry that seals it.
        lane, source, meta: As in the entry.
        base_n: Place in the lane of the first frame, as far as the writer knew.
        base_seq: Last sealed entry that the writer knew; -1 for none.
    """

    part: str
    lane: str
    source: str
    base_n: int
    base_seq: int
    meta: dict[str, str]


class PartFile:
    """A locked part file: one that this process writes, or a dead one that it recovers."""

    def __init__(self, path: Path, handle: int, header: PartHeader | None, size: int) -> None:
        self.path = path
        self.header = header
        self._handle = handle
        self._size = size
        self._synced_at = time.monotonic()
        self._name_synced = False
        self._closing = threading.Lock()  # one thread may sync while another seals and lets go

    @classmethod
    def create(
        cls, spool: Path, lane: str, source: str, *, base_n: int, base_seq: int, meta: dict[str, str]
    ) -> "PartFile":
        """A new part file, locked, with its header written."""
        while True:
            header = PartHeader(uuid.uuid4().hex, lane, source, base_n, base_seq, meta)
            path = spool / f"{lane}.{header.part}.part"
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
            # Between the two calls another process may take the empty file for a dead one and delete it.
            if _lock(handle) and _is_at(path, handle):
                part = cls(path, handle, header, 0)
                part.append(msgspec.json.encode(header) + b"\n")
                return part
            os.close(handle)

    @property
    def id(self) -> str:
        """Id of the part."""
        found = _NAME.fullmatch(self.path.name)
        return found["part"] if found else self.path.name

    @property
    def size(self) -> int:
        """Length of the file in bytes."""
        return self._size

    def append(self, line: bytes) -> None:
        """Hand lines to the operating system; on an error the file is as it was before."""
        left = memoryview(line)
        try:
            while left:
                left = left[os.write(self._handle, left) :]
        except BaseException:
            os.ftruncate(self._handle, self._size)
            raise
        self._size += len(line)

    def sync_when_due(self) -> bool:
        """Sync where the last one is more than a second ago."""
        if time.monotonic() - self._synced_at < SYNC_SECONDS:
            return False
        self.sync()
        return True

    def sync(self) -> None:
        """Bring all lines to disk."""
        with self._closing:
            if self._handle < 0:
                return
            os.fsync(self._handle)
            if not self._name_synced:
                sync_folder(self.path.parent)
                self._name_synced = True
            self._synced_at = time.monotonic()

    def read(self) -> bytes:
        """All bytes after the header line."""
        return self._content().partition(b"\n")[2]

    def _content(self) -> bytes:
        with open(self.path, "rb") as file:
            return file.read()

    def salvage(self) -> tuple[bytes, bytes]:
        """The whole lines after the header, and apart from them what is torn or not a segment line.

        A process that is killed tears at most the last line; a power cut can leave any part after the last sync bad.
        """
        if self.header is None:
            return b"", self._content()
        good: list[bytes] = []
        bad: list[bytes] = []
        *lines, rest = self.read().split(b"\n")
        for line in lines:
            (good if _is_segment_line(line) else bad).append(line + b"\n")
        return b"".join(good), b"".join(bad) + rest

    def delete(self) -> None:
        """Remove the file and let go of it."""
        self.path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Let go of the file and leave it for a recovery."""
        with self._closing:
            if self._handle >= 0:
                os.close(self._handle)
                self._handle = -1


def dead_parts(spool: Path, lane: str) -> list[PartFile]:
    """The part files of a lane whose writer is gone, now locked by us, in the order in which they began."""
    found = [part for path in _parts(spool) if _lane_of(path) == lane and (part := _seize(path)) is not None]
    return sorted(found, key=lambda part: (part.header.base_n if part.header else -1, part.path.stat().st_mtime_ns))


def lanes_with_parts(spool: Path) -> list[str]:
    """Lanes that have part files, of live or of dead writers."""
    return sorted({_lane_of(path) for path in _parts(spool)})


def _parts(spool: Path) -> Iterator[Path]:
    return (path for path in spool.iterdir() if _NAME.fullmatch(path.name))


def _lane_of(path: Path) -> str:
    found = _NAME.fullmatch(path.name)
    return found["lane"] if found else ""


def _seize(path: Path) -> PartFile | None:
    try:
        handle = os.open(path, os.O_RDWR | os.O_APPEND)
    except FileNotFoundError:
        return None
    if not (_lock(handle) and _is_at(path, handle)):
        os.close(handle)
        return None
    part = PartFile(path, handle, _read_header(path), os.fstat(handle).st_size)
    if part.header is None and not part.salvage()[1]:  # killed before the header: never held a frame
        part.delete()
        return None
    return part


def _read_header(path: Path) -> PartHeader | None:
    with open(path, "rb") as file:
        line = file.readline()
    try:
        return msgspec.json.decode(line, type=PartHeader) if line.endswith(b"\n") else None
    except (msgspec.MsgspecError, ValueError):
        return None


def _is_segment_line(line: bytes) -> bool:
    try:
        decode_line(line)
    except FormatDrift:
        return False
    return True


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
