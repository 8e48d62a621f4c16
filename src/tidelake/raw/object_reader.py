"""An object of the store as a file that can be read from any place, in memory that does not grow with it."""

import io
from typing import TYPE_CHECKING

from tidelake.errors import NotInLake
from tidelake.raw.store import Store

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER_BYTES = 1 << 20


def open_object(store: Store, key: str) -> io.BufferedReader:
    """The object as a binary file; close it after use.

    Raises:
        NotInLake: There is no such object.
        StoreError: The store failed; reading raises it too.
    """
    size = store.head(key)
    if size is None:
        raise NotInLake(f"{key} is not in the lake {store.url}")
    if store.root:
        return open(store.root / key, "rb")
    return io.BufferedReader(_StoredObject(store, key, size), BUFFER_BYTES)


class _StoredObject(io.RawIOBase):
    def __init__(self, store: Store, key: str, size: int) -> None:
        self._store, self._key, self._size, self._at = store, key, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        length = min(len(view), self._size - self._at)
        if length <= 0:
            return 0
        data = self._store.get_range(self._key, self._at, length)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)
