"""Findings on books and prices: snapshots that cannot be, tables that are not of one market, replays that differ."""

from collections.abc import Iterator
from itertools import combinations

from tidelake.books.assessment.day_grid import clock_text, length_text
from tidelake.books.assessment.figures import AgreementFigures, DayFigures, TableFigures
from tidelake.books.assessment.findings import Finding, Severity, percent

FEW = 0.01  # of a table: more, and it cannot be relied on
SWAPPED = 0.5  # of snapshots crossed: bids and asks are the wrong way round
SAME_PRICE = 1.2  # ratio of median prices of tables of one market: no day's move parts them so far
OUTSIDE_NOTED, OUTSIDE_SERIOUS = 0.001, 0.05  # of trades outside all best prices around them
LEAST_PAIRS = 30  # of a buy and a sell near each other, before their sides are judged
SIDES_SWAPPED = 0.3  # of pairs with dearer buys: takers pay the spread, so it is nearly all
AGREEMENT_GOOD, AGREEMENT_FIT = 0.999, 0.95  # of snapshots that agree with the replayed deltas


def book_findings(day: DayFigures) -> Iterator[Finding]:
    """What books and prices of all tables say."""
    for table in day.tables.values():
        yield from _snapshots(table)
        yield from _trades(table)
        yield from _levels(table)
    yield from _same_market(day)
    if day.agreement:
        yield from _agreement(day.agreement, day.agreement_while_told)
    elif day.not_replayed:
        sentence = f"The deltas were not replayed: {day.not_replayed}."
        yield Finding("serious", "agreement", "", sentence, "Nothing proves the deltas of this day.")


def _snapshots(table: TableFigures) -> Iterator[Finding]:
    found = table.snapshots
    if found is None or not found.snapshots:
        return
    faults = {
        "crossed": (found.crossed, "the best bid is above the best ask"),
        "locked": (found.locked, "the best bid equals the best ask"),
        "one-sided": (found.one_sided, "a side is empty"),
        "unsorted": (found.unsorted, "levels are not in order of price"),
        "not positive": (found.not_positive, "a price or size is 0 or less"),
    }
    for name, (count, what) in faults.items():
        if not count:
            continue
        swapped = name == "crossed" and count > SWAPPED * found.snapshots
        yield Finding(
            "serious" if count > FEW * found.snapshots or name in ("unsorted", "not positive") else "warning",
            f"{name} snapshots",
            table.table,
            f"In {count:,} of {found.snapshots:,} snapshots ({percent(count, found.snapshots)}) {what}"
            + (": bids and asks look swapped." if swapped else "."),
            "No book can be like this for long: leave them out, and anchor nothing on them.",
            {"count": count, "swapped": swapped},
        )
    if not any(count for count, _ in faults.values()):
        spacing = length_text((table.coverage.spacing_p50_ms or 0) * 1e6)
        longest = length_text((table.coverage.spacing_longest_ms or 0) * 1e6)
        yield Finding(
            "fine",
            "snapshots",
            table.table,
            f"All {found.snapshots:,} snapshots have two sides in order, uncrossed; one each {spacing} in the middle, "
            f"{longest} at most.",
        )


