"""A page about reconstructed books, for who reads of them the first time: what to trust, what not, and why."""

import datetime as dt
import html
from pathlib import Path

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from tidelake.books.reconstruction.partitions import Partition, partitions, windows
from tidelake.jobs.reconstruct_report import ReconstructedDay, ReconstructReport
from tidelake.pages.look import BOOK_STATES, LEGEND, LINES, MUTED, dress, marker
from tidelake.pages.parts import cards_html, figure_html, swatch_html, table_html, write_framed
from tidelake.raw.store import Store

MEANINGS = {
    "VALID": "The snapshot before and the snapshot after agree with the book, level by level: trust it.",
    "SUSPECT": "The next snapshot differs from the book, or best bid and ask cross: something was lost before it.",
    "INVALID": "There is no book: no snapshot yet, messages proven to be missing, or prices beyond what is known.",
    "UNPROVABLE": "Nothing later speaks of it: after the last snapshot, or between snapshots without any messages.",
}
MOST_DAYS = 8
POINTS = 1500  # of a line; a day of tenths of a second has 864,000
COLUMNS = ("day", "strategy", "rows", "events", "levels", "snapshots", "agreed", "drifted", "breaks", "repeats")


def write_reconstruction_page(path: Path, store: Store, report: ReconstructReport) -> int:
    """Write a page of the days that the report tells, `MOST_DAYS` of them with charts; gives its size in bytes."""
    done = [row for row in report.rows if row.state in ("done", "nothing new")]
    kept = {(p.vendor, p.source, p.symbol, p.day, p.strategy): p for p in partitions(store)}
    charts = []
    for number, row in enumerate(done[:MOST_DAYS]):
        partition = kept[row.vendor, row.source, row.symbol, row.day, row.strategy]  # type: ignore[index]
        charts.append(_section(store, row, partition, number))
    more = f"<p>{len(done) - MOST_DAYS} more days have no chart here.</p>" if len(done) > MOST_DAYS else ""
    body = f"{_header(report)}{_cards(done)}{_words(report)}{''.join(charts)}{more}{_table(report)}"
    return write_framed(path, "reconstructed books", body)


def _header(report: ReconstructReport) -> str:
    names = sorted({f"{row.source} {row.symbol}, {row.vendor}" for row in report.rows})
    return (
        "<header><h1>Reconstructed order books</h1><p>Files of a vendor tell how a book changed. Replayed they "
        "give the book at any moment, unless something is missing. So the vendor's own snapshots are laid beside the "
        f"book wherever there is one. {html.escape('; '.join(names))}.</p></header>"
    )


def _cards(done: list[ReconstructedDay]) -> str:
    snapshots, drifted = sum(row.snapshots for row in done), sum(row.drifted for row in done)
    events = sum(row.events for row in done)
    proven = sum((row.valid_events or 0) * row.events for row in done)
    return cards_html(
        [
            (f"{sum(row.rows for row in done):,}", "rows in market_events"),
            (f"{events:,}", "events: messages, snapshots, trades"),
            (f"{100 * proven / events:.2f} %" if events else "none", "of the events with a proven book"),
            (f"{snapshots:,}", "snapshots compared"),
            (f"{drifted:,}", "of them differ from the book"),
        ]
    )


def _words(report: ReconstructReport) -> str:
    rows = "".join(
        f"<tr><td>{swatch_html(*BOOK_STATES[state])}</td><th>{state}</th><td>{html.escape(text)}</td></tr>"
        for state, text in MEANINGS.items()
    )
    advice = "".join(f"<li>{html.escape(_advice(row))}</li>" for row in report.rows)
    return (
        "<section><h2>What to trust, and why</h2><p>Each row of the table says what is known of the book then. A state "
        "is decided by the snapshot that follows, so it may be known only later: the row's known_at says when.</p>"
        f"<table class='meanings'><tbody>{rows}</tbody></table><ul>{advice}</ul></section>"
    )


def _advice(row: ReconstructedDay) -> str:
    name = f"{row.source} {row.symbol} {row.day} ({row.vendor})"
    if row.state in ("failed", "not ready"):
        return f"{name}: there is nothing to trust, {row.reason}."
    if row.strategy == "snapshot_anchored":
        return (
            f"{name}: only snapshots were there. Each is the vendor's word; what happened between two of them is not "
            "known, so do not measure queues or fills on it."
        )
    if row.is_whole:
        return f"{name}: every snapshot agrees with the book; it is VALID for {_percent(row.valid)} of the time."
    lost = f"{row.breaks} times messages are proven to be missing" if row.breaks else "no number proves a loss"
    return (
        f"{name}: {row.drifted} of {row.snapshots} snapshots differ from the book, {lost}. Use the rows that "
        f"are VALID, {_percent(row.valid)} of the time, and leave the others out."
    )


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{100 * share:.2f} %"


def _section(store: Store, row: ReconstructedDay, partition: Partition, number: int) -> str:
    frame = _thinned(store, partition)
    if frame.is_empty():
        return ""
    figure = _figure(frame, row)
    title = f"{row.source} {row.symbol}, {row.day}: {row.strategy.replace('_', ' ')}"
    note = (
        "From above: what is known of the book; best bid and ask; the distance between them; and how many levels of "
        "each snapshot that differs were not those of the book."
    )
    return f"<section><h2>{html.escape(title)}</h2><p>{note}</p>{figure_html(figure, f'day-{number}')}</section>"


