"""The charts of a coin's page: price with its confidence, windows changing state, alerts, changes of supply."""

import datetime as dt
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, Final

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from tidelake.pages.look import INK, LEGEND, LINES, MUTED, RULE, dress, marker
from tidelake.stablecoins.explaining import TOLD
from tidelake.stablecoins.page.story import Story

# How sure a window is as it stands, from the surest.
SURE: Final = ((0.8, "#0072b2", "0.8 or more"), (0.6, "#56b4e9", "0.6 to 0.8"), (0.0, "#e69f00", "below 0.6"))
STATES: Final = {  # each colour has a pattern of its own besides
    "OPEN": ("#e3e7ec", ""),
    "tier1": ("#e69f00", "/"),
    "tier2": ("#56b4e9", "."),
    "FINAL": ("#0072b2", ""),
}
NAMES: Final = {
    "OPEN": "open",
    "tier1": "PROVISIONAL, new blocks",
    "tier2": "PROVISIONAL, settled blocks",
    "FINAL": "FINAL",
}
STEPS: Final = {
    "PROVISIONAL": ("circle-open", "#8a6d00", 17),
    "PROBABLE": ("diamond", "#56b4e9", 11),
    "CONFIRMED": ("circle", "#0072b2", 11),
    "WITHDRAWN": ("x", "#b3261e", 11),
}
MOST_ALERTS: Final = 24
LONGEST_MINUTES: Final = 60
MOST_BARS: Final = 160
BREAK: Final = None
NOTHING: Final[list[Any]] = [None]  # so that the legend explains what does not occur too


def price_figure(story: Story) -> go.Figure:
    """Lowest to highest price as a band, coloured by how sure it is as it stands; below it the score, then and now."""
    rows = story.prices
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.64, 0.36], vertical_spacing=0.07)
    seen = rows.filter(pl.col("low").is_not_null())
    step = _step(rows)
    above = 2.0
    for least, colour, name in SURE:
        of_class = seen.filter(pl.col("last") >= least, pl.col("last") < above)
        above = least
        times, prices = _band(of_class, step)
        figure.add_trace(
            go.Scatter(
                x=times, y=prices, fill="toself", fillcolor=colour, line={"color": colour, "width": 1.6}, mode="lines",
                name=f"confidence {name}", hoverinfo="skip",
            ),
            row=1, col=1,
        )  # fmt: skip
    told = [
        f"{low:.5g} to {high:.5g}" if low is not None else "a fill" for low, high in rows.select("low", "high").rows()
    ]
    figure.add_trace(
        go.Scatter(
            x=rows["at"].to_list(), y=rows["price"].to_list(), mode="lines", name="price", customdata=told,
            line={"color": INK, "width": 1}, hovertemplate="%{y:.5g} (%{customdata})<extra>price</extra>",
        ),
        row=1, col=1,
    )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=story.restated["at"].to_list() or NOTHING, y=story.restated["price"].to_list() or NOTHING, mode="markers",
            name="said at first, restated later",
            marker={"symbol": "x-thin", "size": 9, "line": {"width": 2, "color": "#b3261e"}},
            hovertemplate="%{y:.5g}, no longer said<extra></extra>",
        ),
        row=1, col=1,
    )  # fmt: skip
    shades = (("first", "first word", "#e69f00", None), ("last", "as it stands", "#0072b2", "tonexty"))
    for column, name, colour, fill in shades:
        figure.add_trace(
            go.Scatter(
                x=rows["at"].to_list(), y=rows[column].to_list(), mode="lines", name=f"below: {name}", fill=fill,
                line={"color": colour, "width": 1.2}, fillcolor="rgba(0, 114, 178, 0.13)",
                hovertemplate="%{y:.2f}<extra>confidence, " + name + "</extra>",
            ),
            row=2, col=1,
        )  # fmt: skip
    for level, word in ((0.6, "probable"), (0.8, "confirmed")):
        figure.add_hline(y=level, line={"color": MUTED, "dash": "dot", "width": 1}, row=2, col=1)
        figure.add_annotation(x=1, xref="x2 domain", y=level, yref="y2", text=word, showarrow=False, xanchor="left",
                              xshift=4, font={"size": 11, "color": MUTED})  # fmt: skip
    dress(figure)
    figure.update_yaxes(title_text="price", tickformat=".3~f", row=1, col=1)
    figure.update_yaxes(title_text="confidence", range=[0, 1.04], row=2, col=1)
    figure.update_xaxes(type="date")  # a first trace without a point would make it linear
    figure.update_xaxes(title_text="event time, UTC", row=2, col=1)
    figure.update_layout(
        height=600, hovermode="x unified", legend={**LEGEND, "traceorder": "normal"}, margin={"t": 84, "r": 72}
    )
    return figure


def _step(rows: pl.DataFrame) -> dt.timedelta:
    found = rows["at"].diff().drop_nulls().min()
    return found if isinstance(found, dt.timedelta) else dt.timedelta(minutes=1)


