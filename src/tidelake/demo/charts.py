"""The charts of the page: prices of several streams, and coverage as one strip for each stream."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from tidelake.books.report import BookReport
from tidelake.demo.prices import Prices
from tidelake.pages.look import BOOK_STATES, INK, LEGEND, LINES, MUTED, STATES, dress, marker
from tidelake.raw.coverage import Interval, StreamCoverage

DASHES = ("solid", "solid", "solid", "dash", "dot", "dash")
MOST_STRIPS = 26
THINNEST = 0.004  # of the width; a single trade would not be seen
FAR_APART = 20  # times the extent of the middle stream: then each strip is drawn over its own extent


@dataclass(frozen=True)
class Strip:
    """One row of the coverage chart."""

    label: str
    stream: StreamCoverage


def price_figure(prices: Prices) -> go.Figure:
    """Prices over time; below them the distance from the median where venues share an asset, or one panel each."""
    figure = _together(prices) if prices.asset else _side_by_side(prices)
    dress(figure)
    return figure


def _line(prices: Prices, place: int, column: str, **more: Any) -> go.Scatter:
    source, symbol = prices.streams[place]
    rows = prices.points.filter(pl.col("source") == source, pl.col("symbol") == symbol)
    dash = DASHES[place % len(DASHES)] if prices.asset else "solid"
    width, mode = (1.9 if column == "price" else 1.5), ("lines" if prices.asset else "lines+markers")
    style = {"color": LINES[place % len(LINES)], "dash": dash, "width": width}
    unit = "%{y:,.6~f}" if column == "price" else "%{y:+.2f} bp"
    return go.Scatter(
        x=rows["at"].to_list(), y=rows[column].to_list(), name=f"{source} {symbol}", mode=mode,
        marker={"size": 4}, line=style, legendgroup=f"{place}", hovertemplate=f"{unit}<extra>{source} {symbol}</extra>",
        **more,
    )  # fmt: skip


def _together(prices: Prices) -> go.Figure:
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.62, 0.38], vertical_spacing=0.06)
    for place in range(len(prices.streams)):
        figure.add_trace(_line(prices, place, "price"), row=1, col=1)
        figure.add_trace(_line(prices, place, "apart_bp", showlegend=False), row=2, col=1)
    figure.update_yaxes(title_text="price in quote currency", tickformat=",.6~f", row=1, col=1)
    figure.update_yaxes(title_text="from median, bp", zeroline=True, zerolinecolor=MUTED, row=2, col=1)
    figure.update_xaxes(title_text="event time, UTC", row=2, col=1)
    figure.update_layout(height=560, hovermode="x unified", legend=LEGEND)
    return figure


def _side_by_side(prices: Prices) -> go.Figure:
    streams = prices.streams
    rows = -(-len(streams) // 2)
    days = {
        (source, symbol): at.date()
        for source, symbol, at in prices.points.group_by("source", "symbol").agg(pl.col("at").min()).iter_rows()
    }
    titles = [f"{source} {symbol}, {days[source, symbol]}" for source, symbol in streams]
    figure = make_subplots(rows=rows, cols=2, subplot_titles=titles, vertical_spacing=0.3 / rows)
    for place in range(len(streams)):
        figure.add_trace(_line(prices, place, "price", showlegend=False), row=place // 2 + 1, col=place % 2 + 1)
    figure.update_yaxes(tickformat=",.6~f", nticks=5)
    figure.update_xaxes(nticks=6, tickformat="%H:%M:%S")
    figure.update_annotations(font={"size": 13, "color": INK})
    figure.update_layout(height=80 + 200 * rows)
    return figure


def strips(before: Sequence[StreamCoverage], after: Sequence[StreamCoverage]) -> list[Strip]:
    """One strip for each stream; two, before and after the repair, where that changed something."""
    older = {_name(stream): stream for stream in before}
    found: list[Strip] = []
    shown = [stream for stream in after if stream.feed.endswith("trades") and stream.intervals]
    busiest = sorted(shown, key=lambda stream: -stream.messages)[:MOST_STRIPS]
    for stream in sorted(busiest, key=_name):
        label = f"{stream.source}  {stream.symbol}"
        earlier = older.get(_name(stream))
        if earlier and any(each.state in ("GAP", "SUSPECT") for each in earlier.intervals):
            found.append(Strip(f"{label}, before repair", earlier))
            label += ", after repair"
        found.append(Strip(label, stream))
    return found


def _name(stream: StreamCoverage) -> tuple[str, str, str, str]:
    return stream.source, stream.symbol, stream.feed, stream.axis


def coverage_figure(found: Sequence[Strip]) -> go.Figure:
    """Coverage over event time, or each strip over its own extent where streams lie far apart."""
    spans = [_span(strip.stream) for strip in found]
    lengths = sorted(last - first for first, last in spans)
    whole = max(last for _, last in spans) - min(first for first, _ in spans)
    alone = whole > FAR_APART * lengths[len(lengths) // 2]
    if alone:
        found = [Strip(f"{s.label} ({_length(b - a)})", s.stream) for s, (a, b) in zip(found, spans, strict=True)]
    figure = go.Figure()
    for state, (colour, pattern) in STATES.items():
        bars = [
            (strip.label, interval, _place(interval, strip.stream, whole, alone))
            for strip in found
            for interval in strip.stream.intervals
            if interval.state == state
        ]
        figure.add_trace(_bars(state, bars, colour, pattern))
    title = "from the first to the last trade of each stream, per cent (its extent in brackets)"
    figure.update_xaxes(title_text=title if alone else "event time, UTC", type="linear" if alone else "date")
    figure.update_yaxes(categoryorder="array", categoryarray=[s.label for s in reversed(found)], tickfont={"size": 12})
    dress(figure)
    figure.update_layout(
        height=110 + 25 * len(found), barmode="overlay", bargap=0.3, hovermode="closest",
        legend=LEGEND,
    )  # fmt: skip
    return figure


def _bars(state: str, bars: list[tuple[str, Interval, tuple[Any, float]]], colour: str, pattern: str) -> go.Bar:
    told = [f"{interval.first} to {interval.last}<br>{interval.rule}" for _, interval, _ in bars]
    nothing: list[Any] = [None]  # so that the legend explains states that do not occur too
    return go.Bar(
        orientation="h", name=state, y=[label for label, _, _ in bars] or nothing,
        base=[place[0] for _, _, place in bars] or nothing, x=[place[1] for _, _, place in bars] or nothing,
        showlegend=True, customdata=told,
        marker=marker(colour, pattern),
        hovertemplate=f"%{{y}}<br><b>{state}</b> %{{customdata}}<extra></extra>",
    )  # fmt: skip


def books_figure(books: Sequence[BookReport]) -> go.Figure:
    """One strip for each book over the receiver's clock: when it was proven, and when it was not."""
    figure = go.Figure()
    for state, (colour, pattern) in BOOK_STATES.items():
        bars = [
            (f"{book.source}  {book.symbol}", each, _until(book, place))
            for book in books
            for place, each in enumerate(book.intervals)
            if each.state == state
        ]
        nothing: list[Any] = [None]
        figure.add_trace(go.Bar(
            orientation="h", name=state, showlegend=True, y=[label for label, _, _ in bars] or nothing,
            base=[dt.datetime.fromtimestamp(each.first_ns / 1e9, dt.UTC) for _, each, _ in bars] or nothing,
            x=[(until - each.first_ns) / 1e6 for _, each, until in bars] or nothing,
            customdata=[f"{each.reason or each.rules}<br>{each.messages} messages" for _, each, _ in bars],
            marker=marker(colour, pattern),
            hovertemplate=f"%{{y}}<br><b>{state}</b> %{{customdata}}<extra></extra>",
        ))  # fmt: skip
    figure.update_xaxes(title_text="time of receipt, UTC", type="date")
    dress(figure)
    figure.update_layout(
        height=130 + 40 * len(books), barmode="overlay", bargap=0.3, hovermode="closest", legend=LEGEND
    )
    return figure


