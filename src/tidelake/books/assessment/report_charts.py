"""The charts of a day's assessment: coverage, latency, spacing, agreement, steps of numbers."""

import datetime as dt
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tidelake.books.assessment.coverage import CoverageFigures
from tidelake.books.assessment.day_grid import MINUTE_NS, DayGrid, clock_text, length_text
from tidelake.books.assessment.figures import AgreementFigures, DayFigures, TableFigures
from tidelake.pages.look import LEGEND, LINES, STATES, dress, marker

KINDS = {
    "messages": STATES["VALID"],
    "snapshots agree": ("#009e73", ""),
    "snapshots differ": STATES["SUSPECT"],
    "silence": STATES["GAP"],
}
COLOURS = {"snapshots": LINES[0], "deltas": LINES[1], "trades": LINES[2]}
DASHES = {"snapshots": "solid", "deltas": "dot", "trades": "dash"}
THINNEST_MS = 120_000  # a day is a thousand points wide
STEPS_OF_A_DECADE = (1, 2, 5)  # spacings are counted from 1, 2, 5, 10, 20 .. on
RARE = 0.01  # per cent: classes beyond the last one with so many are not drawn
AGREEMENT_STEP_NS = 10 * MINUTE_NS

Bar = tuple[str, str, int, int]


def coverage_figure(day: DayFigures) -> go.Figure:
    """A strip for each table, its messages and silences; one for the agreement; below, messages a minute."""
    bars = [bar for table in day.tables.values() for bar in _strips(day, table)]
    if day.agreement:
        bars += _agreement_strips(day.agreement)
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.42, 0.58], vertical_spacing=0.07)
    for kind, (colour, pattern) in KINDS.items():
        figure.add_trace(_bars(kind, [bar for bar in bars if bar[1] == kind], colour, pattern), row=1, col=1)
    for table in day.tables.values():
        figure.add_trace(_rate(day, table), row=2, col=1)
    labels = list(dict.fromkeys(label for label, *_ in bars))
    figure.update_yaxes(categoryorder="array", categoryarray=labels[::-1], row=1, col=1)
    figure.update_yaxes(title_text="messages a minute", type="log", tickformat=",~r", dtick="D2", row=2, col=1)
    figure.update_xaxes(title_text="time of receipt, UTC", row=2, col=1)
    dress(figure)
    figure.update_xaxes(type="date", range=_day_range(day), tickformat="%H:%M")
    figure.update_layout(height=470, barmode="overlay", bargap=0.35, hovermode="closest", legend=LEGEND)
    return figure


def latency_figure(day: DayFigures) -> go.Figure:
    """Receive clock less event time of each minute: the middle, and what 99 of 100 messages keep."""
    figure = go.Figure()
    for table in day.tables.values():
        minutes = table.clocks.minutes
        for name, values, width in (
            ("middle", [each.p50_ms for each in minutes], 1.8),
            ("99 of 100", [each.p99_ms for each in minutes], 0.8),
        ):
            figure.add_trace(go.Scatter(
                x=_times(each.start_ns for each in minutes), y=values, mode="lines", name=f"{table.table}, {name}",
                line={"color": COLOURS[table.role], "width": width, "dash": DASHES[table.role]},
                hovertemplate="%{y:,.4~g} ms<extra>%{fullData.name}</extra>",
            ))  # fmt: skip
    figure.update_xaxes(title_text="time of receipt, UTC")
    figure.update_yaxes(title_text="receive clock less event time, ms", tickformat=",~g")
    dress(figure)
    figure.update_xaxes(type="date", range=_day_range(day), tickformat="%H:%M")
    figure.update_yaxes(zeroline=True, zerolinecolor="#5b6675")
    figure.update_layout(height=340, hovermode="x unified", legend=LEGEND)
    return figure