def _band(rows: pl.DataFrame, step: dt.timedelta) -> tuple[list[Any], list[Any]]:
    """One closed outline for each unbroken run of windows."""
    times: list[Any] = []
    prices: list[Any] = []
    run: list[tuple[dt.datetime, float, float]] = []
    for at, low, high in [*rows.select("at", "low", "high").rows(), (None, None, None)]:
        if run and (at is None or at - run[-1][0] > step):
            edges = [(t, high) for start, _, high in run for t in (start, start + step)]
            edges += [(t, low) for start, low, _ in reversed(run) for t in (start + step, start)]
            edges.append(edges[0])
            times += [t for t, _ in edges] + [BREAK]
            prices += [p for _, p in edges] + [BREAK]
            run = []
        run.append((at, low, high))
    return times or NOTHING, prices or NOTHING


def states_figure(story: Story) -> go.Figure:
    """A line for each window of the stretch, over our clock: when it was open, provisional, final, and what changed."""
    rows = list(story.stretch.iter_rows(named=True))
    parts = list(_parts(rows))
    figure = go.Figure()
    for state, (colour, pattern) in STATES.items():
        mine = [part for part in parts if part[1] == state]
        figure.add_trace(
            go.Bar(
                orientation="h", name=NAMES[state], y=[part[0] for part in mine] or NOTHING,
                base=[part[2] for part in mine] or NOTHING,
                x=[(part[3] - part[2]).total_seconds() * 1000 for part in mine] or NOTHING,
                customdata=[part[4] for part in mine], marker=marker(colour, pattern),
                hovertemplate="%{y}<br><b>" + NAMES[state] + "</b> %{customdata}<extra></extra>",
            )
        )  # fmt: skip
    changed = list(_changed(rows))
    figure.add_trace(
        go.Scatter(
            x=[at for at, _, _ in changed] or NOTHING, y=[name for _, name, _ in changed] or NOTHING, mode="markers",
            name="what it says changed", customdata=[why for _, _, why in changed],
            marker={"symbol": "diamond", "size": 10, "color": "#b3261e", "line": {"width": 1, "color": "#ffffff"}},
            hovertemplate="%{y}<br>%{customdata}<extra></extra>",
        )
    )  # fmt: skip
    if story.seen_at is not None:
        figure.add_vline(x=story.seen_at, line={"color": "#b3261e", "width": 1.2, "dash": "dot"})
    labels = list(dict.fromkeys(_label(row) for row in rows))
    figure.update_yaxes(categoryorder="array", categoryarray=labels[::-1], title_text="window")
    figure.update_xaxes(title_text="when it was known, UTC", type="date")
    dress(figure)
    figure.update_layout(height=130 + 26 * len(labels), barmode="overlay", bargap=0.25, legend=LEGEND, margin={"t": 70})
    return figure


def _label(row: dict[str, Any]) -> str:
    return f"{row['event_time']:%H:%M} to {row['window_end']:%H:%M}"


Part = tuple[str, str, dt.datetime, dt.datetime, str]


def _parts(rows: list[dict[str, Any]]) -> Iterator[Part]:
    """Stretches of one state of one window: label, state, from, to, words."""
    end = max(row["known_at"] for row in rows) + dt.timedelta(minutes=2)
    for place, row in enumerate(rows):
        label = _label(row)
        if row["event_version"] == 1:
            yield label, "OPEN", row["event_time"], row["known_at"], "facts still come"
        follows = place + 1 < len(rows) and rows[place + 1]["window_id"] == row["window_id"]
        until = rows[place + 1]["known_at"] if follows else end
        state = "FINAL" if row["window_state"] == "FINAL" else "tier2" if row["finality_tier"] != "tier1" else "tier1"
        words = f"version {row['event_version']}, confidence {row['temporal_confidence']:.2f}"
        yield label, state, row["known_at"], until, words


def _changed(rows: list[dict[str, Any]]) -> Iterator[tuple[dt.datetime, str, str]]:
    """Versions that say another supply or price than the one before did."""
    for before, row in pairwise(rows):
        if before["window_id"] != row["window_id"] or before["net_supply_change"] is None:
            continue
        told = [name for name in TOLD if before[name] != row[name] and before[name] is not None]
        if told:
            yield row["known_at"], _label(row), ", ".join(f"{n}: {before[n]:,.6g} to {_text(row[n])}" for n in told)


def _text(value: Any) -> str:
    return "none" if value is None else f"{value:,.6g}"


def shown_alerts(story: Story) -> pl.DataFrame:
    """The alerts of the chart, in the order in which they fired.

    Those that stood come before those that were withdrawn, of these the gravest, and of the same gravity the first.
    """
    graveness = pl.col("severity").replace_strict({"notice": 0, "warning": 1, "severe": 2}, return_dtype=pl.Int32)
    last = story.last_steps.with_columns(grave=graveness, stood=pl.col("state") != "WITHDRAWN")
    return (
        last.sort("stood", "grave", descending=True, maintain_order=True).head(MOST_ALERTS).sort("fired_at", "alert_id")
    )


