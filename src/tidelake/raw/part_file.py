"""Part files: the frames of a lane that are not sealed yet, on local disk at `<spool>/<lane>.<part id>.part`.

The first line is a JSON header, every further line a segment line. Each frame is handed to the operating system when
it comes, so a killed process loses nothing, and synced once a second, so a power cut loses at most that. The owner
holds a lock on the file while it lives; a part that can be locked is dead and may be recovered by anyone. Where a key
is given the header names it, and every further line is a record of `raw.part_cipher`.
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
from tidelake.raw.codec import check_key, key_id
from tidelake.raw.frame import decode_line
from tidelake.raw.part_cipher import Opened, PartCipher
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
        key: Id of the key that the lines are encrypted with, in hexadecimal digits; "" where they are plain.
    """

    part: str
    lane: str
    source: str
    base_n: int
    base_seq: int
    meta: dict[str, str]
    key: str = ""


class PartFile:
    """A locked part file: one that this process writes, or a dead one that it recovers."""

    def __init__(self, path: Path, handle: int, header: PartHeader | None, size: int) -> None:
        self.path = path
        self.header = header
        self._handle = handle
        self._cipher: PartCipher | None = None  # of a part that is written here
        self._size = size
        self._synced_at = time.monotonic()
        self._name_synced = False
        self._closing = threading.Lock()  # one thread may sync while another seals and lets go

    @classmethod
    def create(
        cls,
        spool: Path,
        lane: str,
        source: str,
        *,
        base_n: int,
        base_seq: int,
        meta: dict[str, str],
        key: bytes | None = None,
    ) -> "PartFile":
        """A new part file, locked, with its header written; `key` encrypts what is appended."""
        named = key_id(key).hex() if key else ""
        while True:
            header = PartHeader(uuid.uuid4().hex, lane, source, base_n, base_seq, meta, named)
            path = spool / f"{lane}.{header.part}.part"
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
            # Between the two calls another process may take the empty file for a dead one and delete it.
            if _lock(handle) and _is_at(path, handle):
                part = cls(path, handle, header, 0)
                part._begin(key)
                return part
            os.close(handle)

    def _begin(self, key: bytes | None) -> None:
        assert self.header is not None
        line = msgspec.json.encode(self.header)
        try:
            self._write(line + b"\n")
        except BaseException:
            self.delete()
            raise
        if key:
            self._cipher = PartCipher(key, self.header.part, line)

    @property
    def id(self) -> str:
        """Id of the part."""
        found = _NAME.fullmatch(self.path.name)
        return found["part"] if found else self.path.name

    @property
    def size(self) -> int:
        """Length of the file in bytes."""
        return self._size

    def append(self, lines: bytes) -> None:
        """Hand whole lines to the operating system; on an error the file is as it was before."""
        if self._cipher is None:
            self._write(lines)
            return
        try:
            self._write(self._cipher.seal(lines))
        except BaseException:
            self._cipher.failed()
            raise
        self._cipher.wrote(lines)

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._handle, left) :]
        except BaseException:
            os.ftruncate(self._handle, self._size)
            raise
        self._size += len(data)

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
        """The lines that were appended here.

        Raises:
            FormatDrift: They are encrypted, and a record was changed, moved or taken out since.
        """
        _, _, content = self._content().partition(b"\n")
        if self._cipher is None:
            return content
        try:
            return self._cipher.open_all(content)
        except FormatDrift as exc:
            raise FormatDrift(
                f"part file {self.path} was changed on the disk: {exc}. It stays, and nothing of it was sealed. "
                "Run the same again: what opens is sealed then, the rest goes to quarantine with its reason."
            ) from exc

    def _content(self) -> bytes:
        with open(self.path, "rb") as file:
            return file.read()

    def salvage(self, key: bytes | None) -> tuple[Opened, bytes]:
        """What a dead part gives, and apart from that its torn end: what stands behind the last newline.

        A process that is killed tears at most the last line; a power cut can leave any part after the last sync bad.

        Raises:
            ConfigError: The part is encrypted, and `key` is missing or another one.
        """
        if self.header is None:
            return Opened(), self._content()
        header, *lines = self._content().split(b"\n")
        torn = lines.pop()
        if not self.header.key:
            return _check_each(lines), torn
        named = f"part file {self.path} of lane {self.header.lane}"
        found = check_key(key, self.header.key, named)
        return PartCipher(found, self.header.part, header).open_each(lines), torn

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
    if part.header is None and not part.size:  # killed before the header: never held a frame
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


def _check_each(lines: list[bytes]) -> Opened:
    """Which of these plain lines are segment lines."""
    opened = Opened()
    for place, line in enumerate(lines):
        try:
            decode_line(line)
        except FormatDrift as exc:
            opened.bad.append((place, line, str(exc)))
        else:
            opened.lines.append(line)
    return opened


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
