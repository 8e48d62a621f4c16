"""The job: which days, by which strategy, side by side, once; and what it says of days that miss something."""

import datetime as dt
import json
import resource

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import tidelake
from tests.books.reconstruction.true_days import SOURCE, SYMBOL, VENDOR, true_day
from tests.vendor_files import DAY, day_start_ns
from tidelake.books.ready import ready_files
from tidelake.books.reconstruction.commits import open_events
from tidelake.books.reconstruction.day import reconstruct_day
from tidelake.books.reconstruction.task import DayTask, plan_of
from tidelake.books.reconstruction.write_ahead import WriteAhead
from tidelake.cli.app import run as run_command
from tidelake.errors import LaneMoved, NotInLake
from tidelake.jobs.reconstruct import ReconstructSettings, plan_days, reconstruct
from tidelake.jobs.reconstruct_page import write_reconstruction_page
from tidelake.tables.dropping import drop
from tidelake.tables.market_events import MARKET_EVENTS
from tidelake.tables.read import stored

NEXT = DAY + dt.timedelta(days=1)
SETTINGS = ReconstructSettings(every_ns=600 * 10**9)


def rows(lake):
    return stored(lake.store, MARKET_EVENTS).collect().sort("day", "place")


def ready_lake(folder, **made):
    lake = tidelake.open(folder / "lake")
    true_day(**made).make_ready(lake.store, folder / "files")
    return lake


def reconstructed(lake, settings=SETTINGS, **asked):
    return reconstruct(lake.store, plan_days(lake.store, **asked), settings)


def test_a_true_day_is_proven_and_a_rerun_adds_nothing(tmp_path):
    lake = ready_lake(tmp_path)
    report = reconstructed(lake)
    (row,) = report.rows
    assert (report.exit_code, row.state, row.breaks, row.drifted) == (0, "done", 0, 0)
    assert (row.agreed, row.snapshots, row.invalid) == (39, 40, pytest.approx(0, abs=0.01))
    assert row.valid > 0.96
    before = rows(lake)
    assert before["place"].to_list() == list(range(row.rows))
    (again,) = reconstructed(lake).rows
    assert (again.state, again.new_rows, again.rows) == ("nothing new", 0, row.rows)
    assert_frame_equal(rows(lake), before)


def test_other_options_and_other_files_replace_the_rows_of_a_day_and_leave_other_days(tmp_path):
    lake = ready_lake(tmp_path)
    true_day(seed=2, day=NEXT).make_ready(lake.store, tmp_path / "more")
    reconstructed(lake)
    first = rows(lake)
    reconstructed(lake, ReconstructSettings(every_ns=0), end=NEXT)
    second = rows(lake)
    assert set(second.filter(pl.col("day") == DAY)["event_type"]) == {"trade", "delta", "snapshot"}
    assert_frame_equal(second.filter(pl.col("day") == NEXT), first.filter(pl.col("day") == NEXT))
    true_day(seed=3).make_ready(lake.store, tmp_path / "newer")
    reconstructed(lake)
    third = rows(lake).filter(pl.col("day") == DAY)
    assert third["plan"].n_unique() == 1
    assert not set(third["segment"]) & set(second.filter(pl.col("day") == DAY)["segment"])
    assert third.select("day", "place").is_unique().all()


@pytest.mark.slow
def test_two_workers_give_the_rows_of_one(tmp_path):
    lakes = []
    for name, workers in (("one", 1), ("two", 2)):
        lake = ready_lake(tmp_path / name)
        true_day(seed=2, day=NEXT).make_ready(lake.store, tmp_path / name / "more")
        report = reconstructed(lake, ReconstructSettings(every_ns=600 * 10**9, workers=workers))
        assert [row.state for row in report.rows] == ["done", "done"]
        lakes.append(lake)
    assert_frame_equal(rows(lakes[0]), rows(lakes[1]))


@pytest.mark.parametrize(
    ("step", "state", "rule"), [(1, "INVALID", "sequence break"), (7, "SUSPECT", "differs from the next snapshot")]
)
def test_what_follows_a_missing_message_is_never_valid(tmp_path, step, state, rule):
    lost = 1000 + 205 * step
    made = true_day(step=step)
    lake = tidelake.open(tmp_path / "lake")
    made.make_ready(lake.store, tmp_path / "files", keep=lambda row: row["sequence_number"] != lost)
    report = reconstructed(lake, ReconstructSettings(every_ns=0))
    assert report.exit_code == 3
    after = rows(lake).filter(pl.col("update_id") > lost, pl.col("update_id") <= 1000 + 209 * step)
    assert after.select("validity", "rule").unique().rows() == [(state, rule)]
    false_and_valid = 0
    for row in rows(lake).filter(pl.col("validity") == "VALID", pl.col("event_type") == "delta").iter_rows(named=True):
        bids, asks = made.books[row["update_id"]]
        best = row["best_bid_price"] / 100, row["best_ask_price"] / 100
        false_and_valid += best != (max(bids) / 100, min(asks) / 100) and row["price_exponent"] == -2
    assert false_and_valid == 0