def alerts_figure(story: Story) -> go.Figure:
    """A line for each alert while what it says lasted, with a mark for each state that it came to."""
    shown = shown_alerts(story)
    labels = {row["alert_id"]: _alert_label(row) for row in shown.iter_rows(named=True)}
    figure = go.Figure()
    for row in shown.iter_rows(named=True):
        until = max(filter(None, (row["ended_at"], row["known_at"])))
        figure.add_trace(
            go.Scatter(
                x=[0, _minutes(row, row["ended_at"] or until)], y=[labels[row["alert_id"]]] * 2,
                mode="lines", showlegend=False, hoverinfo="skip", line={"color": RULE, "width": 9},
            )
        )  # fmt: skip
    steps = [row for row in story.alerts.iter_rows(named=True) if row["alert_id"] in labels]
    for state, (symbol, colour, size) in STEPS.items():
        mine = [row for row in _first_of_state(steps) if row["state"] == state]
        figure.add_trace(
            go.Scatter(
                x=[_minutes(row, row["known_at"]) for row in mine] or NOTHING,
                y=[labels[row["alert_id"]] for row in mine] or NOTHING,
                mode="markers", name=state,
                marker={"symbol": symbol, "size": size, "color": colour, "line": {"width": 2, "color": colour}},
                customdata=[
                    f"{row['known_at']:%H:%M:%S}, confidence {row['confidence']:.2f}: {row['reason']}" for row in mine
                ],
                hovertemplate="%{y}<br><b>" + state + "</b> %{customdata}<extra></extra>",
            )
        )  # fmt: skip
    figure.update_yaxes(categoryorder="array", categoryarray=list(labels.values())[::-1])
    longest = max([10.0, *(_minutes(row, row["known_at"]) for row in steps)])
    until = min(1.05 * longest, LONGEST_MINUTES)
    figure.update_xaxes(title_text="minutes since it fired", range=[-until / 40, until], zeroline=False)
    dress(figure)
    figure.update_layout(height=150 + 26 * max(len(labels), 1), legend=LEGEND, margin={"t": 70})
    return figure


def _minutes(row: dict[str, Any], at: dt.datetime) -> float:
    """Since the alert fired, by our clock."""
    return float((at - row["fired_at"]).total_seconds() / 60)


def _first_of_state(steps: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    known: set[tuple[str, str]] = set()
    for row in steps:
        if (row["alert_id"], row["state"]) not in known:
            known.add((row["alert_id"], row["state"]))
            yield row


def _alert_label(row: dict[str, Any]) -> str:
    where = f" {row['chain']}" if row["chain"] else ""
    return f"{row['fired_at']:%b %d %H:%M:%S}  {row['kind'].replace('_', ' ')}{where}, {row['severity']}"


def supply_figure(story: Story) -> go.Figure:
    """Minted and burned over all chains where they count, and what was taken back or given back."""
    rows = story.prices
    together = max(1, -(-rows.height // MOST_BARS))
    found = (
        rows.with_columns(group=pl.int_range(pl.len()) // together)
        .group_by("group", maintain_order=True)
        .agg(pl.col("at").first(), pl.col("minted", "burned").sum())
    )
    figure = go.Figure()
    for name, sign, colour in (("minted", 1, LINES[2]), ("burned", -1, LINES[1])):
        figure.add_trace(
            go.Bar(
                x=found["at"].to_list(), y=[sign * value for value in found[name]], name=name,
                marker={"color": colour}, hovertemplate="%{y:+,.4~s}<extra>" + name + "</extra>",
            )
        )  # fmt: skip
    for status, symbol, name in (("invalidated", "x", "taken back"), ("restored", "circle-open", "given back")):
        mine = story.corrections.filter(pl.col("correction") == status)
        figure.add_trace(
            go.Scatter(
                x=mine["event_time"].to_list() or NOTHING,
                y=mine["net_supply_change"].cast(pl.Float64).to_list() or NOTHING,
                mode="markers", name=f"{name} by a reorganisation", customdata=mine["chain"].to_list(),
                marker={"symbol": symbol, "size": 10, "color": "#b3261e", "line": {"width": 1.5, "color": "#b3261e"}},
                hovertemplate="%{y:+,.4~s} on %{customdata}, " + name + "<extra></extra>",
            )
        )  # fmt: skip
    dress(figure)
    figure.update_yaxes(title_text="tokens", tickformat=".3~s", zeroline=True, zerolinecolor=MUTED)
    figure.update_xaxes(title_text="event time, UTC")
    figure.update_layout(height=380, barmode="relative", bargap=0.1, legend=LEGEND, margin={"t": 70})
    return figure
