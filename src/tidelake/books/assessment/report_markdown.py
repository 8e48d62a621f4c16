"""The report as Markdown."""

from collections.abc import Mapping, Sequence

from tidelake.books.assessment.assessment import DayAssessment
from tidelake.books.assessment.findings import MEANINGS, Finding
from tidelake.books.assessment.report_words import cost_text, day_rows, table_rows, title, verdict


def markdown_report(days: Sequence[DayAssessment]) -> str:
    """The whole text, with an end of line at its end."""
    parts = [f"# {title(days)}", _table(day_rows(days))]
    for day in days:
        parts += _day_parts(day)
    parts += ["## What the words mean", *(f"- **{severity}**: {text}" for severity, text in MEANINGS.items())]
    return "\n\n".join(parts) + "\n"


def _day_parts(day: DayAssessment) -> list[str]:
    figures = day.figures
    found = [finding for finding in day.findings if finding.severity != "fine"]
    fine = [finding for finding in day.findings if finding.severity == "fine"]
    return [
        f"## {figures.day}: {figures.source} {figures.symbol}",
        verdict(day),
        *(f"- not {strategy}: {why}." for strategy, why in day.choice.refused.items()),
        *(_finding(finding) for finding in found),
        f"{len(fine)} checks found nothing wrong:" if fine else "",
        "\n".join(f"- {_place(finding)}{finding.sentence}" for finding in fine),
        _table(table_rows(day)),
        cost_text(day),
    ]


def _finding(finding: Finding) -> str:
    return f"- **{finding.severity}**, {_place(finding)}{finding.sentence} {finding.do}"


def _place(finding: Finding) -> str:
    return f"`{finding.table}`: " if finding.table else ""


def _table(rows: Sequence[Mapping[str, object]]) -> str:
    if not rows:
        return ""
    lines = [[name.replace("_", " ") for name in rows[0]], ["---"] * len(rows[0])]
    lines += [[_cell(value) for value in row.values()] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
