"""Four recorded episodes: alerts fire with the first bar that reaches their level, and on no calm day."""

from functools import cache

import polars as pl
import pytest

from tests.recorded.independent_reader import DATA
from tidelake.stablecoins.episodes.lead_times import episode_lines
from tidelake.stablecoins.episodes.playing import play_bars
from tidelake.stablecoins.episodes.registry import episodes
from tidelake.stablecoins.episodes.volatility_levels import A_DAY, count_alerts, ratios
from tidelake.stablecoins.signals import Rules

EPISODES = DATA / "stablecoins" / "depeg-1m"
pytestmark = pytest.mark.skipif(not EPISODES.is_dir(), reason="needs the recorded data in ../shared/data/stablecoins")

LEVELS = {"notice": 0.005, "warning": 0.01, "severe": 0.03}
FOLDERS = ("terra_luna_2022", "celsius_3ac_2022", "ftx_2022", "busd_2023")


@cache
def played(folder):
    (found,) = play_bars(EPISODES / folder, episodes())
    return found


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS)
def test_depeg_alerts_of_an_episode(folder):
    found = played(folder)
    assert not found.failed
    (episode,) = found.episodes
    bars = pl.read_parquet(EPISODES / folder / f"{found.coin}{found.quote}_1m.parquet").select(
        known=pl.col("wall_clock_utc").dt.offset_by("1m"),
        away=pl.max_horizontal((pl.col("high") - 1).abs(), (pl.col("low") - 1).abs()),
        inside=pl.col("wall_clock_utc").dt.date().is_between(episode.start, episode.end),
        close=pl.col("close"),
    )
    worst = bars.filter("inside").sort("away", "known", descending=[True, False]).row(0, named=True)
    for line in [line for line in episode_lines([found]) if line.kind == "depeg"]:
        crossed = bars.filter("inside", pl.col("away") >= LEVELS[line.severity])["known"].min()
        assert (line.fired_at, line.worst_at) == (crossed, worst["known"]), line.severity
        assert line.lead_s == (None if crossed is None else (worst["known"] - crossed).total_seconds())
        assert line.worst_price is not None
        assert abs(line.worst_price - 1) == pytest.approx(worst["away"])
        assert line.price == (None if crossed is None else bars.filter(pl.col("known") == crossed)["close"].item())
        assert line.false_alarms == 0
        assert line.calm_days == bars.filter(~pl.col("inside")).height / 1440
    depegs = [life for life in found.lives if life.kind == "depeg"]
    assert {life.state for life in depegs} <= {"CONFIRMED"}
    assert max([life.measure for life in depegs], default=worst["away"]) == pytest.approx(worst["away"])


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS)
def test_alerts_of_volatility_are_as_many_as_ratios_alone_say(folder):
    found, rules = played(folder), Rules()
    told = [life.is_calm for life in found.lives if life.kind == "volatility"]
    rows = ratios(found, rules.volatility_memory, rules.least)
    assert (sum(told), len(told) - sum(told)) == count_alerts(rows, rules.volatility[0], rules.over)
    assert rules.volatility_memory == 7 * A_DAY