def test_messages_that_lack_between_the_first_snapshot_and_the_first_message_are_a_break(tmp_path):
    made = true_day()
    made.snapshots[0]["sequence_number"] = 998
    lake = tidelake.open(tmp_path / "lake")
    made.make_ready(lake.store, tmp_path / "files")
    (row,) = reconstructed(lake, ReconstructSettings(every_ns=0), strategy="full_event_replay").rows
    assert row.breaks == 1
    first = rows(lake).filter(pl.col("event_type") == "delta", pl.col("update_id") < 1010)
    assert first.select("validity", "rule").unique().rows() == [("INVALID", "sequence break")]


def test_a_lost_hour_is_not_valid_and_the_grid_says_how_old_its_books_are(tmp_path):
    start, hour = day_start_ns(DAY), 3600 * 10**9
    lost = range(start + 10 * hour, start + 11 * hour)
    made = true_day(2400, step=7)
    made.snapshots = [row for row in made.snapshots if row["received_time"] not in lost]
    made.trades = [row for row in made.trades if row["received_time"] not in lost]
    lake = tidelake.open(tmp_path / "lake")
    made.make_ready(lake.store, tmp_path / "files", keep=lambda row: row["received_time"] not in lost)
    (row,) = reconstructed(lake, ReconstructSettings(every_ns=10**9)).rows
    assert row.drifted == 1
    last = rows(lake).filter(pl.col("recv_ns") < lost.start).tail(1)
    assert last["validity"].item() == "SUSPECT"
    books = pl.concat(lake.book(SOURCE, SYMBOL).snapshots(every="60s", levels=1))
    within = books.filter(
        pl.col("at") > dt.datetime.fromtimestamp(lost.start / 1e9 + 120, dt.UTC),
        pl.col("at") < dt.datetime.fromtimestamp(lost.stop / 1e9, dt.UTC),
    )
    assert within["carried"].all()
    assert set(within["validity"]) == {"SUSPECT"}
    assert within["age"].max() > dt.timedelta(minutes=58)


def test_days_without_files_are_named_and_the_strategy_follows_the_tables(tmp_path):
    lake = ready_lake(tmp_path)
    without = true_day(seed=2, day=NEXT)
    without.deltas.clear()
    without.make_ready(lake.store, tmp_path / "more")
    planned = plan_days(lake.store, end=NEXT + dt.timedelta(days=2))
    assert [day.strategy for day in planned] == ["full_event_replay", "snapshot_anchored", None]
    assert planned[1].why == "snapshots are there, deltas are not"
    report = reconstruct(lake.store, planned, SETTINGS)
    assert (report.exit_code, report.rows[2].state) == (3, "not ready")
    assert f"{VENDOR} {SOURCE} {SYMBOL} {NEXT + dt.timedelta(days=1)}: no file is ready" in report.summary
    with pytest.raises(NotInLake, match="ready are crypto-lake binance-spot BTC-USDT"):
        plan_days(lake.store, symbol="ETH-USDT")


def test_a_day_that_cannot_be_read_fails_alone(tmp_path):
    lake = ready_lake(tmp_path)
    bad = true_day(seed=2, day=NEXT)
    for row in bad.deltas[:1]:
        row["size"] = -1.0
    bad.make_ready(lake.store, tmp_path / "bad")
    assert [day.strategy for day in plan_days(lake.store)] == ["full_event_replay", "snapshot_anchored"]
    report = reconstructed(lake, strategy="full_event_replay")
    assert [row.state for row in report.rows] == ["done", "failed"]
    assert report.exit_code == 1
    assert rows(lake)["day"].unique().to_list() == [DAY]


def test_the_model_takes_trades_from_the_last_snapshot_and_never_below_nothing(tmp_path):
    made = true_day()
    lake = tidelake.open(tmp_path / "lake")
    made.make_ready(lake.store, tmp_path / "files")
    reconstructed(lake, ReconstructSettings(model_consumption=True), strategy="snapshot_anchored")
    found = rows(lake).filter(pl.col("event_type") == "trade")
    told = {row["trade_id"]: row["model_size_left"] for row in found.iter_rows(named=True)}
    exponent = found["size_exponent"][0]
    expected, left = {}, {}
    for row in sorted([*made.snapshots, *made.trades], key=lambda row: (row["received_time"], "trade_id" not in row)):
        if "trade_id" not in row:
            sides = (("bid", "sell"), ("ask", "buy"))
            left = {
                (taker, row[f"{side}_{n}_price"]): row[f"{side}_{n}_size"] for side, taker in sides for n in range(20)
            }
            continue
        key = row["side"], row["price"]
        if key in left:
            left[key] = max(0, round(left[key] - row["quantity"], 3))
        expected[row["trade_id"]] = round(left[key] * 10**-exponent) if key in left else None
    assert told == expected
    assert None in told.values()
    assert 0 in told.values()


