"""What a place of files can do; `bucket`, `web` and `folder` each hold one."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from tidelake.errors import SourceError


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as its place tells of it.

    Attributes:
        key: Path below the place.
        bytes: Its length; None where it is not told.
        tag: Differs once the content does (an ETag, a time of change); "" where nothing tells.
        md5: Hex digest of the content, where it is told; "" elsewhere.
        md5_by: What told it: "Content-MD5", or "ETag", which is an MD5 only of objects put at once and without a key.
    """

    key: str
    bytes: int | None
    tag: str = ""
    md5: str = ""
    md5_by: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """The end of a file, from `start` on."""

    start: int
    blocks: Iterator[bytes]


class ObjectChanged(SourceError):
    """A file is not the one that was found: it was replaced at its place meanwhile."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} was replaced while it was read; it is to be read anew", retryable=True)


class FilePlace(Protocol):
    """Where files lie. Its methods may be called by several threads at once, and raise SourceError."""

    @property
    def url(self) -> str:
        """The place, without secrets."""

    def find(self, key: str) -> list[RemoteFile]:
        """The file of that key, if it is there; of a key that ends in "/" the files of that folder, by name."""

    def read(self, file: RemoteFile, start: int) -> AbstractContextManager[Piece]:
        """The bytes of a file from `start` on, or from 0 where its place cannot skip; reading them may raise too.

        Raises:
            ObjectChanged: It is not the one that was found.
        """

    def close(self) -> None:
        """Let go of connections."""
