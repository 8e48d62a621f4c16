"""What a figure means: a finding has a severity, a sentence, the figures behind it, and what to do."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

Severity = Literal["fine", "note", "warning", "serious"]
SEVERITIES: tuple[Severity, ...] = ("fine", "note", "warning", "serious")
MEANINGS: dict[Severity, str] = {
    "fine": "Looked for, and nothing was wrong.",
    "note": "Good to know; the data is what it can be.",
    "warning": "Part of the data is wrong or missing: use it, knowing that.",
    "serious": "Results made with this part would be wrong: repair it, or leave it out.",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked for.

    Attributes:
        severity: See `MEANINGS`.
        name: What was looked for, in few words, always the same: "silence in deltas".
        table: The vendor's table; "" where several are compared.
        sentence: What was found, for someone who sees such data the first time.
        do: What to do about it; "" of what is fine.
        figures: Numbers behind it.
    """

    severity: Severity
    name: str
    table: str
    sentence: str
    do: str = ""
    figures: Mapping[str, object] | None = None


def worst(findings: tuple[Finding, ...]) -> Severity:
    """The severest of them; "fine" of none."""
    return max((finding.severity for finding in findings), key=SEVERITIES.index, default="fine")


def in_all_tables(findings: Iterable[Finding], tables: Collection[str]) -> Iterator[Finding]:
    """The findings, where all tables have the same one once: told by the first of them, with the figures of each."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.name, finding.severity, finding.do), []).append(finding)
    for found in groups.values():
        if len(tables) < 2 or found[0].severity == "fine" or sorted(each.table for each in found) != sorted(tables):
            yield from found
            continue
        figures = {each.table: each.figures for each in found}
        yield replace(found[0], table="", sentence=f"In all tables. {found[0].sentence}", figures=figures)


def percent(part: float, whole: float) -> str:
    """A share as people read it: "0.3 %"; some is never told as none, nor nearly all as all."""
    share = 100 * part / whole if whole else 0.0
    if 0 < share < 0.01:
        return "under 0.01 %"
    if 99.99 < share < 100:
        return "over 99.99 %"
    return f"{share:.3g} %" if share < 99.9 or share == 100 else f"{share:.2f} %"


def times(count: int) -> str:
    """How often: "once", "3 times"."""
    return "once" if count == 1 else f"{count:,} times"