def spacing_and_steps_figure(day: DayFigures) -> go.Figure:
    """How far apart messages come, and by how much their numbers grow."""
    titles = ["Time between messages", "Steps of the messages' numbers"]
    figure = make_subplots(rows=1, cols=2, subplot_titles=titles, horizontal_spacing=0.1)
    for table in day.tables.values():
        look = {"marker_color": COLOURS[table.role], "name": table.table, "legendgroup": table.table}
        spacing = _spacing_classes(table.coverage)
        figure.add_trace(go.Bar(
            x=[_spacing_text(place) for place in spacing], y=list(spacing.values()), **look,
            hovertemplate="%{x}: %{y:.2f} %<extra>%{fullData.name}</extra>",
        ), row=1, col=1)  # fmt: skip
        steps = table.sequences
        if steps.up:
            figure.add_trace(go.Bar(
                x=[_step_text(end) for end, _ in steps.distribution],
                y=[100 * count / steps.up for _, count in steps.distribution], showlegend=False, **look,
                hovertemplate="%{x}: %{y:.3f} %<extra>%{fullData.name}</extra>",
            ), row=1, col=2)  # fmt: skip
    places = {place for table in day.tables.values() for place in _spacing_classes(table.coverage)}
    texts = [_spacing_text(place) for place in range(min(places), max(places) + 1)] if places else []
    figure.update_xaxes(categoryorder="array", categoryarray=texts, range=[-0.5, len(texts) - 0.5], row=1, col=1)
    figure.update_xaxes(title_text="from so long on", row=1, col=1)
    figure.update_xaxes(title_text="up to so much more than the number before", row=1, col=2)
    figure.update_yaxes(title_text="of all, per cent", rangemode="tozero")
    dress(figure)
    figure.update_annotations(font={"size": 13})
    figure.update_xaxes(type="category")
    figure.update_layout(height=340, barmode="group", bargap=0.15, legend={**LEGEND, "y": 1.1})
    return figure


