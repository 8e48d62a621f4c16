"""Replays: CSV folders and bars to a lake, killed and resumed, at any speed."""

import datetime as dt
import threading

import polars as pl
import pytest

from tests.stablecoins import histories
from tests.stablecoins.histories import BEGIN, S
from tidelake.errors import ConfigError
from tidelake.raw.store import Store
from tidelake.stablecoins.attestation import broken_link
from tidelake.stablecoins.observation import Observation, Retraction
from tidelake.stablecoins.outputs import DeltaOutput, JsonLines
from tidelake.stablecoins.records import AttestationRow, WindowRow
from tidelake.stablecoins.replay.bars import BarsFolder
from tidelake.stablecoins.replay.control import ReplayControl
from tidelake.stablecoins.replay.csv_folder import CsvFolder
from tidelake.stablecoins.replay.player import play, with_clock
from tidelake.stablecoins.replay.run import Replay
from tidelake.tables.read import scan
from tidelake.tables.stablecoins import (
    STABLECOIN_ALERTS,
    STABLECOIN_ATTESTATIONS,
    STABLECOIN_CORRECTIONS,
    STABLECOIN_TABLES,
    STABLECOIN_WINDOWS,
)

PRICES = """timestamp,coin,price,volume
2024-01-15T00:00:10Z,USDC,1.0001,52000000000
2024-01-15T00:00:20Z,USDT,0.9999,
2024-01-15 00:01:05,USDC,0.87,51800000000
2024-01-15T02:02:05+01:00,USDC,0.99,1
1705276800,USDC,1.0,1
2024-01-15T00:03:00Z,USDC,high,1
"""


def write(folder, **files):
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".csv")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def rows(store, table, *order):
    return scan(store, table).collect().sort(*order) if order else scan(store, table).collect()


class Listed:
    def __init__(self, seen, size=50):
        self.seen, self.size = seen, size

    def batches(self):
        return iter([self.seen[i : i + self.size] for i in range(0, len(self.seen), self.size)])


class Killed(BaseException):
    pass


@pytest.fixture
def folder(tmp_path):
    return write(
        tmp_path / "history",
        ethereum__price=PRICES,
        ethereum__liquidity="timestamp,coin,liquidity_depth\n2024-01-15T00:00:00Z,USDC,8500000000\n",
        ethereum__supply="timestamp,coin,net_supply_change\n2024-01-15T00:01:30Z,USDC,-0.000001\n",
        ethereum__sentiment="timestamp,coin,sentiment_score\n2024-01-15T00:00:00Z,USDT,0.15\n",
        arbitrum__supply="timestamp,coin,net_supply_change\n2024-01-15T00:01:40Z,USDC,100000000\n",
        volatility="timestamp,market_volatility\n2024-01-15T00:00:00Z,0.0234\n",
    )


def test_a_folder_as_the_source_document_has_it_becomes_windows(folder, tmp_path):
    history = CsvFolder(folder)
    assert history.refused == {
        "ethereum/price.csv price": "2 of 6 rows cannot be read; the first is row 4",
        "ethereum/price.csv volume": "1 of 5 rows cannot be read; the first is row 4",
    }
    store = Store.open(tmp_path / "lake")
    report = Replay(store, "one", history.setups(), jsonl=tmp_path / "out").run(history)
    assert (report.done, report.failed, report.unknown) == (True, {}, 0)
    found = rows(store, STABLECOIN_WINDOWS).filter(
        pl.col("coin") == "USDC", pl.col("window_state") == "FINAL", pl.col("window_s") == 60
    )
    minute = found.filter(pl.col("event_time") == dt.datetime(2024, 1, 15, 0, 1, tzinfo=dt.UTC)).sort("chain")
    assert minute["chain"].to_list() == ["", "arbitrum", "ethereum"]
    assert minute["price"].to_list() == [0.87, None, 0.87]
    assert [str(value) for value in minute["net_supply_change"]] == [
        "99999999.999999000000000000",
        "100000000.000000000000000000",
        "-0.000001000000000000",
    ]
    assert minute["market_volatility"].to_list() == [0.0234] * 3
    assert minute["liquidity_depth"].to_list() == [8.5e9, None, 8.5e9]
    assert minute["sentiment_score"].to_list() == [None] * 3
    alerts = rows(store, STABLECOIN_ALERTS)
    assert "severe" in alerts.filter(pl.col("coin") == "USDC", pl.col("kind") == "depeg")["severity"].to_list()
    written = {
        path.parent.relative_to(tmp_path / "out" / "one").as_posix() for path in (tmp_path / "out").rglob("*.jsonl")
    }
    assert {"unified/USDC", "unified/USDT", "alerts/USDC", "finalized/USDC"} <= written


