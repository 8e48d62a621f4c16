"""A bounded queue of rows between a thread that must not wait and one that may be slow: the oldest rows are shed."""

import threading
from collections import deque
from typing import NamedTuple

import pyarrow as pa

QUEUE_ROWS = 100_000


class Batch(NamedTuple):
    """Rows of one stream in order; `first_n` numbers the first, `ms` is when they were published."""

    key: str
    rows: pa.Table
    first_n: int
    ms: int


class RowQueue:
    """At most `bound` rows.

    Attributes:
        shed: Rows that were dropped since the taker was too slow.
        closed: No rows come any more.
    """

    def __init__(self, bound: int = QUEUE_ROWS) -> None:
        self.shed = 0
        self.closed = False
        self._bound = bound
        self._batches: deque[Batch] = deque()
        self._count = 0
        self._turn = threading.Condition()

    def __len__(self) -> int:
        return self._count

    def put(self, batch: Batch) -> None:
        """Append rows; never waits."""
        with self._turn:
            self._batches.append(batch)
            self._count += len(batch.rows)
            while self._count > self._bound:
                self._drop(self._count - self._bound)
            self._turn.notify_all()

    def _drop(self, count: int) -> None:
        oldest = self._batches.popleft()
        gone = min(count, len(oldest.rows))
        if gone < len(oldest.rows):
            rest = oldest.rows.slice(gone)
            self._batches.appendleft(oldest._replace(rows=rest, first_n=oldest.first_n + gone))
        self._count -= gone
        self.shed += gone

    def take(self, timeout: float | None = 0.0) -> Batch | None:
        """The oldest batch; None where none comes within so many seconds, or the queue is closed and empty."""
        with self._turn:
            if timeout != 0.0:
                self._turn.wait_for(lambda: self._batches or self.closed, timeout)
            if not self._batches:
                return None
            batch = self._batches.popleft()
            self._count -= len(batch.rows)
            return batch

    def close(self) -> None:
        """Say that no more rows come; those that are in it can still be taken."""
        with self._turn:
            self.closed = True
            self._turn.notify_all()

    def clear(self) -> None:
        """Drop what is left; it counts as shed."""
        with self._turn:
            self.shed += self._count
            self._batches.clear()
            self._count = 0
