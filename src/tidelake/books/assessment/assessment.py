"""The assessment of a day: its figures, what they mean, and the strategy they allow."""

from collections.abc import Mapping
from dataclasses import dataclass

from tidelake.books.assessment.book_findings import book_findings
from tidelake.books.assessment.clock_findings import clock_findings
from tidelake.books.assessment.figures import DayFigures
from tidelake.books.assessment.findings import SEVERITIES, Finding, Severity, in_all_tables, worst
from tidelake.books.assessment.strategy import Choice, choose
from tidelake.books.assessment.stream_findings import stream_findings


@dataclass(frozen=True, slots=True)
class DayAssessment:
    """One day of a symbol of a vendor.

    Attributes:
        figures: What was measured.
        findings: What it means, the most severe first.
        choice: The strategy.
    """

    figures: DayFigures
    findings: tuple[Finding, ...]
    choice: Choice

    @property
    def severity(self) -> Severity:
        """The severest finding's."""
        return worst(self.findings)

    @property
    def fit(self) -> bool:
        """Whether the day can be replayed in full, and nothing serious was found."""
        return self.choice.strategy == "full_event_replay" and self.severity != "serious"

    def counts(self) -> Mapping[Severity, int]:
        """How many findings there are of each severity."""
        return {severity: sum(each.severity == severity for each in self.findings) for severity in SEVERITIES}


def judge(figures: DayFigures) -> DayAssessment:
    """The assessment that the figures give."""
    each = [*stream_findings(figures), *clock_findings(figures), *book_findings(figures)]
    found = list(in_all_tables(each, [table.table for table in figures.tables.values()]))
    found.sort(key=lambda finding: -SEVERITIES.index(finding.severity))
    return DayAssessment(figures, tuple(found), choose(figures))
