"""Recording files as blocks of whole lines, plain or gzip, in constant memory."""

import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tidelake.errors import FormatDrift

BLOCK = 2 << 20
LONGEST_LINE = 64 << 20
_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b"


class RecordingFile:
    """The first `size` bytes of a file, read as text; what is appended meanwhile belongs to a later import.

    Attributes:
        size: Bytes to read of the file as it lies.
        position: Bytes read so far.
        damage: Why reading stopped early, "" where it did not. What could be read before is kept.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.size = size
        self.position = 0
        self.damage = ""
        self._file = file
        self._sha256 = hashlib.sha256()
        self._text_sha256: hashlib._Hash | None = None

    def sha256(self) -> str:
        """Hex digest of the `size` bytes; reads the rest where the text ended early."""
        for _ in self._chunks():
            pass
        return self._sha256.hexdigest()

    def text_sha256(self) -> str:
        """Hex digest of the text as far as it was read, gzip undone: what an export has."""
        return (self._text_sha256 or self._sha256).hexdigest()

    def blocks(self, size: int = BLOCK) -> Iterator[bytes]:
        """The text in blocks of whole lines; only the last may lack its final newline.

        Where blocks end depends on the text and `size` alone.

        Raises:
            FormatDrift: A line is longer than `LONGEST_LINE`.
        """
        rest = bytearray()
        searched = 0
        for chunk in self.text():
            rest += chunk
            while len(rest) >= size:
                cut = rest.rfind(b"\n", 0, size) + 1 or rest.find(b"\n", max(searched, size)) + 1
                if not cut:
                    searched = len(rest)
                    break
                yield bytes(rest[:cut])
                del rest[:cut]
                searched = 0
            if len(rest) > LONGEST_LINE + size:
                raise FormatDrift(f"a line of more than {LONGEST_LINE} bytes; recordings hold one frame per line")
        if rest:
            yield bytes(rest)

    def text(self) -> Iterator[bytes]:
        """The text in pieces, cut anywhere."""
        chunks = self._chunks()
        first = next(chunks, b"")
        if first[:2] == _GZIP:
            yield from self._unzipped(first, chunks)
        elif first:
            yield first
            yield from chunks

    def _unzipped(self, data: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The text of all members, as far as it can be read."""
        self._text_sha256 = digest = hashlib.sha256()
        member = zlib.decompressobj(wbits=31)
        while True:
            try:
                text = member.decompress(data, _CHUNK)
            except zlib.error as exc:
                self.damage = f"gzip data damaged before byte {self.position}: {exc}"
                return
            if text:
                digest.update(text)
                yield text
            if member.eof:
                data = member.unused_data or next(chunks, b"")
                if not data:
                    return
                member = zlib.decompressobj(wbits=31)
                continue
            data = member.unconsumed_tail
            if not data and len(text) < _CHUNK:
                data = next(chunks, b"")
                if not data:
                    self.damage = f"gzip data ends early, at byte {self.position}"
                    return

    def _chunks(self) -> Iterator[bytes]:
        while chunk := self._file.read(min(_CHUNK, self.size - self.position)):
            self._sha256.update(chunk)
            self.position += len(chunk)
            yield chunk


def hashes_of_file(path: Path) -> tuple[str, str, int]:
    """Hex digests of a file as it lies and of its text, gzip undone as far as it can be, and the file's length."""
    with path.open("rb", buffering=0) as file:
        recording = RecordingFile(file, path.stat().st_size)
        for _ in recording.text():
            pass
        return recording.sha256(), recording.text_sha256(), recording.size
