"""Bytes of the `trades` table, fresh and compacted, against the JSON frames it came from."""

import shutil
from pathlib import Path

from benchmarks.derive import COUNT, QUICK_COUNT, derive_fresh, import_matches
from benchmarks.inputs import matches
from benchmarks.report import Figure, judge

SMALLER = 10.0


def _named_bytes(lake: Path) -> int:
    from tidelake.raw.store import Store
    from tidelake.tables.maintain import table_sizes

    sizes = table_sizes(Store.open(lake))
    return int(sizes.filter(sizes["table"] == "trades")["bytes"].sum())


def run(work: Path, *, quick: bool) -> list[Figure]:
    from tidelake.raw.store import Store
    from tidelake.tables.maintain import maintain

    made = matches(work, QUICK_COUNT if quick else COUNT)
    copy = work / "size"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    import_matches(copy, made)
    lake = copy / "lake"
    derive_fresh(lake, made.count)
    fresh = _named_bytes(lake)
    maintain(Store.open(lake), ["trades"])
    compact = _named_bytes(lake)
    raw = sum(path.stat().st_size for path in (lake / "raw").rglob("*.zst"))
    shutil.rmtree(copy)
    inputs = f"{made.count:,} {made.label}; {made.bytes / made.count:.0f} bytes of JSON each"
    details = {"json": made.bytes, "raw_zstd": raw, "derived": fresh, "maintained": compact}

    def figure(what: str, size: int) -> Figure:
        smaller = made.bytes / size
        return Figure(
            "size", f"`trades` {what}, to its JSON frames", size / 1e6, "MB", "JSON", made.bytes / 1e6, smaller,
            f"at least {SMALLER:.0f}x smaller", judge(smaller >= SMALLER), inputs,
            f"{what}: {size / made.count:.1f} bytes per trade; raw segments, which hold every byte, {raw / 1e6:.0f} MB",
            details,
        )  # fmt: skip

    return [figure("after derive", fresh), figure("after maintain", compact)]
