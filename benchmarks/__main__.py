"""Runs the benchmarks and prints one table; `python -m benchmarks --help`."""

import argparse
import importlib
import json
import shutil
import sys
import tempfile
import time
import traceback
from dataclasses import asdict
from pathlib import Path

from benchmarks.report import Figure, machine, table, write

NAMES = (
    "startup",
    "derive",
    "size",
    "imports",
    "seal",
    "encryption",
    "commit",
    "query",
    "ingest",
    "sockets",
    "books",
    "reconstruct",
    "detection",
    "lending",
    "stablecoins",
    "live_coins",
)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure against budgets and peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these: {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="smaller inputs; figures are not those of the budgets")
    parser.add_argument("--format", choices=("table", "json", "csv"), default="table")
    parser.add_argument("--results", type=Path, default=Path("bench-results"), help="folder of the JSON files")
    parser.add_argument("--work", type=Path, help="folder of inputs and lakes, kept; default: a temporary one")
    found = parser.parse_args()
    if unknown := set(found.names) - set(NAMES):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    return found


def _run(name: str, work: Path, quick: bool) -> list[Figure]:
    print(f"{name} ..", file=sys.stderr, flush=True)
    started = time.perf_counter()
    figures: list[Figure] = importlib.import_module(f"benchmarks.{name}").run(work, quick=quick)
    print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    return figures


def main() -> int:
    options = _arguments()
    kept = options.work is not None
    work = options.work if kept else Path(tempfile.mkdtemp(prefix="tidelake-bench-"))
    work.mkdir(parents=True, exist_ok=True)
    found: list[Figure] = []
    failed = []
    try:
        for name in options.names or NAMES:
            where = machine() | {"quick": options.quick}
            try:
                figures = _run(name, work, options.quick)
            except Exception:
                traceback.print_exc()
                failed.append(name)
                continue
            write(options.results, name, where, figures)
            found += figures
    finally:
        if not kept:
            shutil.rmtree(work, ignore_errors=True)
    if options.format == "table":
        print(table(found))
        for label in dict.fromkeys(f"{f.name}: {f.inputs}. {f.note}".rstrip(". ") + "." for f in found if f.inputs):
            print(f"\n{label}", end="")
        print("\n\nInterleaved, best of several on a shared machine: trust the ratios before the seconds.")
        if options.quick:
            print("Quick: inputs are smaller than the budgets speak of.")
    else:
        print(json.dumps([asdict(f) for f in found], indent=2))
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