def test_a_bare_number_is_no_time_and_its_row_is_told(folder):
    history = CsvFolder(folder)
    assert "the first is row 4" in history.refused["ethereum/price.csv price"]
    assert history.span_us[0] == 1_705_276_800 * S  # the sentiment and the volatility, told as text


def test_a_retraction_names_facts_by_their_chain_and_is_refused_where_it_does_not(folder):
    write(
        folder,
        ethereum__supply="timestamp,coin,net_supply_change,block_number,block_hash,tx_hash,log_index\n"
        "2024-01-15T00:01:30Z,USDC,5,7,0xb,0xt,3\n",
        ethereum__retractions="timestamp,reason,ids_out,ids_in\n"
        "2024-01-15T00:02:00Z,chain_reorg,ethereum:0xb:0xt:3 ethereum:0xb:0xu:4,\n"
        "2024-01-15T00:02:01Z,chain_reorg,chain:0xb:0xt:3,\n"
        "2024-01-15T00:02:02Z,chain_reorg,ethereum:0xb:0xt:3,arbitrum:0xb:0xt:3\n",
    )
    history = CsvFolder(folder)
    assert history.refused["ethereum/retractions.csv ids_out"] == "2 of 3 rows cannot be read; the first is row 1"
    seen = [one for batch in history.batches() for one in batch if one.chain == "ethereum"]
    (minted,) = [one for one in seen if one.feature == "supply"]
    (taken,) = [one.told for one in seen if one.feature == "retract"]
    assert isinstance(taken, Retraction)
    assert taken.ids == (minted.id, "ethereum:0xb:0xu:4")


def test_a_fact_that_a_chain_gives_back_with_nothing_in_its_place_stands_again(folder, tmp_path):
    write(
        folder,
        ethereum__supply="timestamp,coin,net_supply_change,block_number,block_hash,tx_hash,log_index\n"
        "2024-01-15T00:01:30Z,USDC,5,7,0xb,0xt,3\n",
        ethereum__retractions="timestamp,reason,ids_out,ids_in\n"
        "2024-01-15T00:01:40Z,chain_reorg,ethereum:0xb:0xt:3,\n"
        "2024-01-15T00:01:50Z,chain_reorg,,ethereum:0xb:0xt:3\n",
    )
    history = CsvFolder(folder)
    assert not [name for name in history.refused if "retractions" in name]
    store = Store.open(tmp_path / "lake")
    Replay(store, "r", history.setups()).run(history)
    assert rows(store, STABLECOIN_CORRECTIONS, "known_at")["correction"].to_list() == ["invalidated", "restored"]
    final = rows(store, STABLECOIN_WINDOWS).filter(pl.col("chain") == "ethereum", pl.col("window_state") == "FINAL")
    assert final.filter(pl.col("supply_events") == 1)["minted"].to_list() == [5, 5]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "no history"),
        ({"ethereum__price": "timestamp,coin\n2024-01-15T00:00:00Z,USDC\n"}, "lacks price"),
        ({"ethereum__price": "coin,price\nUSDC,1\n"}, "lacks timestamp"),
        ({"ethereum__price": "timestamp,coin,price\n"}, "no row"),
    ],
)
def test_a_folder_that_is_no_history_is_refused(tmp_path, files, told):
    with pytest.raises((ConfigError, pl.exceptions.PolarsError), match=told):
        CsvFolder(write(tmp_path, **files))


def test_a_run_killed_anywhere_and_run_again_ends_in_the_same_rows(tmp_path, monkeypatch):
    history = Listed(histories.make(5, minutes=8).faulted)
    setups = {"USDC": histories.setup()}
    whole = Store.open(tmp_path / "whole")
    Replay(whole, "r", setups, batch=300, jsonl=tmp_path / "whole-out").run(history)

    budget = [3]

    def dying(method):
        def wrapped(*args, **named):
            budget[0] -= 1
            if budget[0] < 0:
                raise Killed
            return method(*args, **named)

        return wrapped

    for kind, name in ((DeltaOutput, "_append"), (JsonLines, "_write"), (Replay, "_save")):
        monkeypatch.setattr(kind, name, dying(getattr(kind, name)))
    store, died, report, size = Store.open(tmp_path / "killed"), 0, None, 300
    while report is None:
        try:
            report = Replay(store, "r", setups, batch=size, jsonl=tmp_path / "killed-out").run(history)
        except Killed:
            died += 1
            budget[0] = 2 + died * 3
            size = 170 + 61 * died  # the next process may make batches of another size
    assert died > 3
    assert report.done
    for table in STABLECOIN_TABLES:
        mine, theirs = (scan(lake, table).collect() for lake in (store, whole))
        order = [name for name in mine.columns if name not in ("segment", "line", "item")]
        assert mine.sort(order).equals(theirs.sort(order)), table.name
        assert mine.height == mine.unique(table.key).height or table.name == "stablecoin_incidents"
    files = sorted(path.relative_to(tmp_path / "whole-out") for path in (tmp_path / "whole-out").rglob("*.jsonl"))
    assert files
    for file in files:
        assert (tmp_path / "killed-out" / file).read_bytes() == (tmp_path / "whole-out" / file).read_bytes()


