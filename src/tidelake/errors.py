"""What Tidelake raises: every error carries fields, because callers branch on them.

A message says what was found and what was expected, what state the data is in, and what to do next.
"""

from collections.abc import Sequence


class TidelakeError(Exception):
    """Base of all errors that Tidelake raises on purpose."""


class SourceError(TidelakeError):
    """A source did not answer, or answered with an error.

    Args:
        message: What was asked and what came back; never holds a secret.
        retryable: Whether the same request may succeed later.
        retry_after: Seconds the source asked us to wait; None where it said nothing.
        status: HTTP status; None where there was no answer.
    """

    def __init__(
        self,
        message: str,
        *,
        retryable: bool,
        retry_after: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after = retry_after
        self.status = status


class TimedOut(SourceError):
    """No whole answer came in the time that one request has."""


class AskedTooMuch(SourceError):
    """One question was too much for every provider: ask for less at a time.

    Args:
        message: What was asked, and what each provider said.
        widest: Blocks that the most generous of them takes at once; None where no number was told.
        status: HTTP status; None where there was no answer.
    """

    def __init__(self, message: str, *, widest: int | None = None, status: int | None = None) -> None:
        super().__init__(message, retryable=False, status=status)
        self.widest = widest


class NotServed(SourceError):
    """No provider has it: `what` is "block" (none has that block, or not yet) or "history" (all have pruned it)."""

    def __init__(self, message: str, *, what: str, retryable: bool) -> None:
        super().__init__(message, retryable=retryable)
        self.what = what


class ProvidersDisagree(SourceError):
    """Providers that had to give equal answers did not."""


class FormatDrift(TidelakeError):
    """A payload or file is not in the format that its parser or importer expects."""

    def __init__(self, message: str, *, segment: str | None = None, line: int | None = None) -> None:
        super().__init__(message)
        self.segment = segment
        self.line = line


class SequenceGap(TidelakeError):
    """Ids `first` to `last`, both inclusive, are missing."""

    def __init__(self, message: str, *, first: int, last: int) -> None:
        super().__init__(message)
        self.first = first
        self.last = last


class ReplayRefused(TidelakeError):
    """Events that no book can be replayed from; `place` counts the day's events from 0."""

    def __init__(self, message: str, *, place: int) -> None:
        super().__init__(message)
        self.place = place


class NotInLake(TidelakeError):
    """What was asked for is not in the lake; `available` lists what is."""

    def __init__(self, message: str, *, available: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.available = tuple(available)


class StoreError(TidelakeError):
    """The store of the lake (disk, S3, ...) failed; `retryable` says whether the same call may succeed later."""

    def __init__(self, message: str, *, key: str, retryable: bool = True) -> None:
        super().__init__(message)
        self.key = key
        self.retryable = retryable


class ConfigError(TidelakeError):
    """A setting is missing or wrong; `tried` lists every place that was looked in, in order."""

    def __init__(self, message: str, *, tried: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.tried = tuple(tried)


class MissingExtra(TidelakeError):
    """An optional dependency is not installed; `extra` names the extra that brings it."""

    def __init__(self, message: str, *, extra: str) -> None:
        super().__init__(message)
        self.extra = extra


class LaneMoved(TidelakeError):
    """Another writer sealed entries of this lane first; `head` is the last sealed entry's number now."""

    def __init__(self, message: str, *, lane: str, head: int) -> None:
        super().__init__(message)
        self.lane = lane
        self.head = head


class TableMoved(TidelakeError):
    """Another process committed to the table between our read and our commit; nothing of ours was written."""


class LedgerBroken(TidelakeError):
    """The chain of a lane does not hold: an entry is missing, changed or out of place."""

    def __init__(self, message: str, *, lane: str, seq: int) -> None:
        super().__init__(message)
        self.lane = lane
        self.seq = seq


class BookNotProven(TidelakeError):
    """A book was asked for that nothing proves at that moment; `state` and `reason` say what is known of it."""

    def __init__(self, message: str, *, state: str, reason: str) -> None:
        super().__init__(message)
        self.state = state
        self.reason = reason