def test_the_command_plans_runs_and_says_what_is_missing(tmp_path, capsys):
    lake = ready_lake(tmp_path)
    where = ["--lake", lake.store.url, "--format", "json", "books", "reconstruct", "--venue", SOURCE]
    assert run_command([*where, "--dry-run"]) == 0
    (planned,) = json.loads(capsys.readouterr().out)
    assert (planned["strategy"], planned["files"], planned["stands"]) == ("full_event_replay", 3, "")
    assert lake.tables().is_empty()
    assert run_command([*where, "--every", "10m"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["state"], row["day"]) == ("done", str(DAY))
    stands = []
    for more in (["--every", "10m"], ["--every", "5m"], ["--strategy", "snapshot_anchored"]):
        assert run_command([*where, *more, "--dry-run"]) == 0
        stands += [planned["stands"] for planned in json.loads(capsys.readouterr().out)]
    assert stands == ["done", "otherwise", ""]
    assert run_command([*where, "--end", str(NEXT + dt.timedelta(days=1))]) == 3
    assert run_command([*where, "--every", "sometimes"]) == 2


def test_the_page_says_what_to_trust_and_loads_nothing(tmp_path):
    made = true_day(step=7)
    lake = tidelake.open(tmp_path / "lake")
    made.make_ready(lake.store, tmp_path / "files", keep=lambda row: row["sequence_number"] != 1000 + 205 * 7)
    report = reconstructed(lake, end=NEXT + dt.timedelta(days=1))
    size = write_reconstruction_page(tmp_path / "page.html", lake.store, report)
    text = (tmp_path / "page.html").read_text()
    assert size == len(text.encode())
    assert "1 of 40 snapshots differ from the book, no number proves a loss. Use the rows that are VALID" in text
    assert f"{SOURCE} {SYMBOL} {NEXT} ({VENDOR}): there is nothing to trust, no file is ready." in text
    assert "levels that differ" in text
    body = text.rpartition("</script>\n</head>")[2]
    assert "src=" not in body
    assert "href=" not in body


def test_the_model_changes_no_day_of_another_strategy(tmp_path):
    lake = ready_lake(tmp_path)
    reconstructed(lake)
    (row,) = reconstructed(lake, ReconstructSettings(every_ns=600 * 10**9, model_consumption=True)).rows
    assert (row.state, row.new_rows) == ("nothing new", 0)


@pytest.mark.parametrize("asked", [{"start": NEXT}, {"end": DAY}, {"start": NEXT, "end": DAY}])
def test_days_beyond_all_that_is_ready_are_refused(tmp_path, asked):
    with pytest.raises(NotInLake, match=f"ready are days of {DAY} to {DAY}"):
        plan_days(ready_lake(tmp_path).store, **asked)


def test_what_a_day_wrote_ahead_is_no_claim_that_was_not_compared(tmp_path, capsys):
    lake = ready_lake(tmp_path)
    reconstructed(lake)
    assert run_command(["--lake", str(tmp_path / "lake"), "verify"]) == 0
    assert "0 claims_not_compared: 0 problems" in capsys.readouterr().err


def test_a_book_that_was_never_captured_says_how_reconstructed_ones_are_read(tmp_path):
    with pytest.raises(NotInLake, match="`events` and `snapshots`"):
        ready_lake(tmp_path).book(SOURCE, SYMBOL).at()


@pytest.mark.parametrize("room", [2_000, 20_000])
def test_a_day_for_which_the_disk_has_no_room_fails_alone_and_goes_on_later(tmp_path, room):
    lake = ready_lake(tmp_path)
    reconstructed(lake, ReconstructSettings(every_ns=10**9))
    whole = rows(lake)
    drop(lake.store, [MARKET_EVENTS.name])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    open_events(lake.store)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        (row,) = reconstructed(lake, ReconstructSettings(every_ns=10**9)).rows
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert row.state == "failed"
    assert "StoreError: cannot write tables/market_events/" in row.reason
    reconstructed(lake, ReconstructSettings(every_ns=10**9))
    assert_frame_equal(rows(lake), whole)


def test_two_runs_with_other_options_leave_one_and_the_other_says_so(tmp_path):
    lake = ready_lake(tmp_path)
    tasks = [
        DayTask(lake.store.url, VENDOR, SOURCE, SYMBOL, DAY, "full_event_replay", levels, 600 * 10**9)
        for levels in (20, 5)
    ]
    reconstruct_day(tasks[0])
    begun = WriteAhead(lake.store, tasks[0], plan_of(tasks[0], ready_files(lake.store)), 1)
    last = begun.chunk_at(-1)
    reconstruct_day(tasks[1])
    with pytest.raises(LaneMoved, match="with other options or files, and its rows stand; run again"):
        begun.chunk(len(begun.run.chunks), last, last=True)