def _until(book: BookReport, place: int) -> int:
    """A state lasts until the message that ends it."""
    later = book.intervals[place + 1 : place + 2]
    return later[0].first_ns if later else book.intervals[place].last_ns


def _span(stream: StreamCoverage) -> tuple[int, int]:
    times = list(_times(stream))
    return min(times), max(times)


def _times(stream: StreamCoverage) -> Iterator[int]:
    for interval in stream.intervals:
        yield interval.first_ns
        yield interval.last_ns or interval.first_ns


def _place(interval: Interval, stream: StreamCoverage, whole: int, alone: bool) -> tuple[Any, float]:
    """Where a bar starts and how long it is: per cent of the stream's extent, or a date and milliseconds."""
    start, end = _span(stream)
    extent = max(end - start, 1)
    least = THINNEST * (extent if alone else whole)
    length = max((interval.last_ns or interval.first_ns) - interval.first_ns, least)
    if not alone:
        return dt.datetime.fromtimestamp(interval.first_ns / 1e9, dt.UTC), length / 1e6
    if end == start:
        return 0.0, 100.0
    return 100 * (interval.first_ns - start) / extent, 100 * length / extent


def _length(ns: int) -> str:
    """A length of time in one word: "31 s", "12 min", "14 h"."""
    seconds = ns / 1e9
    for unit, size, most in (("s", 1, 180), ("min", 60, 180), ("h", 3600, 72)):
        if seconds / size < most:
            return f"{seconds / size:.0f} {unit}" if seconds else "one moment"
    return f"{seconds / 86400:.0f} d"