def _thinned(store: Store, partition: Partition) -> pl.DataFrame:
    """Rows at about `POINTS` moments, and all at which the state changes or a snapshot differs."""
    columns = (partition.clock, "event_type", "validity", "rule", "best_bid_price", "best_ask_price", "price_exponent",
               "drift_prices", "drift_sizes")  # fmt: skip
    parts = []
    for rows in windows(store, partition, columns):
        changed = pl.struct("validity", "rule").ne_missing(pl.struct("validity", "rule").shift(1))
        differs = (pl.col("drift_prices") + pl.col("drift_sizes")).fill_null(0) > 0
        step = max(1, rows.height // POINTS)
        kept = changed | (differs & (partition.strategy != "snapshot_anchored")) | (pl.int_range(pl.len()) % step == 0)
        parts.append(rows.filter(kept | (pl.int_range(pl.len()) == pl.len() - 1)))
    return _priced(pl.concat(parts), partition) if parts else pl.DataFrame()


def _priced(rows: pl.DataFrame, partition: Partition) -> pl.DataFrame:
    scale = 10.0 ** float(rows["price_exponent"][0]) if rows.height else 1.0
    at = pl.col("recv_ns") // 1_000 if partition.clock == "recv_ns" else pl.col("event_time").dt.timestamp("us")
    differs = (pl.col("drift_prices") + pl.col("drift_sizes")).fill_null(0)
    return rows.select(
        "validity",
        "rule",
        at=at.cast(pl.Datetime("us", "UTC")),
        bid=pl.col("best_bid_price") * scale,
        ask=pl.col("best_ask_price") * scale,
        spread=(pl.col("best_ask_price") - pl.col("best_bid_price")) * scale,
        drift=pl.when((pl.col("event_type") == "snapshot") & (differs > 0)).then(differs),
    )


def _figure(frame: pl.DataFrame, row: ReconstructedDay) -> go.Figure:
    figure = make_subplots(
        rows=4, cols=1, shared_xaxes=True, vertical_spacing=0.05, row_heights=[0.1, 0.44, 0.23, 0.23]
    )
    for state, (colour, pattern) in BOOK_STATES.items():
        figure.add_trace(_strip(frame, state, colour, pattern), row=1, col=1)
    at = frame["at"].to_list()
    for name, column, colour in (("best bid", "bid", LINES[0]), ("best ask", "ask", LINES[1])):
        line = {"color": colour, "width": 1.2, "shape": "hv"}
        figure.add_trace(go.Scatter(x=at, y=frame[column].to_list(), name=name, mode="lines", line=line), row=2, col=1)
    spread = {"color": LINES[2], "width": 1.2, "shape": "hv"}
    figure.add_trace(
        go.Scatter(x=at, y=frame["spread"].to_list(), name="spread", mode="lines", line=spread), row=3, col=1
    )
    differing = frame.filter(pl.col("drift").is_not_null())
    points = go.Scatter(
        x=differing["at"].to_list(), y=differing["drift"].to_list(), name="levels that differ", mode="markers",
        marker={"color": LINES[3], "size": 6, "symbol": "diamond"},
    )  # fmt: skip
    figure.add_trace(points, row=4, col=1)
    figure.update_yaxes(showticklabels=False, row=1, col=1)
    for place, title in ((2, "price"), (3, "spread"), (4, "levels that differ")):
        figure.update_yaxes(title_text=title, row=place, col=1)
    figure.update_yaxes(tickformat=",.8~f", row=2, col=1)
    figure.update_yaxes(rangemode="tozero", row=4, col=1)
    clock = "exchange's clock" if row.strategy == "origin_time_sort" else "clock of receipt"
    figure.update_xaxes(type="date")
    figure.update_xaxes(title_text=f"{clock}, UTC", row=4, col=1)
    if differing.is_empty() and row.strategy != "snapshot_anchored":
        figure.add_annotation(
            text="no snapshot differs", xref="x4 domain", yref="y4 domain", x=0.5, y=0.5, showarrow=False,
            font={"color": MUTED},
        )  # fmt: skip
    dress(figure)
    figure.update_layout(height=680, barmode="overlay", bargap=0.2, legend=LEGEND)
    return figure


def _strip(frame: pl.DataFrame, state: str, colour: str, pattern: str) -> go.Bar:
    """The runs of a state; each lasts until the next begins."""
    changed = frame.select("at", "validity", "rule").filter(
        pl.struct("validity", "rule").ne_missing(pl.struct("validity", "rule").shift(1))
    )
    runs = changed.with_columns(end=pl.col("at").shift(-1).fill_null(frame["at"][-1]))
    mine = runs.filter(pl.col("validity") == state)
    nothing: list[dt.datetime | None] = [None]  # so that the legend explains states that do not occur too
    return go.Bar(
        orientation="h", name=state, y=["state"] * max(mine.height, 1), base=mine["at"].to_list() or nothing,
        x=(mine["end"] - mine["at"]).dt.total_milliseconds(fractional=True).to_list() or nothing,
        customdata=mine["rule"].to_list(), marker=marker(colour, pattern),
        hovertemplate=f"<b>{state}</b> %{{customdata}}<extra></extra>",
    )  # fmt: skip


def _table(report: ReconstructReport) -> str:
    rows = [{"book": f"{r.source} {r.symbol}"} | {name: getattr(r, name) for name in COLUMNS} for r in report.rows]
    told = [{name: "" if value is None else value for name, value in row.items()} for row in rows]
    return f"<section><h2>All days</h2><div class='wide'>{table_html(told, ('book', *COLUMNS))}</div></section>"
