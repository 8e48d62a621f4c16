"""Files in a local folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tidelake.errors import SourceError
from tidelake.transport.files.spec import ObjectChanged, Piece, RemoteFile

BLOCK_BYTES = 4 << 20


class FolderFiles:
    """The files below a folder."""

    def __init__(self, root: Path) -> None:
        self.url = str(root)
        self._root = root

    def find(self, key: str) -> list[RemoteFile]:
        try:
            if not key.endswith("/"):
                path = self._root / key
                return [self._file(path)] if path.is_file() else []
            return [self._file(path) for path in sorted((self._root / key).iterdir()) if path.is_file()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as exc:
            raise _unread(f"{self.url}/{key}", exc) from exc

    def _file(self, path: Path) -> RemoteFile:
        found = path.stat()
        return RemoteFile(path.relative_to(self._root).as_posix(), found.st_size, f"{found.st_mtime_ns}")

    @contextmanager
    def read(self, file: RemoteFile, start: int) -> Iterator[Piece]:
        yield Piece(start, self._blocks(file, start))

    def _blocks(self, file: RemoteFile, start: int) -> Iterator[bytes]:
        path = self._root / file.key
        try:
            with open(path, "rb") as opened:
                if self._file(path) != file:
                    raise ObjectChanged(file.key)
                opened.seek(start)
                while block := opened.read(BLOCK_BYTES):
                    yield block
        except OSError as exc:
            raise _unread(str(path), exc) from exc

    def close(self) -> None:
        pass


def _unread(what: str, exc: OSError) -> SourceError:
    return SourceError(f"cannot read {what}: {exc.strerror or exc}", retryable=False)
