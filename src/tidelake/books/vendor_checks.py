"""What a vendor's file must be before it is ready: every check with its figure, its limit and what came of it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from tidelake.books.vendor_columns import VendorColumns
from tidelake.books.vendor_tally import EVENT_SLACK_NS, RECV_SLACK_NS, Numbers, Tally, Wanted
from tidelake.errors import FormatDrift
from tidelake.vendors.spec import Vendor

EVENTS_OUTSIDE = 0.01  # single events are told hours late; a shifted clock or another day moves far more
CROSSED = 0.01  # a vendor's own book crosses for moments after a lost connection, not for a hundredth of the day
REPEATED = 0.2  # equal rows do occur; a file written twice into itself has half of them
SIDES_SWAPPED = 0.8  # bids lie below asks; where the market runs away within a run of rows, that falls out by chance
PRICE_STEP, SIZE_STEP = 0.1, 0.01  # no price goes by a tenth from row to row while the sizes stay within a hundredth
FEWEST_STEPS = 100  # rows below which medians of steps say nothing
MEDIANS_APART = 10.0  # prices of two tables of one stream and day lie closer, but for options

Verdict = Literal["passed", "told", "failed"]


class Check(msgspec.Struct, frozen=True, omit_defaults=True):
    """One check.

    Attributes:
        name: What was looked at.
        verdict: "told" where the figure is only said, "failed" where the file is not ready because of it.
        found: The figure.
        limit: The most, or what was expected.
        reason: Of what failed: what it means.
    """

    name: str
    verdict: Verdict
    found: int | float | str
    limit: int | float | str = ""
    reason: str = ""


class Checked(msgspec.Struct, frozen=True):
    """What was found in a file.

    Attributes:
        checks: In the order in which they were made; reading ends with the first that makes it impossible.
        rows: Rows read.
        first_ns, last_ns: Ends of the receive clock, ns since 1970; 0 where there are none.
        first_event_ns, last_event_ns: Ends of the event clock.
        median_price, median_size: Medians of the batches' medians, of snapshots of the mid and the best bid's size.
        rows_sha256: Equal for files of equal rows, however they are packed.
    """

    checks: list[Check]
    rows: int = 0
    first_ns: int = 0
    last_ns: int = 0
    first_event_ns: int = 0
    last_event_ns: int = 0
    median_price: float = 0.0
    median_size: float = 0.0
    rows_sha256: str = ""

    @property
    def failed(self) -> list[Check]:
        """The checks because of which the file is not ready."""
        return [check for check in self.checks if check.verdict == "failed"]


def at_most(name: str, found: float, limit: float, reason: str) -> Check:
    """A check that fails above its limit."""
    return Check(name, "failed", found, limit, reason) if found > limit else Check(name, "passed", found, limit)


def check_content(path: Path, vendor: Vendor, wanted: Wanted) -> Checked:
    """Read a file to its last byte and judge what it holds."""
    checks: list[Check] = []
    try:
        columns = VendorColumns(path, vendor, wanted.table)
    except FormatDrift as exc:
        return Checked([Check("schema", "failed", "", wanted.table.name, str(exc))])
    checks.append(Check("schema", "passed", wanted.table.name))
    tally = Tally(wanted)
    try:
        for batch in columns.batches():
            tally.add(batch)
    except FormatDrift as exc:
        return Checked([*checks, Check("readable", "failed", tally.rows, "all rows", str(exc))], rows=tally.rows)
    checks.append(Check("readable", "passed", tally.rows))
    told = tally.rows if columns.rows_told is None else columns.rows_told
    checks += judged(tally, told)
    return Checked(
        checks,
        tally.rows,
        tally.recv.first_ns,
        tally.recv.last_ns,
        tally.event.first_ns,
        tally.event.last_ns,
        Numbers.median(tally.numbers.prices),
        Numbers.median(tally.numbers.sizes),
        tally.digest.hexdigest(),
    )


def judged(tally: Tally, rows_told: int) -> Iterator[Check]:
    """The checks of what was counted."""
    yield Check("rows", "passed" if tally.rows else "failed", tally.rows, ">= 1", "" if tally.rows else "it has no row")
    if rows_told != tally.rows:
        yield Check("footer rows", "failed", tally.rows, rows_told, "its footer tells another number of rows")
    if not tally.rows:
        return
    yield from _of_clocks(tally)
    yield from _of_words(tally)
    yield from _of_numbers(tally)
    share = tally.repeated.share()
    yield at_most("repeated rows share", share, REPEATED, "rows stand in it again and again")


def _of_clocks(tally: Tally) -> Iterator[Check]:
    day = tally.wanted.day
    text = "rows have no receive time that can be true; is the unit of the clock another one?"
    yield at_most("rows without receive time", tally.recv_missing, 0, text)
    text = f"rows were received outside {day} with {RECV_SLACK_NS // 10**9} s on both sides: another day or clock"
    yield at_most("received outside the day", tally.recv.outside, 0, text)
    if tally.event.told:
        share = tally.event.outside / tally.event.told
        text = f"of the events lie outside {day} with {EVENT_SLACK_NS // 10**9} s on both sides: another day or clock"
        yield at_most("events outside the day share", share, EVENTS_OUTSIDE, text)
    yield Check("events with a time", "told", tally.event.told)
    yield Check("receive clock steps back share", "told", tally.recv.back / max(tally.recv.steps, 1))
    if tally.sequence_steps:
        yield Check("sequence steps back share", "told", tally.backwards / tally.sequence_steps)


def _of_words(tally: Tally) -> Iterator[Check]:
    wanted = tally.wanted
    count, value = tally.elsewhere
    asked = f"{wanted.exchange} {wanted.vendor_symbol}"
    yield at_most("rows of another exchange or symbol", count, 0, f"asked was {asked}; found {value!r}")
    if wanted.table.field("side"):
        count, value = tally.sides
        yield at_most("rows of unknown side", count, 0, f"{value!r} is no side of {wanted.table.name}")


def _of_numbers(tally: Tally) -> Iterator[Check]:
    yield at_most("bad prices", tally.bad_prices, 0, "prices are missing, not finite, or not above 0")
    yield at_most("bad sizes", tally.bad_sizes, 0, "sizes are missing, not finite, negative, or 0 where that is none")
    if tally.wanted.table.levels:
        yield at_most("snapshots not best first", tally.unordered, 0, "levels are out of order, or one is left out")
        text = "of the snapshots have a bid that is not below the ask: are the sides swapped?"
        yield at_most("crossed snapshots share", tally.crossed / tally.rows, CROSSED, text)
    if tally.side_runs:
        share = tally.sides_swapped / tally.side_runs
        yield at_most("bids above asks share", share, SIDES_SWAPPED, "bids lie above asks: the sides are swapped")
    yield _of_steps(tally.numbers, tally.rows)


def _of_steps(numbers: Numbers, rows: int) -> Check:
    price, size = numbers.median(numbers.price_steps), numbers.median(numbers.size_steps)
    if rows >= FEWEST_STEPS and price > PRICE_STEP and size < SIZE_STEP:
        text = f"prices go by {price:.3g} of themselves from row to row, sizes by {size:.3g}: they are swapped"
        return Check("price step", "failed", price, PRICE_STEP, text)
    return Check("price step", "passed", price, PRICE_STEP)


def check_against(
    checked: Checked, prices: Mapping[str, float], same: Mapping[str, str], *, is_option: bool
) -> list[Check]:
    """Compare a file with those that are ready.

    Args:
        checked: What was found in it.
        prices: Median price of other tables' files of the same stream and day, by name.
        same: Names of other files by `rows_sha256`.
        is_option: Whether the product is an option, whose far levels say little.
    """
    twin = same.get(checked.rows_sha256, "")
    checks = [
        Check(
            "rows of another file",
            "failed" if twin else "passed",
            twin,
            "",
            f"its rows are those of {twin}" if twin else "",
        )
    ]
    for name, price in prices.items():
        if not price or not checked.median_price:
            continue
        apart = max(price / checked.median_price, checked.median_price / price)
        if apart <= MEDIANS_APART or is_option:
            checks.append(Check(f"median price against {name}", "told", apart, MEDIANS_APART))
            continue
        by_size = max(price / checked.median_size, checked.median_size / price)
        why = (
            "its sizes lie there: columns are swapped"
            if by_size <= MEDIANS_APART
            else "one of them is of another product"
        )
        checks.append(
            Check(
                f"median price against {name}",
                "failed",
                apart,
                MEDIANS_APART,
                f"prices lie {apart:.3g} times apart; {why}",
            )
        )
    return checks