def _trades(table: TableFigures) -> Iterator[Finding]:
    found = table.trades
    if found is None or not found.trades:
        return
    if found.not_positive:
        sentence = f"{found.not_positive:,} trades have a price or size that is missing, 0 or less."
        yield Finding("serious", "trade numbers", table.table, sentence, "Get the file again.")
    if found.outside > OUTSIDE_NOTED * found.compared:
        severe = found.outside > OUTSIDE_SERIOUS * found.compared
        yield Finding(
            "serious" if severe else "warning",
            "trades outside the book",
            table.table,
            f"{found.outside:,} of {found.compared:,} trades ({percent(found.outside, found.compared)}) have a price "
            "that is 0.2 % or more from every best price of their moment"
            + (": they may be of another symbol, or of another time." if severe else "."),
            "Check the symbol and the clock of this file." if severe else "Look at these trades before using them.",
            {"outside": found.outside, "compared": found.compared},
        )
    elif found.compared:
        sentence = f"The prices of {found.compared:,} trades lie where the snapshots of their moment say."
        yield Finding("fine", "trades outside the book", table.table, sentence)
    if found.jump_count:
        jump = max(found.jumps, key=lambda each: abs(each.ratio - 1))
        yield Finding(
            "warning",
            "price jumps",
            table.table,
            f"{found.jump_count:,} trades are more than 2 % from the one before; the largest, at "
            f"{clock_text(jump.at_ns)} UTC, has {jump.ratio:.4g} times its price.",
            "Look at these trades before using them.",
            {"jumps": found.jump_count},
        )
    if found.sides_compared >= LEAST_PAIRS and found.sides_right < SIDES_SWAPPED * found.sides_compared:
        yield Finding(
            "warning",
            "sides of trades",
            table.table,
            f"Of {found.sides_compared:,} buys and sells within a tenth of a second, the buy is dearer in "
            f"{percent(found.sides_right, found.sides_compared)}; takers pay the spread, so it should be most: sides "
            "look swapped.",
            "Compare some trades with the exchange before using their sides.",
        )


def _levels(table: TableFigures) -> Iterator[Finding]:
    found = table.levels
    if found is None:
        return
    bad = {"price": found.price_not_positive, "size": found.size_negative}
    for what, count in bad.items():
        if count:
            wrong = "missing, 0 or less" if what == "price" else "missing or below 0"
            sentence = f"{count:,} levels have a {what} that is {wrong}."
            yield Finding("serious", "delta numbers", table.table, sentence, "Get the file again.", {what: count})


def _same_market(day: DayFigures) -> Iterator[Finding]:
    """Median prices of tables lie near each other; where one is another's size, columns are swapped."""
    told = [table for table in day.tables.values() if table.typical.price]
    apart = [(a, b) for a, b in combinations(told, 2) if not _near(a.typical.price, b.typical.price)]
    for a, b in apart:
        swapped = next((x for x, y in ((a, b), (b, a)) if _near(x.typical.size, y.typical.price)), None)
        why = f"price and size of {swapped.table} look swapped" if swapped else "they are not of the same market"
        yield Finding(
            "serious",
            "prices of tables",
            swapped.table if swapped else "",
            f"The median price is {a.typical.price:.6g} in {a.table} and {b.typical.price:.6g} in {b.table}: {why}.",
            "Get the right file; do not use these tables together.",
            {a.table: a.typical.price, b.table: b.typical.price},
        )
    if len(told) > 1 and not apart:
        yield Finding("fine", "prices of tables", "", "The tables speak of the same prices.")


def _near(one: float | None, other: float | None) -> bool:
    return bool(one and other) and 1 / SAME_PRICE < (one or 0.0) / (other or 1.0) < SAME_PRICE


def _agreement(found: AgreementFigures, while_told: float | None) -> Iterator[Finding]:
    """How many snapshots agree; those in silences of the deltas cannot, and do not count against the rest."""
    name, share = "agreement", found.share
    figures = {"compared": found.compared, "agreeing": found.agreeing, "broken": found.broken}
    if share is None:
        sentence = "No snapshot could be laid beside the replayed deltas."
        yield Finding("warning", name, "", sentence, "Nothing proves the deltas of this day.", figures)
        return
    told = (
        f"{found.agreeing:,} of {found.compared:,} snapshots ({percent(found.agreeing, found.compared)}) equal the book"
    )
    if share == 1:
        yield Finding("fine", name, "", f"{told} that the deltas give, level by level.", "", figures)
        return
    fit = while_told is None or while_told >= AGREEMENT_FIT
    severity: Severity = "note" if share >= AGREEMENT_GOOD else "warning" if fit else "serious"
    prices, sizes = found.differing_prices or (0.0, 0.0, 0.0), found.differing_sizes or (0.0, 0.0, 0.0)
    yield Finding(
        severity,
        name,
        "",
        f"{told} that the deltas give; in the others {prices[0]:.0f} prices and {sizes[0]:.0f} sizes differ.",
        "Times before a snapshot that differs are SUSPECT in the replay: take VALID rows only."
        if fit
        else "Do not replay these deltas; use snapshot_anchored.",
        figures,
    )
