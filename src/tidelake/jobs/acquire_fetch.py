"""One file of `books acquire`: fetched whole, compared with what its place told of it, and read to its last byte."""

import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from tidelake.books.vendor_checks import Check, Checked, check_content
from tidelake.books.vendor_tally import Wanted
from tidelake.errors import SourceError
from tidelake.jobs.acquire_plan import WantedFile
from tidelake.jobs.acquire_staging import Staging, digests
from tidelake.raw.crash_points import reach
from tidelake.transport.files.download import FILE_PATIENCE, Received
from tidelake.transport.files.spec import FilePlace, ObjectChanged, RemoteFile
from tidelake.vendors.spec import Vendor

CHANGES = 3  # how often a file that is replaced while it is read is begun anew
SUMS = "SHA256SUMS"
LARGEST_SUMS = 16 << 20

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Fetched:
    """A staged file, and what was found in it.

    Attributes:
        remote: As its place told of it when it was fetched.
        sha256, bytes: Of the file.
        checks: Those of what was told, then those of the content.
        content: What was read.
    """

    remote: RemoteFile
    sha256: str
    bytes: int
    checks: list[Check]
    content: Checked


def patiently(ask: Callable[[], Answer], sleep: Callable[[float], None]) -> Answer:
    """The answer, asked for again with back-off where that may help; raises the last SourceError."""
    attempt = 0
    while True:
        attempt += 1
        try:
            return ask()
        except SourceError as exc:
            if not exc.retryable or attempt >= FILE_PATIENCE.attempts:
                raise
            sleep(FILE_PATIENCE.wait(attempt, exc.retry_after, 0.5))


def fetch(
    place: FilePlace,
    staging: Staging,
    vendor: Vendor,
    file: WantedFile,
    *,
    received: Received,
    sleep: Callable[[float], None],
) -> Fetched:
    """Bring a file to staging and check it.

    Raises:
        SourceError: It could not be fetched; what came of it is kept.
    """
    remote = _staged(place, staging, file.remote, received, sleep)
    path = staging.staged(file.name)
    size, sha256, md5 = digests(path)
    if remote.md5_by == "ETag" and remote.md5 != md5:
        remote, (size, sha256, md5) = _fetched_twice(place, staging, remote, sha256, received)
    checks = list(_told_checks(remote, size, md5, sha256, _told_sum(place, file.name, sleep)))
    if any(check.verdict == "failed" for check in checks):
        return Fetched(remote, sha256, size, checks, Checked([]))
    wanted = Wanted(file.of.table, file.of.exchange, file.of.vendor_symbol, file.of.day)
    content = check_content(path, vendor, wanted)
    reach("checked")
    return Fetched(remote, sha256, size, checks + content.checks, content)


def _staged(
    place: FilePlace, staging: Staging, remote: RemoteFile, received: Received, sleep: Callable[[float], None]
) -> RemoteFile:
    for _ in range(CHANGES):
        try:
            staging.fetch(place, remote, received)
            return remote
        except ObjectChanged:
            found = patiently(lambda: place.find(remote.key), sleep)  # noqa: B023  called at once
            if not found:
                raise SourceError(f"{remote.key} was removed while it was read", retryable=False) from None
            remote = found[0]
    raise SourceError(f"{remote.key} was replaced {CHANGES} times while it was read; run again", retryable=True)


def _fetched_twice(
    place: FilePlace, staging: Staging, remote: RemoteFile, sha256: str, received: Received
) -> tuple[RemoteFile, tuple[int, str, str]]:
    """Fetch a file again whose ETag is not its MD5: the same bytes twice prove that the ETag is something else.

    That is so for objects that a store encrypts with a key of its customer.
    """
    staging.clear(remote.key)
    staging.fetch(place, remote, received)
    found = digests(staging.staged(remote.key))
    if found[1] == sha256:
        remote = RemoteFile(remote.key, remote.bytes, remote.tag)
    return remote, found


def _told_checks(remote: RemoteFile, size: int, md5: str, sha256: str, told_sha256: str) -> Iterator[Check]:
    pairs = (
        ("bytes as told", size, remote.bytes),
        (f"MD5 by {remote.md5_by}", md5, remote.md5 or None),
        ("SHA-256 as told", sha256, told_sha256 or None),
    )
    for name, found, told in pairs:
        if told is None:
            continue
        reason = "" if found == told else "it is not what its place tells of it: delete it from staging and run again"
        yield Check(name, "failed" if reason else "passed", found, told, reason)


def _told_sum(place: FilePlace, name: str, sleep: Callable[[float], None]) -> str:
    """The SHA-256 of a file by `<file>.sha256` or SHA256SUMS beside it; "" where there is none."""
    for key in (f"{name}.sha256", posixpath.join(posixpath.dirname(name), SUMS)):
        for line in _small_text(place, key, sleep).splitlines():
            digest, _, of = line.strip().partition(" ")
            if len(digest) == 64 and of.lstrip(" *") in ("", posixpath.basename(name), name):
                return digest.lower()
    return ""


def _small_text(place: FilePlace, key: str, sleep: Callable[[float], None]) -> str:
    try:
        for found in patiently(lambda: place.find(key), sleep):
            if (found.bytes or 0) <= LARGEST_SUMS:
                return patiently(lambda: _read(place, found), sleep).decode("utf-8", "replace")  # noqa: B023
    except SourceError as exc:
        if exc.retryable:
            raise
    return ""  # places that do not let us list answer 403 where nothing is


def _read(place: FilePlace, found: RemoteFile) -> bytes:
    with place.read(found, 0) as piece:
        return b"".join(piece.blocks)
