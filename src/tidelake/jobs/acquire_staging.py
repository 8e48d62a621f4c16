"""The zones of a download on this machine: `incoming` holds part files, `staging` whole ones that are checked.

Beside a staged file lie `<name>.told.json` (what its place told of it), `<name>.manifest.json` once it passed, and
`<name>.reason.json` where it did not.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tidelake.books.vendor_manifest import Manifest
from tidelake.raw.crash_points import reach
from tidelake.raw.store import FILE_BLOCK, write_synced
from tidelake.transport.files.download import Received, download, told_of, told_path
from tidelake.transport.files.spec import FilePlace, RemoteFile

MANIFEST, REASON = ".manifest.json", ".reason.json"


@dataclass(frozen=True)
class Staging:
    """The zones of one vendor.

    Attributes:
        root: The folder of both.
    """

    root: Path

    def part(self, name: str) -> Path:
        """Where a file comes in."""
        return self.root / "incoming" / f"{name}.part"

    def staged(self, name: str) -> Path:
        """Where the whole file lies."""
        return self.root / "staging" / name

    def beside(self, name: str, ending: str) -> Path:
        """What lies beside the whole file."""
        return self.root / "staging" / f"{name}{ending}"

    def is_staged(self, file: RemoteFile) -> bool:
        """Whether this very file lies there whole."""
        staged = self.staged(file.key)
        return staged.is_file() and told_of(staged) == file

    def fetch(self, place: FilePlace, file: RemoteFile, received: Received) -> None:
        """Bring a file to staging, from where an earlier run left it; raises as `download`."""
        if self.is_staged(file):
            return
        part, staged = self.part(file.key), self.staged(file.key)
        download(place, file, part, received=received)
        reach("downloaded")
        self.clear(file.key)
        staged.parent.mkdir(parents=True, exist_ok=True)
        os.replace(told_path(part), told_path(staged))
        reach("told-moved")
        os.replace(part, staged)
        reach("staged")

    def clear(self, name: str) -> None:
        """Remove a file from staging and what lies beside it; first the file itself, without which the rest is void."""
        for path in (self.staged(name), self.beside(name, REASON), told_path(self.staged(name))):
            path.unlink(missing_ok=True)
        self.beside(name, MANIFEST).unlink(missing_ok=True)

    def write(self, name: str, ending: str, data: bytes) -> None:
        """Write what lies beside a staged file, whole or not at all."""
        path = self.beside(name, ending)
        temporary = path.with_name(f".{path.name}")
        temporary.unlink(missing_ok=True)
        write_synced(temporary, (data,))
        os.replace(temporary, path)

    def interrupted(self) -> Iterator[tuple[Manifest, bytes]]:
        """Manifests of files that passed and whose seal did not end, and their bytes."""
        for path in sorted((self.root / "staging").rglob(f"[!.]*{MANIFEST}")):  # none half written
            data = path.read_bytes()
            manifest = msgspec.json.decode(data, type=Manifest)
            if self.staged(manifest.name).is_file():
                yield manifest, data


def digests(path: Path) -> tuple[int, str, str]:
    """Length, SHA-256 and MD5 of a local file, read once."""
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    with open(path, "rb") as file:
        while block := file.read(FILE_BLOCK):
            sha256.update(block)
            md5.update(block)
            size += len(block)
    return size, sha256.hexdigest(), md5.hexdigest()
