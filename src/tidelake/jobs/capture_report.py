"""What a capture says at its end."""

from dataclasses import dataclass
from typing import Literal

from tidelake.jobs.report import DONE, DONE_WITH_GAPS, FAILED, STOPPED

State = Literal["captured", "planned", "refused", "failed"]


@dataclass(frozen=True, slots=True)
class CapturedStream:
    """One channel of one symbol.

    Attributes:
        state: "refused" by the venue, or not to be had of it; "failed" where no connection was made.
        rows: Rows decoded as they came; channels that nobody listened to count none.
        gaps: Holes: missing trade numbers, or, where nothing numbers, connections that were lost.
        book: State of the book at the end; "" where nothing judged it.
        falls: How often a book that stood was lost, by whatever rule: a gap, a wrong checksum, an audit that differed.
        audits, audits_equal: REST pages that were laid beside the standing book, and those that agreed with it.
        reason: Why it was refused or failed; of a plan the venue's own name of the stream.
    """

    source: str
    symbol: str
    channel: str
    state: State
    rows: int = 0
    gaps: int = 0
    book: str = ""
    falls: int = 0
    audits: int = 0
    audits_equal: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LinkReport:
    """One connection and those that replaced it.

    Attributes:
        lane: Where it is kept; of a plan its address.
        frames, bytes: Frames received, and their payloads.
        opens: Connections that were made.
        losses: Why each that was lost ended.
        pages: REST snapshots kept.
        segments: Entries sealed.
        latency_p50_ms, latency_p99_ms, latency_p999_ms: Of the source: receive clock less event time, less the offset
            of our clock where it is known; None where nothing was decoded.
    """

    source: str
    lane: str
    frames: int = 0
    bytes: int = 0
    opens: int = 0
    losses: tuple[str, ...] = ()
    pages: int = 0
    segments: int = 0
    latency_p50_ms: float | None = None
    latency_p99_ms: float | None = None
    latency_p999_ms: float | None = None


@dataclass(frozen=True, slots=True)
class CaptureReport:
    """The whole capture.

    Attributes:
        rows: One for each channel of each symbol.
        links: One for each connection.
        seconds: Time taken.
        interrupted: Whether it was ended before its time; what was heard until then is sealed.
        shed: Lines that were kept and not published, since the listener was too slow.
        failed: Why the listener failed; "" where it did not.
        clock_offset_ms: The time server's clock less ours, as last asked; None where that is unknown.
    """

    rows: tuple[CapturedStream, ...]
    links: tuple[LinkReport, ...]
    seconds: float = 0.0
    interrupted: bool = False
    shed: int = 0
    failed: str = ""
    clock_offset_ms: float | None = None

    @property
    def exit_code(self) -> int:
        """0 done, 1 a stream or the listener failed, 3 with gaps, refused streams or wrong books, 130 interrupted."""
        if self.interrupted:
            return STOPPED
        if self.failed or any(row.state == "failed" for row in self.rows):
            return FAILED
        wrong = any(row.book in ("INVALID", "SUSPECT") or row.falls for row in self.rows)
        bad = wrong or any(row.gaps or row.state == "refused" for row in self.rows)
        return DONE_WITH_GAPS if bad or self.shed else DONE

    @property
    def summary(self) -> str:
        """The report in a few lines for people."""
        if any(row.state == "planned" for row in self.rows):
            return f"{len(self.rows)} streams over {len(self.links)} connections; nothing was asked"
        frames, size = sum(link.frames for link in self.links), sum(link.bytes for link in self.links)
        lines = [f"capture: {frames} frames, {size / 1e6:.1f} MB, {len(self.links)} connections, {self.seconds:.1f} s"]
        offset = "unknown" if self.clock_offset_ms is None else f"{self.clock_offset_ms:.1f} ms"
        for link in self.links:
            p50, p99 = link.latency_p50_ms, link.latency_p99_ms
            late = "" if p50 is None else f", latency p50 {p50:.1f} p99 {p99:.1f} ms (clock offset {offset})"
            lost = f", lost {len(link.losses)} times (last: {link.losses[-1]})" if link.losses else ""
            lines.append(f"{link.lane}: {link.frames} frames, {link.pages} pages, {link.segments} segments{late}{lost}")
        lines += [
            f"{row.source} {row.symbol} {row.channel}: {row.state}: {row.reason}" for row in self.rows if row.reason
        ]
        lines += [f"{row.source} {row.symbol} {row.channel}: {row.gaps} gaps" for row in self.rows if row.gaps]
        lines += [
            f"{row.source} {row.symbol} {row.channel}: lost {row.falls} times, "
            f"{row.audits - row.audits_equal} of {row.audits} audits differed; now {row.book}"
            for row in self.rows
            if row.falls
        ]
        if self.shed:
            lines.append(f"{self.shed} lines were kept and not published: the listener was too slow")
        if self.failed:
            lines.append(f"the listener failed: {self.failed}; the raw log is whole")
        if self.interrupted:
            lines.append("stopped before its time; what was heard is sealed")
        return "\n".join(lines)
