"""What a report says in words, the same on every page: verdicts, rows of its tables."""

from collections.abc import Sequence

from tidelake.books.assessment.assessment import DayAssessment
from tidelake.books.assessment.day_grid import length_text
from tidelake.books.assessment.figures import TableFigures

TITLE = "What these files are worth"
MOST_NAMES = 3


def title(days: Sequence[DayAssessment]) -> str:
    """Names the symbols of the report."""
    names = sorted({f"{day.figures.source} {day.figures.symbol} from {day.figures.vendor}" for day in days})
    return f"{TITLE}: {', '.join(names) if len(names) <= MOST_NAMES else f'{len(names)} books'}"


def verdict(day: DayAssessment) -> str:
    """What to trust of a day, in a sentence."""
    choice = day.choice
    if choice.strategy is None:
        return f"Nothing can be reconstructed: {choice.reason}."
    trust = {
        "serious": "Serious faults were found: read them before using anything made of this day.",
        "warning": "Some things are wrong or missing; they are listed below.",
        "note": "Nothing is wrong.",
        "fine": "Nothing is wrong.",
    }[day.severity]
    return f"Use {choice.strategy}: {choice.reason}. {trust}"


def table_rows(day: DayAssessment) -> list[dict[str, object]]:
    """One row for each table."""
    return [_table_row(table) for table in day.figures.tables.values()]


def _table_row(table: TableFigures) -> dict[str, object]:
    clocks, coverage, numbers = table.clocks, table.coverage, table.sequences
    return {
        "table": table.table,
        "files": len(table.files),
        "rows": table.rows,
        "messages": table.messages,
        "minutes_with_messages": coverage.minutes_with,
        "longest_silence": _length(coverage.spacing_longest_ms),
        "event_times_usable": f"{100 * clocks.usable_share:.2f} %",
        "offset_in_the_middle": _length(clocks.latency_p50_ms),
        "numbers": numbers.kind,
        "missing": numbers.missing if numbers.kind == "consecutive" else "unknown",
        "repeated": numbers.repeated,
        "out_of_order": numbers.out_of_order,
    }


def _length(ms: float | None) -> str:
    return "unknown" if ms is None else length_text(ms * 1e6)


def day_rows(days: Sequence[DayAssessment]) -> list[dict[str, object]]:
    """One row for each day."""
    return [
        {
            "day": f"{day.figures.day}",
            "vendor": day.figures.vendor,
            "symbol": f"{day.figures.source} {day.figures.symbol}",
            "worst": day.severity,
            "strategy": day.choice.strategy or "none",
            "serious": day.counts()["serious"],
            "warnings": day.counts()["warning"],
            "snapshots_agree": _agreement(day),
        }
        for day in days
    ]


def _agreement(day: DayAssessment) -> str:
    found = day.figures.agreement
    return "not compared" if found is None or found.share is None else f"{100 * found.share:.2f} %"


def cost_text(day: DayAssessment) -> str:
    """What a replay of the day takes."""
    cost = day.figures.cost
    memory = f"{cost.memory_bytes / 2**20:,.0f} MB"
    return f"A full replay of this day takes about {memory} of memory and {cost.seconds:,.1f} s on one core."