def test_stopped_it_keeps_what_it_took_and_goes_on_from_there(tmp_path):
    history, setups = Listed(histories.make(6, minutes=5).faulted, size=40), {"USDC": histories.setup()}
    store, control = Store.open(tmp_path / "lake"), ReplayControl()

    def listen(records):
        if any(isinstance(record, WindowRow) for record in records):
            control.stop()

    part = Replay(store, "r", setups, listen=listen).run(history, control)
    assert (part.done, 0 < part.observations < len(history.seen)) == (False, True)
    assert rows(store, STABLECOIN_WINDOWS).height == part.counts["WindowRow"] > 0
    rest = Replay(store, "r", setups).run(history)
    assert (rest.done, rest.resumed_at) == (True, part.observations)
    whole = Replay(Store.open(tmp_path / "whole"), "r", setups).run(history)
    assert rest.counts == whole.counts


def test_played_slowly_it_commits_every_few_seconds(tmp_path, monkeypatch):
    history, numbers, wall = Listed(histories.make(6, minutes=3).clean, size=20), [], [0.0]

    def clock():  # half a second for each list of 20
        wall[0] += 0.5
        return wall[0]

    monkeypatch.setattr(DeltaOutput, "commit", lambda self, number, records: numbers.append((number, wall[0])))
    Replay(Store.open(tmp_path / "lake"), "r", {"USDC": histories.setup()}, clock=clock).run(history)
    assert [number for number, _ in numbers] == [1, 2, 3]
    assert [at for _, at in numbers[:2]] == [5.5, 11.0]


def test_a_run_that_is_whole_writes_nothing_again(tmp_path, folder):
    store, history = Store.open(tmp_path / "lake"), CsvFolder(folder)
    first = Replay(store, "r", history.setups()).run(history)
    again = Replay(store, "r", history.setups()).run(history)
    assert again.counts == first.counts
    assert rows(store, STABLECOIN_WINDOWS).height == first.counts["WindowRow"]


def test_an_empty_file_tells_nothing_and_stops_nothing(tmp_path):
    price = "timestamp,coin,price\n2024-01-15T00:00:00Z,USDC,1\n"
    found = CsvFolder(
        write(tmp_path / "history", ethereum__price=price, ethereum__supply="", ethereum__liquidity="\n\n")
    )
    assert (len(found), found.refused) == (1, {})
    with pytest.raises(ConfigError, match="no row that can be read"):
        CsvFolder(write(tmp_path / "empty", ethereum__price=""))


def test_times_may_have_a_blank_and_a_zone_as_pandas_writes_them(tmp_path):
    times = (
        "2024-01-15 00:00:00+00:00",
        "2024-01-15 01:00:00.000+01:00",
        "2024-01-15 00:00:00",
        "2024-01-15T00:00:00Z",
    )
    text = "timestamp,coin,price\n" + "".join(f"{time},USDC,1\n" for time in times)
    found = CsvFolder(write(tmp_path / "history", ethereum__price=text))
    assert [seen.event_us for batch in found.batches() for seen in batch] == [1_705_276_800_000_000] * 4


@pytest.mark.parametrize("chain", ["all", "my chain", "a:b"])
def test_a_folder_that_can_be_no_chain_is_refused_for_ids_would_name_two_windows(chain, tmp_path):
    price = "timestamp,coin,price\n2024-01-15T00:00:00Z,USDC,1\n"
    with pytest.raises(ConfigError, match="can be no chain"):
        CsvFolder(write(tmp_path / "history", **{f"{chain}__price": price}))


def test_two_runs_stand_side_by_side(tmp_path, folder):
    store, history = Store.open(tmp_path / "lake"), CsvFolder(folder)
    for name in ("one", "two"):
        Replay(store, name, history.setups()).run(history)
    found = rows(store, STABLECOIN_WINDOWS)
    one, two = (
        found.filter(pl.col("run") == name).drop("run").sort("window_id", "event_version") for name in ("one", "two")
    )
    assert one.equals(two)
    assert found.height == found.unique(STABLECOIN_WINDOWS.key).height


