"""What a benchmark says: one row per figure, as a table and as JSON."""

import datetime as dt
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Literal

LIBRARIES = ("tidelake", "polars", "pyarrow", "deltalake", "obstore", "duckdb", "pydantic", "dlt", "msgspec", "numpy")
Verdict = Literal["ok", "over", ""]


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    Attributes:
        name: Benchmark that it belongs to.
        work: What was done.
        measured: Our figure, in `unit`.
        unit: Such as "s" or "MB/s".
        peer: What it is held against; "" where there is nothing.
        peer_measured: The peer's figure, in the same unit.
        ratio: What the budget speaks of, where it is a ratio.
        budget: As the design states it; "" where it states none.
        verdict: Whether the budget is kept; "" where there is none.
        inputs: How the input was made.
        note: What a reader must know to judge the figure.
        details: Further figures of the same run.
    """

    name: str
    work: str
    measured: float
    unit: str
    peer: str = ""
    peer_measured: float | None = None
    ratio: float | None = None
    budget: str = ""
    verdict: Verdict = ""
    inputs: str = ""
    note: str = ""
    details: Mapping[str, float] = field(default_factory=dict)


def judge(kept: bool) -> Verdict:
    return "ok" if kept else "over"


def number(value: float | None) -> str:
    """A figure with three digits that count."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def table(figures: Sequence[Figure]) -> str:
    """The figures as text: work, measured, peer, ratio, budget, verdict."""
    head = ("work", "measured", "peer", "ratio", "budget", "")
    rows = [
        (
            f.work,
            f"{number(f.measured)} {f.unit}",
            f"{f.peer} {number(f.peer_measured)} {f.unit}" if f.peer_measured is not None else f.peer,
            f"{number(f.ratio)}x" if f.ratio is not None else "",
            f.budget,
            f.verdict,
        )
        for f in figures
    ]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    first = "  ".join(cell.ljust(width) for cell, width in zip(head, widths, strict=True)).rstrip()
    return "\n".join([first, "  ".join("-" * width for width in widths), *lines])


def machine() -> dict[str, object]:
    """Where and with what was measured."""
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES if _installed(name)},
    }


def _installed(name: str) -> bool:
    try:
        version(name)
    except ModuleNotFoundError:
        return False
    return True


def write(folder: Path, name: str, where: dict[str, object], figures: Sequence[Figure]) -> Path:
    """Writes the figures of one benchmark to `<folder>/<name>.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps({**where, "figures": [asdict(f) for f in figures]}, indent=2) + "\n")
    return path
