"""What a segment claims of its streams: counts and the runs of trades that it covers, for its ledger entry."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa

from tidelake.errors import TidelakeError
from tidelake.raw.entry import Axis, Claim, Note, Span
from tidelake.raw.frame import decode_line
from tidelake.tables.decode import decode
from tidelake.tables.mapping import Mapping, load_mappings
from tidelake.tables.registry import TABLES
from tidelake.tables.schema import PARSER_VERSION
from tidelake.tables.segment_lines import SegmentLines, split
from tidelake.venues.registry import venue as find_venue, venues

log = logging.getLogger(__name__)
CLAIMS_VERSION = 1  # one more with every change here that lets a segment claim something else
FEEDS = {"trade": "trades", "aggregate": "agg-trades"}


@dataclass(frozen=True)
class TradeClaims:
    """From plaintext lines and the context before them to the claims and the context after them.

    It is pure, so that a segment recovered after a crash claims what it would have claimed. No payload makes it raise:
    a segment that cannot be read claims nothing but its notes, for it must be sealed all the same.
    """

    source: str
    mappings: Sequence[Mapping] | None

    @cached_property
    def version(self) -> str:
        """Of parser, claims and the source's mappings: equal versions claim the same of a segment."""
        known = load_mappings() if self.mappings is None else self.mappings
        own = (mapping.version for mapping in known if mapping.source == self.source)
        return f"{PARSER_VERSION}.{CLAIMS_VERSION}@{hashlib.sha256(' '.join(sorted(own)).encode()).hexdigest()[:8]}"

    def __call__(self, plain: bytes, context: dict[str, str]) -> tuple[tuple[Claim, ...], dict[str, str]]:
        lines = split(plain, first_n=_first_n(plain), known_before_ns=0)
        after = dict(context)
        claims: dict[tuple[str, str, str], Claim] = {}
        try:
            found = decode(TABLES["trades"], self.source, lines, "", after, self.mappings)
            claims = _trade_claims(self.source, found.rows, after)
        except (TidelakeError, MemoryError):  # of the lake or of the machine, not of a payload
            raise
        except Exception:
            log.exception("a segment of %s cannot be read: it claims no trades", self.source)
            after = dict(context)
        return _with_notes(claims, lines, numbered=find_venue(self.source).numbered), after


def describe_for(source: str, mappings: Sequence[Mapping] | None = None) -> TradeClaims:
    """What finds the claims of a source's segments, by the mappings that ship or by these."""
    return TradeClaims(source, mappings)


def describe_again(mappings: Sequence[Mapping] | None = None) -> Callable[[str], TradeClaims | None]:
    """For `raw.verify`: what finds the claims of a source; None of one that is not known here."""
    return lambda source: describe_for(source, mappings) if source in venues() else None


def _first_n(plain: bytes) -> int:
    end = plain.find(b"\n")
    return decode_line(plain[:end]).n if end > 0 else 0


def _trade_claims(source: str, rows: pa.Table, context: dict[str, str]) -> dict[tuple[str, str, str], Claim]:
    frame = pl.DataFrame(
        pl.from_arrow(rows.select(["symbol", "grain", "transport", "trade_seq", "event_time", "line"]))
    )
    claims = {}
    for (symbol, grain, transport), part in frame.group_by(["symbol", "grain", "transport"], maintain_order=True):
        feed = FEEDS[str(grain)]
        numbered = find_venue(source).numbered and part["trade_seq"].null_count() == 0
        if numbered:
            spans = _runs(part)
        elif transport == "ws":
            spans = _heard(part, context, f"last:{feed}:{symbol}")
        else:
            spans = _pages(part)
        axis: Axis = "trade_seq" if numbered else "event_time"
        key = (feed, str(symbol), str(transport))
        claims[key] = Claim(feed, str(symbol), axis, str(transport), part.height, tuple(spans))
    return claims


def _event_ns(part: pl.DataFrame) -> pl.Series:
    return part["event_time"].dt.timestamp("us") * 1_000


def _runs(part: pl.DataFrame) -> list[Span]:
    """Runs of consecutive numbers."""
    ordered = part.select("trade_seq", ns=_event_ns(part)).unique("trade_seq").sort("trade_seq")
    seq, ns = ordered["trade_seq"].to_numpy(), ordered["ns"].to_numpy()
    starts = np.concatenate(([0], np.flatnonzero(np.diff(seq) != 1) + 1))
    ends = np.concatenate((starts[1:], [len(seq)])) - 1
    return [Span(int(seq[a]), int(seq[b]), int(ns[a]), int(ns[b])) for a, b in zip(starts, ends, strict=True)]


def _heard(part: pl.DataFrame, context: dict[str, str], memory: str) -> list[Span]:
    """Frames of a connection that numbers nothing: the time heard, going on from the lane's last segment."""
    ns = _event_ns(part)
    first = min(int(context.get(memory, ns.min())), int(ns.min()))  # type: ignore[arg-type]
    last = max(int(context.get(memory, 0)), int(ns.max()))  # type: ignore[arg-type]
    context[memory] = str(last)
    return [Span(first, last, first, last)]


def _pages(part: pl.DataFrame) -> list[Span]:
    """Pages that number nothing: the time between the oldest and the newest trade, both exclusive."""
    spans: list[Span] = []
    pages = (
        part.select("line", ns=_event_ns(part))
        .group_by("line")
        .agg(first=pl.col("ns").min() + 1, last=pl.col("ns").max() - 1)
    )
    for first, last in pages.select("first", "last").sort("first").rows():
        if last < first:
            continue
        if spans and first <= spans[-1].last:
            top = max(last, spans[-1].last)
            spans[-1] = Span(spans[-1].first, top, spans[-1].first_ns, top)
        else:
            spans.append(Span(first, last, first, last))
    return spans


def _with_notes(claims: dict[tuple[str, str, str], Claim], lines: SegmentLines, *, numbered: bool) -> tuple[Claim, ...]:
    axis: Axis = "trade_seq" if numbered else "event_time"
    for index in lines.holding((b'"kind":"note"',)).tolist():
        frame = decode_line(lines.lines[index].as_py())
        if frame.kind != "note" or not frame.feed or not frame.symbol:
            continue
        key = (frame.feed, frame.symbol, "rest")
        claim = claims.get(key) or Claim(frame.feed, frame.symbol, axis, "rest")
        note = msgspec.json.decode(frame.payload, type=Note)
        claims[key] = msgspec.structs.replace(claim, notes=(*claim.notes, note))
    return tuple(claims[key] for key in sorted(claims))