def agreement_figure(day: DayFigures, found: AgreementFigures) -> go.Figure:
    """Share of the snapshots of each ten minutes that equal the replayed book."""
    sums: dict[int, list[int]] = {}
    for each in found.minutes:
        told = sums.setdefault(each.start_ns // AGREEMENT_STEP_NS * AGREEMENT_STEP_NS, [0, 0])
        told[0] += each.agreeing
        told[1] += each.agreeing + each.differing
    figure = go.Figure()
    for place, kind in enumerate(("snapshots agree", "snapshots differ")):
        counts = [told[0] if place == 0 else told[1] - told[0] for told in sums.values()]
        figure.add_trace(go.Bar(
            x=_times(sums), y=[100 * count / told[1] for count, told in zip(counts, sums.values(), strict=True)],
            width=AGREEMENT_STEP_NS / 1e6, offset=0, name=kind, marker=marker(*KINDS[kind]), customdata=counts,
            hovertemplate=f"%{{customdata}} {kind} (%{{y:.2f}} %)<extra></extra>",
        ))  # fmt: skip
    figure.update_xaxes(title_text="time of receipt, UTC")
    figure.update_yaxes(title_text="snapshots, per cent", range=[0, 101])
    dress(figure)
    figure.update_xaxes(type="date", range=_day_range(day), tickformat="%H:%M")
    figure.update_layout(height=280, barmode="stack", legend=LEGEND)
    return figure


def _strips(day: DayFigures, table: TableFigures) -> list[Bar]:
    """Messages from the first to the last; over it silences, and what lacks at the ends of the day."""
    coverage, grid = table.coverage, DayGrid.of(day.day)
    if coverage.first_ns is None or coverage.last_ns is None:
        return [(table.table, "silence", grid.start_ns, grid.end_ns)]
    ends = [(grid.start_ns, coverage.first_ns), (coverage.last_ns, grid.end_ns)]
    holes = [(each.first_ns, each.last_ns) for each in coverage.silences]
    if day.sample_ns is None:
        holes += [(first, last) for first, last in ends if last - first > coverage.limit_ns]
    return [
        (table.table, "messages", coverage.first_ns, coverage.last_ns),
        *((table.table, "silence", first, last) for first, last in holes),
    ]


def _agreement_strips(found: AgreementFigures) -> list[Bar]:
    """Runs of minutes whose snapshots agree, or do not."""
    bars: list[Bar] = []
    for each in found.minutes:
        kind = "snapshots differ" if each.differing else "snapshots agree"
        until = each.start_ns + MINUTE_NS
        if bars and bars[-1][1] == kind and each.start_ns - bars[-1][3] < MINUTE_NS:
            bars[-1] = (*bars[-1][:3], until)
        else:
            bars.append(("agreement", kind, each.start_ns, until))
    return bars


def _bars(kind: str, bars: Sequence[Bar], colour: str, pattern: str) -> go.Bar:
    nothing: list[Any] = [None]  # so that the legend explains what does not occur too
    return go.Bar(
        orientation="h", name=kind, y=[label for label, *_ in bars] or nothing,
        base=_times(first for _, _, first, _ in bars) or nothing,
        x=[max((last - first) / 1e6, THINNEST_MS) for _, _, first, last in bars] or nothing,
        customdata=[f"{clock_text(first)} to {clock_text(last)}" for _, _, first, last in bars],
        marker=marker(colour, pattern), hovertemplate=f"%{{y}}<br><b>{kind}</b> %{{customdata}}<extra></extra>",
    )  # fmt: skip


def _rate(day: DayFigures, table: TableFigures) -> go.Scatter:
    grid = DayGrid.of(day.day)
    counts = [count or None for count in table.coverage.per_minute]
    return go.Scatter(
        x=_times(grid.cell_start(place, MINUTE_NS) for place in range(len(counts))), y=counts, mode="lines",
        name=table.table, line={"color": COLOURS[table.role], "width": 1.4, "dash": DASHES[table.role]},
        hovertemplate="%{y:,} messages<extra>%{fullData.name}</extra>",
    )  # fmt: skip


def _spacing_classes(coverage: CoverageFigures) -> dict[int, float]:
    """Per cent of the spacings in each class, by its place: three to a decade, 0 from 1 ms on."""
    counts: Counter[int] = Counter()
    for middle_ms, count in coverage.spacing:
        counts[_spacing_place(middle_ms)] += count
    total = sum(counts.values())
    shares = {place: 100 * count / total for place, count in counts.items()}
    return {place: share for place, share in sorted(shares.items()) if share >= RARE}


def _spacing_place(ms: float) -> int:
    decade = math.floor(math.log10(max(ms, 1e-3)))
    within = sum(ms >= step * 10.0**decade for step in STEPS_OF_A_DECADE) - 1
    return decade * len(STEPS_OF_A_DECADE) + max(within, 0)


def _spacing_text(place: int) -> str:
    decade, within = divmod(place, len(STEPS_OF_A_DECADE))
    ns = STEPS_OF_A_DECADE[within] * 10 ** (decade + 6)
    return length_text(ns)


def _step_text(end: int | None) -> str:
    return "more" if end is None else f"{end:,}"


def _day_range(day: DayFigures) -> list[dt.datetime]:
    """The day; of a part of it that is shorter than six hours, that part."""
    grid = DayGrid.of(day.day)
    firsts = [table.coverage.first_ns for table in day.tables.values() if table.coverage.first_ns is not None]
    lasts = [table.coverage.last_ns for table in day.tables.values() if table.coverage.last_ns is not None]
    if firsts and max(lasts) - min(firsts) < 6 * 60 * MINUTE_NS:
        return _times((min(firsts) - MINUTE_NS, max(lasts) + MINUTE_NS))
    return _times((grid.start_ns, grid.end_ns))


def _times(clocks_ns: Iterable[int]) -> list[dt.datetime]:
    return [dt.datetime.fromtimestamp(ns / 1e9, dt.UTC) for ns in clocks_ns]
