"""What is written of one symbol in a vendor's layout, day after day: one set of files is open at a time."""

import datetime as dt
from collections import Counter
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from tidelake.jobs.vendor_files import DayFiles

Written = TypeVar("Written", contravariant=True)


class DayOf(Protocol[Written]):
    """Files of one day.

    Attributes:
        files: They.
    """

    @property
    def files(self) -> DayFiles[Any]: ...

    def write(self, rows: Written) -> None:
        """Takes what comes next."""

    def flush(self) -> None:
        """Writes what was held back."""


class Days(Generic[Written]):
    """Days that follow each other; one is finished when the next begins.

    Args:
        begin: The files of a day.

    Attributes:
        rows: Written so far to finished files, by table.
        count: Days that were begun.
        first, last: Of them; None before there are any.
    """

    def __init__(self, begin: Callable[[dt.date], DayOf[Written]]) -> None:
        self._begin = begin
        self._open: DayOf[Written] | None = None
        self.rows: Counter[str] = Counter()
        self.files = 0
        self.first: dt.date | None = None
        self.last: dt.date | None = None

    def write(self, day: int, rows: Written) -> None:
        """Writes rows of a day, in days since 1970; of a day before the last one, into the last one's files."""
        date = dt.date(1970, 1, 1) + dt.timedelta(days=day)
        if self._open is None or self.last is None or date > self.last:
            self.finish()
            self._open = self._begin(date)
            self.first, self.last = self.first or date, date
        self._open.write(rows)

    def finish(self) -> None:
        """Gives the files of the last day their names."""
        if self._open is not None:
            self._open.flush()
            written = self._open.files.finish()
            self._open = None
            self.rows.update(written)
            self.files += len(written)

    def drop(self) -> None:
        """Leaves nothing of the last day's files."""
        if self._open is not None:
            self._open.files.drop()
