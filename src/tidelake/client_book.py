"""The Python door to one book: as it was captured, and as it was reconstructed from a vendor's files."""

import datetime as dt
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidelake.durations import parse_duration
from tidelake.raw.store import Store

if TYPE_CHECKING:
    from tidelake.books.reading import Book
    from tidelake.books.reconstruction.events import EventForm
    from tidelake.books.reconstruction.hftbacktest import Events
    from tidelake.books.reconstruction.partitions import Partition

Time = dt.datetime | str


def parse_time(value: Time) -> dt.datetime:
    """A time with zone; ISO 8601 text is read, a zone is demanded.

    Raises:
        ValueError: It has no zone or is no time.
    """
    at = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
    if at.tzinfo is None:
        raise ValueError(f"{value} has no time zone; write {at.isoformat()}Z for UTC")
    return at.astimezone(dt.UTC)


def parse_ns(value: Time) -> int:
    """The same in ns since 1970 UTC, in whole us."""
    return (parse_time(value) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1) * 1_000


def _ns(value: Time | None) -> int | None:
    return None if value is None else parse_ns(value)


@dataclass(frozen=True)
class SymbolBook:
    """The book of one symbol at one source.

    `at` asks what was captured; the others what `tidelake books reconstruct` made of a vendor's files. Where there are
    several vendors or strategies of the days asked for, `vendor` and `strategy` must name one.
    """

    store: Store
    source: str
    symbol: str

    def at(
        self, when: Time | None = None, *, channel: str | None = None, depth: int = 0, unproven: bool = False
    ) -> "Book":
        """The book as it stood at a moment, judged by every rule of its venue; see `books.reading`.

        Args:
            when: Receive time up to which messages count, inclusive; default: now.
            channel: The venue's own word, where several channels carry books of the symbol.
            depth: At most so many levels of each side; 0: all.
            unproven: Also serve a book that is not VALID.

        Raises:
            BookNotProven: The book is not VALID then, and `unproven` is not set.
            NotInLake: No such book had come by then, or several had and none is named.
        """
        from tidelake.books.reading import read_book
        from tidelake.raw.codec import key_from_environment

        at_ns = time.time_ns() if when is None else parse_ns(when)
        key = key_from_environment()
        return read_book(
            self.store, self.source, self.symbol, at_ns, channel=channel, depth=depth, unproven=unproven, key=key
        )

    def days(self) -> "list[Partition]":
        """The days that were reconstructed, also those that are not finished."""
        from tidelake.books.reconstruction.partitions import partitions

        return partitions(self.store, self.source, self.symbol)

    def events(
        self,
        start: Time | None = None,
        end: Time | None = None,
        *,
        vendor: str | None = None,
        strategy: str | None = None,
        levels: int | None = None,
        mantissas: bool = False,
        unproven: bool = False,
        unfinished: bool = False,
        form: "EventForm" = "polars",
        batch: int = 1 << 16,
    ) -> Iterator[Any]:
        """Batches of `market_events` in the order of the replay; rows that are not VALID are among them and say so.

        Args:
            start, end: On the declared clock: `recv_ns`, or `event_time` for `origin_time_sort`; `end` is exclusive.
            vendor, strategy: Which reconstruction.
            levels: Levels of each side; default: as many as were kept; 0: none.
            mantissas: Integers and exponents in place of Decimal(38, 18), or, in form "numpy", of floats.
            unproven: Also levels that lie beyond the known depth; else they are null.
            unfinished: Also days of which rows are still missing.
            form: "polars", "arrow", or "numpy": a dict of arrays, lists as [rows, levels], NaN where there is nothing.
            batch: Rows of a batch, at most.

        Raises:
            NotInLake: There is no such reconstruction, or several, and none is named.
            TableMoved: A day was reconstructed anew while it was read.
        """
        from tidelake.books.reconstruction.events import EventShape, event_batches

        shape = EventShape(levels, mantissas, unproven, form, batch)
        chosen = self._chosen(start, end, vendor, strategy, unfinished)
        return event_batches(self.store, chosen, shape, start_ns=_ns(start), end_ns=_ns(end))

    def snapshots(
        self,
        start: Time | None = None,
        end: Time | None = None,
        *,
        every: str | dt.timedelta = "100ms",
        vendor: str | None = None,
        strategy: str | None = None,
        levels: int | None = None,
        mantissas: bool = False,
        unproven: bool = False,
        unfinished: bool = False,
        form: "EventForm" = "polars",
    ) -> Iterator[Any]:
        """Batches of books on a regular grid, from the first event of each day to its last; arguments as of `events`.

        Columns of `events`, and `at`: the moment; `age`: since the event that the book shows; `carried`: whether
        nothing happened since the moment before, so that the same book is shown again.

        Args:
            every: Distance of the moments, such as "100ms"; a multiple of the grid that the rows were kept on.

        Raises:
            NotInLake: As `events`; or the rows were kept on a wider grid.
        """
        from tidelake.books.reconstruction.events import EventShape
        from tidelake.books.reconstruction.grid import grid_batches

        shape = EventShape(levels, mantissas, unproven, form)
        chosen = self._chosen(start, end, vendor, strategy, unfinished)
        every_ns = parse_duration(every) // dt.timedelta(microseconds=1) * 1_000
        return grid_batches(self.store, chosen, shape, every_ns, start_ns=_ns(start), end_ns=_ns(end))

    def hftbacktest(
        self,
        start: Time | None = None,
        end: Time | None = None,
        *,
        vendor: str | None = None,
        strategy: str | None = None,
        unfinished: bool = False,
    ) -> "Events":
        """The events as hftbacktest's structured array, in its two orders; see `books.reconstruction.hftbacktest`.

        Arguments as of `events`.
        """
        from tidelake.books.reconstruction.hftbacktest import hftbacktest_events

        chosen = self._chosen(start, end, vendor, strategy, unfinished)
        return hftbacktest_events(self.store, chosen, start_ns=_ns(start), end_ns=_ns(end))

    def _chosen(
        self, start: Time | None, end: Time | None, vendor: str | None, strategy: str | None, unfinished: bool
    ) -> "list[Partition]":
        from tidelake.books.reconstruction.partitions import choose

        first = None if start is None else parse_time(start).date()
        # A file's day is that of receipt: an event before midnight may stand in the next one.
        last = None if end is None else parse_time(end).date() + dt.timedelta(days=1)
        return choose(
            self.store,
            self.source,
            self.symbol,
            vendor=vendor,
            strategy=strategy,
            first=first,
            last=last,
            unfinished=unfinished,
        )
