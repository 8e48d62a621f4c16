"""Coverage of books: the intervals by state that derive proved, in the form of all coverage."""

from collections.abc import Iterator

from tidelake.books.proofs import proofs
from tidelake.books.report import BookInterval, BookReport
from tidelake.raw.coverage import Interval, StreamCoverage
from tidelake.raw.store import Store


def cover_books(store: Store) -> list[StreamCoverage]:
    """The coverage of every book, by source, channel and symbol, up to where derive read its lanes."""
    found = [_cover(report) for proof in proofs(store) for report in proof.reports]
    return sorted(found, key=lambda stream: (stream.source, stream.feed, stream.symbol))


def _cover(report: BookReport) -> StreamCoverage:
    return StreamCoverage(
        report.source,
        report.channel,
        report.symbol,
        "recv_time",
        intervals=tuple(_intervals(report)),
        watermark=None,
        watermark_ns=None,
        resume=None,
        resume_ns=None,
        messages=report.frames,
        gaps=report.falls,
        gaps_per_million=report.gaps_per_million,
        wanted=(),
    )


def _intervals(report: BookReport) -> Iterator[Interval]:
    for each in report.intervals:
        yield _interval(report, each)


def _interval(report: BookReport, each: BookInterval) -> Interval:
    return Interval(
        report.source,
        report.channel,
        report.symbol,
        "recv_time",
        each.first_ns,
        each.last_ns,
        each.first_ns,
        each.last_ns,
        each.state,
        each.reason or each.rules,
        count=each.messages,
    )
