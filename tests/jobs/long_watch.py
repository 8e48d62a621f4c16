"""The process of a long watch: `.. tell HOURS | .. LAKE HOURS COMMIT_S` writes its memory as JSON.

It takes what a simulated history tells, as a watch takes it, without waiting: to machines, tables, files of JSON lines
and metrics, and says at each eighth of the history how much memory it has, and how much the machines remember. The
history is made in another process: it remembers a day itself.
"""

import json
import math
import sys
from pathlib import Path

import msgspec

from tidelake.jobs.watch_metrics import WatchMetrics
from tidelake.raw.store import Store
from tidelake.sim.coins.history import CoinHistory
from tidelake.sim.coins.observations import setups, told
from tidelake.sim.coins.plan import CoinPlan
from tidelake.stablecoins.fleet import Fleet
from tidelake.stablecoins.observation import MICROS, Observation
from tidelake.stablecoins.outputs import DeltaOutput, JsonLines

PARTS = 8


def plan(hours: float) -> CoinPlan:
    return CoinPlan(seed=5, days=math.ceil(hours / 24))


def tell(hours: float) -> None:
    """Write observations, one a line."""
    encode = msgspec.json.Encoder().encode
    end_us = plan(hours).start_us + hours * 3600 * MICROS
    for batch in told(CoinHistory(plan(hours))):
        sys.stdout.buffer.write(b"".join(encode(seen) + b"\n" for seen in batch if seen.known_us <= end_us))
        if batch[-1].known_us > end_us:
            return


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def measured(fleet: Fleet) -> dict[str, float]:
    state = sum(len(machine.save()) for machine in fleet.machines.values())
    return {"resident_mb": resident_mb(), "state_bytes": state}


def watch(lake: str, hours: float, commit_s: float) -> None:
    history = CoinHistory(plan(hours))
    begin_us = history.plan.start_us
    fleet, metrics = Fleet(setups(history)), WatchMetrics(clock=lambda: 0)
    output, lines = DeltaOutput(Store.open(lake), "watch"), JsonLines(Path(lake, "lines"))
    decode = msgspec.json.Decoder(Observation).decode
    records, found, number = [], [], 0
    due_us = begin_us + commit_s * MICROS
    part_us = hours * 3600 * MICROS / PARTS
    for line in sys.stdin.buffer:
        seen = decode(line)
        metrics.took(seen)
        fleet.take(seen, records)
        if seen.known_us < due_us:
            continue
        due_us += commit_s * MICROS
        clock = Observation("clock", seen.known_us, seen.known_us)
        fleet.take(clock, records)
        metrics.look(fleet.machines, fleet.failed, {}, [])
        if records:
            number += 1
            lines.append(records)
            output.commit(number, records)
            metrics.stored(records)
            records.clear()
            output.tidy()
        if len(found) < PARTS - 1 and seen.known_us - begin_us >= (len(found) + 1) * part_us:
            found.append(measured(fleet))
    found.append(measured(fleet))
    assert not fleet.failed, fleet.failed
    sys.stdout.write(json.dumps({"parts": found, "commits": number}))


if __name__ == "__main__":
    if sys.argv[1] == "tell":
        tell(float(sys.argv[2]))
    else:
        watch(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))
