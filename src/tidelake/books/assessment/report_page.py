"""The report as one HTML page with charts; it loads nothing."""

import html
from collections.abc import Sequence
from pathlib import Path

import plotly.graph_objects as go

from tidelake.books.assessment.assessment import DayAssessment
from tidelake.books.assessment.figures import DayFigures
from tidelake.books.assessment.findings import MEANINGS, Finding, Severity
from tidelake.books.assessment.report_charts import (
    agreement_figure,
    coverage_figure,
    latency_figure,
    spacing_and_steps_figure,
)
from tidelake.books.assessment.report_words import cost_text, day_rows, table_rows, title, verdict
from tidelake.pages.look import STATES
from tidelake.pages.parts import cards_html, figure_html, swatch_html, table_html, write_framed

LOOK: dict[Severity, tuple[str, str]] = {
    "serious": STATES["GAP"],
    "warning": STATES["SUSPECT"],
    "note": STATES["UNPROVABLE"],
    "fine": STATES["VALID"],
}
ABOUT = (
    "Vendor files were read as they are and measured: are the clocks possible, is anything missing, do the tables fit "
    "together, and does replaying the changes of the book give the snapshots? All times are UTC."
)

LATENCY = (
    "Receive clock less event time. A step is a clock that was set. Below zero a message was received before it was "
    "sent: one of the clocks is wrong."
)
AGREEMENT = (
    "The changes were replayed, and each snapshot laid beside the book that they give. Where all agree, nothing is "
    "missing between them."
)
DENSITY = (
    "Left: time between neighbours. Right: by how much numbers grow; where nearly all steps are 1, a longer one is a "
    "message that is missing."
)
CHARTS = {  # title and what to look for
    "coverage": ("When messages came", "Each strip is a table. Red: nothing came for much longer than usual."),
    "latency": ("How far behind the exchange the recorder is", LATENCY),
    "agreement": ("Do the changes give the book?", AGREEMENT),
    "density": ("How dense the messages are", DENSITY),
}


def write_report_page(path: Path, days: Sequence[DayAssessment]) -> int:
    """Write the page; gives its size in bytes."""
    parts = [
        f"<header><h1>{html.escape(title(days))}</h1><p>{ABOUT}</p></header>",
        cards_html(_cards(days)),
        _section("Days", "One line for each day that was assessed.", _rows(day_rows(days))),
        *(_day(day, place) for place, day in enumerate(days)),
        _section("What the words mean", "", _meanings()),
    ]
    return write_framed(path, title(days), "".join(parts))


def _cards(days: Sequence[DayAssessment]) -> list[tuple[str, str]]:
    figures = [day.figures for day in days]
    compared = sum(each.agreement.compared for each in figures if each.agreement)
    agreeing = sum(each.agreement.agreeing for each in figures if each.agreement)
    return [
        (f"{sum(day.fit for day in days)} of {len(days)}", "days fit for a full replay"),
        (f"{sum(day.counts()['serious'] for day in days)}", "serious faults"),
        (f"{sum(day.counts()['warning'] for day in days)}", "warnings"),
        (f"{sum(table.messages for each in figures for table in each.tables.values()):,}", "messages"),
        (f"{100 * agreeing / compared:.4g} %" if compared else "none", "snapshots equal to the replayed book"),
    ]


def _day(day: DayAssessment, place: int) -> str:
    figures = day.figures
    found = [finding for finding in day.findings if finding.severity != "fine"]
    fine = [finding for finding in day.findings if finding.severity == "fine"]
    told = f"<details><summary>{len(fine)} checks found nothing wrong</summary>{_findings(fine)}</details>"
    parts = [_refused(day), _findings(found) if found else "", told if fine else ""]
    head = f"{figures.day}: {figures.source} {figures.symbol}"
    drawn = (
        _section(*CHARTS[name], figure_html(figure, f"day{place}-{name}")) for name, figure in _figures(figures).items()
    )
    tables = _section("The tables", cost_text(day), _rows(table_rows(day)))
    return _section(head, verdict(day), "".join(parts)) + "".join(drawn) + tables


def _figures(day: DayFigures) -> dict[str, go.Figure]:
    """The charts of a day by their names in CHARTS, in order."""
    found = {"coverage": coverage_figure(day), "latency": latency_figure(day)}
    if day.agreement and day.agreement.compared:
        found["agreement"] = agreement_figure(day, day.agreement)
    return {**found, "density": spacing_and_steps_figure(day)}


def _refused(day: DayAssessment) -> str:
    told = "".join(
        f"<li>Not <code>{strategy}</code>: {html.escape(why)}.</li>" for strategy, why in day.choice.refused.items()
    )
    return f"<ul>{told}</ul>" if told else ""


def _findings(findings: Sequence[Finding]) -> str:
    rows = "".join(
        f"<tr><td>{swatch_html(*LOOK[each.severity])}</td><th>{each.severity}</th>"
        f"<td class='name'><code>{html.escape(each.table or 'all')}</code></td>"
        f"<td>{html.escape(each.sentence)}{_do(each)}</td></tr>"
        for each in findings
    )
    return f"<table class='meanings'><tbody>{rows}</tbody></table>"


def _do(finding: Finding) -> str:
    return f"<br><span class='do'>{html.escape(finding.do)}</span>" if finding.do else ""


def _meanings() -> str:
    rows = "".join(
        f"<tr><td>{swatch_html(*LOOK[severity])}</td><th>{severity}</th><td>{html.escape(text)}</td></tr>"
        for severity, text in MEANINGS.items()
    )
    return f"<table class='meanings'><tbody>{rows}</tbody></table>"


def _section(name: str, note: str, body: str) -> str:
    told = f"<p>{html.escape(note)}</p>" if note else ""
    return f"<section><h2>{html.escape(name)}</h2>{told}{body}</section>"


def _rows(rows: Sequence[dict[str, object]]) -> str:
    return f"<div class='wide'>{table_html(rows, list(rows[0]))}</div>" if rows else ""
