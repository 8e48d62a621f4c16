"""Downloads that go on where they were cut, also after a kill: a part file, and beside it what was told of the file."""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from tidelake.errors import SourceError
from tidelake.transport.files.spec import FilePlace, ObjectChanged, RemoteFile
from tidelake.transport.http import Patience
from tidelake.transport.logger import logger

TOLD = ".told.json"
FILE_PATIENCE = Patience(attempts=6, first_wait=0.5, longest_wait=30.0)
Received = Callable[[int], None]  # called with the number of bytes of each block


def told_path(part: Path) -> Path:
    """Where it stands what a part file is a part of."""
    return part.with_name(part.name + TOLD)


def told_of(part: Path) -> RemoteFile | None:
    """What was told of the file; None where nothing was written down."""
    try:
        return msgspec.json.decode(told_path(part).read_bytes(), type=RemoteFile)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def download(
    place: FilePlace,
    file: RemoteFile,
    part: Path,
    *,
    patience: Patience = FILE_PATIENCE,
    sleep: Callable[[float], None] = time.sleep,
    received: Received | None = None,
    seed: int | None = None,
) -> None:
    """Bring the whole file to `part`, from where an earlier call for the same file left it; it is then on disk.

    Each attempt that brought bytes gives the next ones all of `patience.attempts` again.

    Raises:
        SourceError: Refused for good, or patience ran out. What came is kept.
        ObjectChanged: The file was replaced at its place: find it again.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    draw = random.Random(seed).random
    _begin(file, part)
    attempt = 0
    while part.stat().st_size != file.bytes:
        attempt += 1
        before = part.stat().st_size
        try:
            _append(place, file, part, received)
            return
        except SourceError as exc:
            attempt = 1 if part.stat().st_size > before else attempt
            if isinstance(exc, ObjectChanged) or not exc.retryable or attempt >= patience.attempts:
                raise
            wait = patience.wait(attempt, exc.retry_after, draw())
            logger().debug("reading on", key=file.key, attempt=attempt, wait=round(wait, 3), reason=str(exc))
            sleep(wait)


def _begin(file: RemoteFile, part: Path) -> None:
    """Make the part file, empty unless it is a part of this very file."""
    same = told_of(part) == file and (file.tag or file.bytes is not None)
    with open(part, "ab" if same else "wb") as opened:
        if file.bytes is not None and opened.tell() > file.bytes:
            opened.truncate(0)
    told_path(part).write_bytes(msgspec.json.encode(file))


def _append(place: FilePlace, file: RemoteFile, part: Path, received: Received | None) -> None:
    with open(part, "r+b") as opened, place.read(file, opened.seek(0, os.SEEK_END) if file.bytes else 0) as piece:
        opened.seek(piece.start)
        opened.truncate()
        for block in piece.blocks:
            opened.write(block)
            if received:
                received(len(block))
        opened.flush()
        os.fsync(opened.fileno())
        size = opened.tell()
    if file.bytes is not None and size > file.bytes:
        raise ObjectChanged(file.key)
    if file.bytes is not None and size < file.bytes:
        raise SourceError(f"{file.key}: cut at byte {size} of {file.bytes}", retryable=True)