def test_stored_attestations_are_linked(tmp_path, folder):
    store, history = Store.open(tmp_path / "lake"), CsvFolder(folder)
    Replay(store, "r", history.setups()).run(history)
    found = rows(store, STABLECOIN_ATTESTATIONS, "sequence").filter(
        pl.col("coin") == "USDT", pl.col("chain") == "ethereum", pl.col("window_s") == 60
    )
    chain = [
        AttestationRow(**{**row, "window_start_us": 0, "known_us": 0})
        for row in found.select(set(AttestationRow.__struct_fields__) - {"window_start_us", "known_us"}).to_dicts()
    ]
    assert broken_link(chain) is None
    assert chain


def test_a_minute_that_passes_is_told_after_all_that_was_known_by_then():
    at = [BEGIN + second * S for second in (5, 60, 60, 61, 200)]
    seen = [Observation("price", time, time, "USDC", id=str(time)) for time in at]
    found = [
        (one.feature, (one.known_us - BEGIN) // S)
        for batch in with_clock([seen[:2], seen[2:]], 30 * S)
        for one in batch
    ]
    assert found == [
        ("price", 5),
        ("price", 60),
        ("price", 60),
        ("clock", 60),
        ("price", 61),
        ("clock", 120),
        ("clock", 180),
        ("price", 200),
        ("clock", 230),
    ]


class Wall:
    """A clock of the wall that passes only while somebody waits."""

    def __init__(self, monkeypatch, control):
        self.now = 0.0
        self.waits = []
        wait = control._changed.wait_for

        def passing(predicate, timeout=None):
            if timeout is None:
                return wait(predicate, 5)
            self.now += timeout
            self.waits.append(timeout)
            return predicate()

        monkeypatch.setattr(control._changed, "wait_for", passing)

    def __call__(self):
        return self.now


def told_every_minute(count):
    return [[Observation("price", BEGIN + m * 60 * S, BEGIN + m * 60 * S, "USDC", id=str(m))] for m in range(count)]


def test_speed_is_seconds_of_history_in_a_second_and_can_change_on_the_way(monkeypatch):
    control = ReplayControl(10.0)
    wall, when = Wall(monkeypatch, control), []

    def take(batch):
        when.append(wall.now)
        if len(when) == 3:
            control.set_speed(60.0)

    play(told_every_minute(6), control, take, wall)
    assert when == pytest.approx([0, 6, 12, 13, 14, 15])


def test_a_jump_plays_all_up_to_its_target_at_once(monkeypatch):
    control = ReplayControl(1.0)
    wall, when = Wall(monkeypatch, control), []
    control.jump(BEGIN + 3 * 60 * S)
    play(told_every_minute(6), control, lambda batch: when.append(wall.now), wall)
    assert when == pytest.approx([0, 0, 0, 0, 60, 120])


def test_paused_nothing_is_played_until_it_goes_on():
    control = ReplayControl(0.0)
    control.pause()
    played = threading.Event()
    thread = threading.Thread(
        target=play, args=(told_every_minute(1), control, lambda batch: played.set()), daemon=True
    )
    thread.start()
    assert not played.wait(0.2)
    control.resume()
    assert played.wait(5)
    thread.join(5)


def test_stopped_it_plays_no_more():
    control, taken = ReplayControl(0.0), []

    def take(batch):
        taken.append(batch)
        control.stop()

    play(told_every_minute(4), control, take)
    assert len(taken) == 1


def test_bars_become_prices_that_are_known_when_the_bar_ends(tmp_path):
    opens = [dt.datetime(2022, 5, 11, 12, minute, tzinfo=dt.UTC) for minute in range(2)]
    bars = pl.DataFrame(
        {"wall_clock_utc": opens, "open": [1.0, 1.1], "high": [1.2, 1.3], "low": [0.9, 0.8], "close": [1.1, 1.0]}
    ).with_columns(pl.col("wall_clock_utc").cast(pl.Datetime("us", "UTC")))
    bars.write_parquet(tmp_path / "USDCUSDT_1m.parquet")
    history = BarsFolder(tmp_path)
    start = int(opens[0].timestamp()) * S
    (seen,) = history.batches()
    assert [(one.event_us - start, one.known_us - start, one.value) for one in seen[:4]] == [
        (0, 60 * S, 1.0),
        (30 * S, 60 * S, 0.9),
        (30 * S, 60 * S, 1.2),
        (60 * S - 1, 60 * S, 1.1),
    ]
    assert {(one.coin, one.quote, one.source) for one in seen} == {("USDC", "USDT", "binance-spot")}
    assert len({one.id for one in seen}) == 8
