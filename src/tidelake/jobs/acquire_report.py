"""What `books acquire` says at its end: one row for each file and for each day that the vendor does not have."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tidelake.jobs.report import DONE, DONE_WITH_GAPS, FAILED

State = Literal["planned", "acquired", "already ready", "failed", "missing"]
SHOWN = 20


@dataclass(frozen=True, slots=True)
class AcquiredFile:
    """What became of one file, or of a day without one.

    Attributes:
        table, exchange, symbol, day: In the vendor's words.
        state: "missing": the vendor has no file of that day. "failed": it could not be fetched, or did not pass.
        name: The vendor's key of the file; of the day where it has none.
        bytes: Its length; None where it is not told.
        rows: Rows of it in the lake; 0 where it is not ready.
        reason: Why it failed.
    """

    table: str
    exchange: str
    symbol: str
    day: str
    state: State
    name: str
    bytes: int | None = None
    rows: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AcquireReport:
    """All of them, by symbol, day, table and name.

    Attributes:
        rows: One for each file or missing day.
        fetched: Bytes that this run received.
        seconds: Time taken.
    """

    rows: Sequence[AcquiredFile]
    fetched: int = 0
    seconds: float = 0.0

    def count(self, state: State) -> int:
        """How many are in that state."""
        return sum(row.state == state for row in self.rows)

    @property
    def exit_code(self) -> int:
        """0 done, 1 nothing of what was asked for is ready, 3 something failed or is missing."""
        if not self.count("failed") + self.count("missing"):
            return DONE
        there = self.count("acquired") + self.count("already ready") + self.count("planned")
        return DONE_WITH_GAPS if there else FAILED

    @property
    def summary(self) -> str:
        """The report in a few lines for people."""
        counts = ", ".join(f"{n} {state}" for state in State.__args__ if (n := self.count(state)))  # type: ignore[attr-defined]
        wanted = sum(row.bytes or 0 for row in self.rows if row.state == "planned")
        told = f", {wanted:,} bytes to fetch" if wanted else ""
        lines = [f"books acquire: {counts or 'nothing'}{told}, {self.fetched:,} bytes received, {self.seconds:.1f} s"]
        wrong = [row for row in self.rows if row.state in ("failed", "missing")]
        lines += [f"{row.state}: {row.name}{': ' if row.reason else ''}{row.reason}" for row in wrong[:SHOWN]]
        if len(wrong) > SHOWN:
            lines.append(f".. and {len(wrong) - SHOWN} more")
        return "\n".join(lines)
