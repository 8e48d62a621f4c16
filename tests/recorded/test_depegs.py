"""Four recorded episodes: alerts fire with the first bar that reaches their level, and on no calm day."""

import datetime as dt

import polars as pl
import pytest

from tests.recorded.independent_reader import DATA
from tidelake.stablecoins.fleet import Fleet
from tidelake.stablecoins.records import AlertRow
from tidelake.stablecoins.replay.bars import BarsFolder
from tidelake.stablecoins.replay.lead_times import lead_times
from tidelake.stablecoins.replay.player import with_clock

EPISODES = DATA / "stablecoins" / "depeg-1m"
pytestmark = pytest.mark.skipif(not EPISODES.is_dir(), reason="needs the recorded data in ../shared/data/stablecoins")

LEVELS = {"notice": 0.005, "warning": 0.01, "severe": 0.03}
# Days of the crises, as they were reported: UST leaves its peg and USDT follows; Celsius stops withdrawals; FTX stops
# them and fails; New York's regulator orders Paxos to issue no more BUSD. All other days of the files count as calm.
CRISES = {
    "terra_luna_2022": (dt.date(2022, 5, 9), dt.date(2022, 5, 14)),
    "celsius_3ac_2022": (dt.date(2022, 6, 12), dt.date(2022, 6, 19)),
    "ftx_2022": (dt.date(2022, 11, 8), dt.date(2022, 11, 12)),
    "busd_2023": (dt.date(2023, 2, 13), dt.date(2023, 2, 15)),
}


def micros(time):
    return round(time.timestamp() * 1_000_000)


@pytest.mark.slow
@pytest.mark.parametrize("name", CRISES)
def test_depeg_alerts_of_an_episode(name):
    history = BarsFolder(EPISODES / name)
    ((coin, quote),) = history.pairs.items()
    fleet, records = Fleet(history.setups()), []
    for batch in with_clock(history.batches(), 1_200_000_000):
        for seen in batch:
            fleet.take(seen, records)
    assert not fleet.failed
    steps = [r for r in records if isinstance(r, AlertRow)]

    bars = pl.read_parquet(EPISODES / name / f"{coin}{quote}_1m.parquet").select(
        known=pl.col("wall_clock_utc").dt.offset_by("1m"),
        away=pl.max_horizontal((pl.col("high") - 1).abs(), (pl.col("low") - 1).abs()),
    )
    worst = bars.sort("away", "known", descending=[True, False]).row(0)
    start, end = (dt.datetime.combine(day, dt.time(), dt.UTC) for day in CRISES[name])
    for row in lead_times(steps, "depeg", micros(worst[0]), (micros(start), micros(end))):
        level = LEVELS[row.severity]
        crossed = bars.filter(pl.col("away") >= level, pl.col("known") >= start, pl.col("known") < end)["known"].min()
        assert row.fired_at == crossed, row.severity
        assert row.lead == (None if crossed is None else worst[0] - crossed)
        assert row.calm_alerts == 0
    assert fleet.machines[coin].state.refused == 0
    final = list({a.alert_id: a for a in steps if a.kind == "depeg"}.values())
    assert {a.state for a in final} <= {"CONFIRMED"}
    assert max([a.measure for a in final], default=worst[1]) == pytest.approx(worst[1])
