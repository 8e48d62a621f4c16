"""Faults planted in a clean day: each is found and named, with its figures, and the strategy follows from it."""

from pathlib import Path

import polars as pl
import pytest

from tests.books.assessment.market_day import HOUR_NS, MIDNIGHT_NS, NS, MarketDay, clean_day, hour
from tidelake.books.assessment.assessment import DayAssessment
from tidelake.books.assessment.day_grid import clock_text
from tidelake.books.assessment.findings import Finding

RECV, EVENT = pl.col("received_time"), pl.col("origin_time")


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> DayAssessment:
    return clean_day().assessed(tmp_path_factory.mktemp("clean"))


def only(day: DayAssessment, name: str, table: str = "") -> Finding:
    """The one finding of that name that is not fine."""
    found = [each for each in day.findings if each.name == name and each.severity != "fine" and table in each.table]
    assert len(found) == 1, [each.sentence for each in day.findings if each.severity != "fine"]
    return found[0]


def troubles(day: DayAssessment) -> set[tuple[str, str]]:
    """Name and table of all findings that are not fine."""
    return {(each.name, each.table) for each in day.findings if each.severity != "fine"}


def test_clean_day_has_nothing_but_fine_findings(clean: DayAssessment):
    assert troubles(clean) == set()
    assert clean.fit
    assert clean.choice.strategy == "full_event_replay"
    assert clean.choice.refused == {}
    agreement = clean.figures.agreement
    assert agreement is not None
    assert (agreement.began, agreement.compared, agreement.agreeing) == (1, 2_879, 2_879)
    deltas = clean.figures.tables["deltas"]
    assert (deltas.messages, deltas.rows) == (43_200, len(clean_day().deltas))
    assert deltas.coverage.minutes_with == 1_440
    assert deltas.clocks.latency_p50_ms == pytest.approx(22.5, rel=0.01)


def test_missing_messages_are_counted_by_their_numbers(tmp_path: Path):
    day = clean_day()
    lost = pl.col("sequence_number").is_in([20_001, 20_002, 30_000])
    found = day.changed(deltas=day.deltas.filter(~lost)).assessed(tmp_path)
    gaps = only(found, "missing numbers")
    assert gaps.severity == "warning"
    assert gaps.figures == {"missing": 3, "gaps": 2, "longest_step": 3}
    assert "first after number 20000" in gaps.sentence
    agreement = found.figures.agreement
    assert agreement is not None
    assert (agreement.broken, agreement.began, agreement.compared) == (2, 3, 2_877)
    assert agreement.share == 1  # a snapshot after a break begins the book anew
    assert found.choice.strategy == "full_event_replay"


def test_missing_rows_of_a_message_show_as_snapshots_that_differ(tmp_path: Path):
    day = clean_day()
    best = (pl.col("sequence_number") % 15 == 1) & (pl.col("size") > 0)
    found = day.changed(deltas=day.deltas.filter(~(best & hour("received_time", 6, 18)))).assessed(tmp_path)
    agreement = only(found, "agreement")
    assert agreement.severity == "serious"
    assert "deltas" not in {each.table for each in found.findings if each.name == "missing numbers"}
    assert found.choice.strategy == "snapshot_anchored"
    assert "agree with the replayed deltas" in found.choice.refused["full_event_replay"]


def test_missing_hour_is_named_by_its_times(tmp_path: Path):
    day = clean_day()
    found = day.changed(deltas=day.deltas.filter(~hour("received_time", 10, 11))).assessed(tmp_path)
    silence = only(found, "silence")
    assert silence.severity == "serious"
    assert silence.table == "book_delta_v2"
    assert silence.figures == {"first": "09:59:59", "last": "11:00:01", "silent_too": []}
    assert "the other tables go on" in silence.sentence
    assert only(found, "missing numbers").figures == {"missing": 1_800, "gaps": 1, "longest_step": 1_801}
    assert found.choice.strategy == "full_event_replay"  # the other hours agree
    assert not found.fit


def test_hour_missing_in_all_tables_is_laid_to_the_recorder(tmp_path: Path):
    day = clean_day()
    away = ~hour("received_time", 10, 11)
    found = MarketDay(day.deltas.filter(away), day.snapshots.filter(away), day.trades.filter(away)).assessed(tmp_path)
    silences = [each for each in found.findings if each.name == "silence" and each.severity != "fine"]
    assert [each.table for each in silences if each.severity == "serious"] == ["book", "book_delta_v2"]
    assert all("all tables are silent" in each.sentence for each in silences)


def test_day_that_breaks_off_is_named(tmp_path: Path):
    day = clean_day()
    found = day.changed(trades=day.trades.filter(hour("received_time", 0, 9))).assessed(tmp_path)
    ends = only(found, "whole day")
    assert ends.table == "trades"
    assert ends.figures == {"first": "00:00:01", "last": "08:59:55"}


def test_event_times_that_say_nothing_are_told_by_kind(tmp_path: Path):
    day = clean_day()
    bad = (
        pl.when(hour("received_time", 1, 2)).then(None)
        .when(hour("received_time", 2, 3)).then(0)
        .when(hour("received_time", 3, 4)).then(-1)
        .when(hour("received_time", 4, 5)).then(86_400 * NS)
        .when(hour("received_time", 5, 6)).then(EVENT - 48 * HOUR_NS)
        .when(hour("received_time", 6, 7)).then(EVENT + 48 * HOUR_NS)
        .otherwise(EVENT)
    )  # fmt: skip
    found = day.changed(trades=day.trades.with_columns(origin_time=bad)).assessed(tmp_path)
    told = only(found, "event times")
    assert told.severity == "warning"
    kinds = {"empty", "zero", "-1", "before 2009", "of an earlier day", "of a later day"}
    assert told.figures == dict.fromkeys(kinds, 600)
    assert troubles(found) == {("event times", "trades"), ("clock ahead", "trades")}
    assert "only 75 % of trades have" in found.choice.refused["origin_time_sort"]


@pytest.mark.parametrize("value", [None, 0, -1, 86_400 * NS])
def test_table_without_event_times_is_a_note(tmp_path: Path, value: int | None):
    day = clean_day()
    empty = pl.lit(value, pl.Int64)
    found = day.changed(deltas=day.deltas.with_columns(origin_time=empty)).assessed(tmp_path)
    told = only(found, "event times")
    assert (told.severity, told.table) == ("note", "book_delta_v2")
    assert list((told.figures or {}).values()) == [43_200]
    assert found.choice.strategy == "full_event_replay"


def test_event_times_that_are_copies_are_no_latency(tmp_path: Path):
    day = clean_day()
    found = day.changed(trades=day.trades.with_columns(origin_time=RECV)).assessed(tmp_path)
    assert only(found, "event times").sentence.startswith("Every event time equals the receive clock")
    assert "copies" in found.choice.refused["origin_time_sort"]


def test_clock_behind_the_exchange_in_all_tables_is_one_offset(tmp_path: Path):
    day = clean_day()
    early = RECV - 1_200_000_000
    tables = [table.with_columns(received_time=early) for table in (day.deltas, day.snapshots, day.trades)]
    found = MarketDay(*tables).assessed(tmp_path)
    offset = only(found, "clock offset")
    assert (offset.severity, offset.table) == ("warning", "")
    assert offset.sentence.startswith("In all tables.")
    assert "behind the exchange's" in offset.sentence
    assert set(offset.figures or {}) == {"book", "book_delta_v2", "trades"}
    deltas = found.figures.tables["deltas"].clocks
    assert deltas.latency_p50_ms == pytest.approx(-1_177.5, rel=0.01)
    assert deltas.latency_least_ms == pytest.approx(-1_180, abs=0.01)
    assert deltas.after_received == deltas.usable - deltas.recv_outside_day
    assert found.choice.strategy == "full_event_replay"


def test_receive_clock_of_one_table_an_hour_off_refuses_the_replay_by_it(tmp_path: Path):
    day, part = clean_day(), hour("received_time", 1, 22)
    shifted = day.trades.filter(part).with_columns(received_time=RECV + HOUR_NS)
    found = MarketDay(day.deltas.filter(part), day.snapshots.filter(part), shifted).assessed(tmp_path)
    apart = only(found, "clocks of tables")
    assert (apart.severity, apart.table) == ("serious", "trades")
    assert "differs from that of the other tables by 60 min: its receive clock looks" in apart.sentence
    assert "receive clock of trades" in found.choice.refused["full_event_replay"]
    assert found.choice.strategy == "origin_time_sort"


def test_shifted_table_that_is_cut_at_midnight_leaves_open_which_clock_it_is(tmp_path: Path):
    day = clean_day()
    shifted = day.trades.with_columns(received_time=RECV + HOUR_NS).filter(hour("received_time", 0, 24))
    found = day.changed(trades=shifted).assessed(tmp_path)
    apart = only(found, "clocks of tables")
    assert (apart.severity, apart.table) == ("serious", "trades")
    assert "its receive clock or event time looks shifted" in apart.sentence


def test_receive_clock_of_one_table_set_by_an_hour_refuses_the_replay_by_it(tmp_path: Path):
    day = clean_day()
    later = pl.when(hour("received_time", 12, 24)).then(RECV + HOUR_NS).otherwise(RECV)
    shifted = day.trades.with_columns(received_time=later).filter(hour("received_time", 0, 24))
    found = day.changed(trades=shifted).assessed(tmp_path)
    shift = only(found, "shifted clock")
    assert (shift.severity, shift.table) == ("serious", "trades")
    assert shift.sentence.endswith("its receive clock was set.")
    assert "receive clock of trades is set by 59.9 min at 13:00:00" in found.choice.refused["full_event_replay"]
    assert found.choice.strategy == "origin_time_sort"


def test_event_times_of_one_table_set_by_an_hour_refuse_the_sort_by_them(tmp_path: Path):
    day = clean_day()
    earlier = pl.when(hour("received_time", 12, 24)).then(EVENT - HOUR_NS).otherwise(EVENT)
    found = day.changed(trades=day.trades.with_columns(origin_time=earlier)).assessed(tmp_path)
    assert only(found, "shifted clock").sentence.endswith("its event time was set.")
    assert "event time of trades is set by 59.9 min at 12:00:00" in found.choice.refused["origin_time_sort"]
    assert found.choice.strategy == "full_event_replay"


def test_event_times_of_one_table_an_hour_off_refuse_the_sort_by_them(tmp_path: Path):
    day = clean_day()
    found = day.changed(trades=day.trades.with_columns(origin_time=EVENT - HOUR_NS)).assessed(tmp_path)
    assert "its event time looks shifted" in only(found, "clocks of tables").sentence
    assert "event time of trades" in found.choice.refused["origin_time_sort"]
    assert found.choice.strategy == "full_event_replay"


def test_clock_that_is_set_during_the_day_is_told_when_and_by_how_much(tmp_path: Path):
    day = clean_day()
    later = pl.when(hour("received_time", 15, 24)).then(RECV + 3 * NS).otherwise(RECV)
    found = day.changed(deltas=day.deltas.with_columns(received_time=later)).assessed(tmp_path)
    shift = only(found, "shifted clock")
    assert shift.severity == "serious"
    figures = dict(shift.figures or {})
    assert figures.pop("by_ms") == pytest.approx(3_000, rel=0.01)
    assert figures == {"at": "15:00:00", "alone": True}
    assert only(found, "receive clock").figures == {"outside_day": 2}


@pytest.mark.parametrize("clock", ["received_time", "origin_time"])
@pytest.mark.parametrize("table", ["trades", "deltas", "snapshots"])
def test_one_clock_that_is_ahead_of_those_after_it_is_told(tmp_path: Path, table: str, clock: str):
    day, word = clean_day(), {"received_time": "receive clock", "origin_time": "event time"}[clock]
    rows = getattr(day, table)
    after = rows[clock].cast(pl.Int64).unique().sort()
    one = after[len(after) // 2]
    changed = rows.with_columns(
        pl.when(pl.col(clock) == one).then(pl.col(clock) + 600 * NS).otherwise(pl.col(clock)).alias(clock)
    )
    found = day.changed(**{table: changed}).assessed(tmp_path)
    held = int(((after > one) & (after < one + 540 * NS)).sum())
    ahead = only(found, "clock ahead", {"deltas": "delta", "snapshots": "book"}.get(table, table))
    assert ahead.figures == {"clock": word, "behind": held}
    assert (ahead.severity == "serious") == (clock == "received_time")
    refused = found.choice.refused
    why = refused["full_event_replay"] if clock == "received_time" else refused["origin_time_sort"]
    assert f"the {word} of {ahead.table} runs ahead" in why


def test_clock_that_drifts_is_told_by_the_hour(tmp_path: Path):
    day = clean_day()
    drifting = RECV + (RECV - MIDNIGHT_NS) // 36_000  # 100 ms an hour
    found = day.changed(trades=day.trades.with_columns(received_time=drifting)).assessed(tmp_path)
    assert (only(found, "clock drift").figures or {})["ms_per_hour"] == pytest.approx(100, rel=0.02)


def test_doubled_rows_are_counted(tmp_path: Path):
    day = clean_day()
    doubled = pl.concat([day.trades, day.trades[1_000:1_100]])
    messages = pl.col("sequence_number").is_between(500, 509)
    deltas = pl.concat([day.deltas, day.deltas.filter(messages)])
    found = day.changed(trades=doubled, deltas=deltas).assessed(tmp_path)
    assert only(found, "repeated numbers", "trades").figures == {"repeated": 100}
    assert only(found, "repeated numbers", "delta").figures == {"repeated": 10}
    assert found.figures.agreement is not None
    assert found.figures.agreement.share == 1  # the replay leaves repeats out


def test_rows_out_of_order_are_counted_and_do_not_hinder_the_replay(tmp_path: Path):
    day = clean_day()
    moved = hour("received_time", 4, 4.5)
    deltas = pl.concat([day.deltas.filter(~moved), day.deltas.filter(moved)])
    found = day.changed(deltas=deltas).assessed(tmp_path)
    assert only(found, "numbers out of order").figures == {"out_of_order": 1}
    assert only(found, "receive clock").figures == {"backwards": 1}
    assert found.figures.agreement is not None
    assert found.figures.agreement.share == 1
    assert found.figures.cost.parts["sorting book_delta_v2"] == len(day.deltas) * 150


def test_shuffled_messages_have_numbers_that_order_nothing(tmp_path: Path):
    day = clean_day()
    shuffled = day.deltas.sort(pl.col("sequence_number") * 7_919 % 43_201)
    found = day.changed(deltas=shuffled).assessed(tmp_path)
    assert only(found, "numbers out of order").severity == "serious"
    assert found.figures.tables["deltas"].sequences.kind == "unordered"
    assert "do not order them" in found.choice.refused["full_event_replay"]


def test_day_without_snapshots_can_be_anchored_nowhere(tmp_path: Path):
    day = clean_day()
    found = day.changed(snapshots=day.snapshots.clear()).assessed(tmp_path)
    assert only(found, "no snapshots").severity == "serious"
    assert found.choice.strategy is None
    assert found.choice.reason == "nothing here can be anchored"
    assert set(found.choice.refused) == {"full_event_replay", "origin_time_sort", "snapshot_anchored"}


def test_day_without_deltas_is_anchored_by_its_snapshots(tmp_path: Path):
    day = clean_day()
    found = day.changed(deltas=day.deltas.clear()).assessed(tmp_path)
    assert only(found, "no deltas").severity == "serious"
    assert found.choice.strategy == "snapshot_anchored"
    assert found.choice.refused["full_event_replay"] == "there are no deltas"


def test_crossed_locked_and_empty_snapshots_are_counted_apart(tmp_path: Path):
    day = clean_day()
    ask = pl.col("ask_0_price")
    bid = (
        pl.when(hour("received_time", 3, 3.1)).then(ask + 0.01)
        .when(hour("received_time", 4, 4.05)).then(ask)
        .otherwise("bid_0_price")
    )  # fmt: skip
    snapshots = day.snapshots.with_columns(bid_0_price=bid)
    found = day.changed(snapshots=snapshots).assessed(tmp_path)
    assert (only(found, "crossed snapshots").figures or {})["count"] == 12
    assert (only(found, "locked snapshots").figures or {})["count"] == 6
    assert only(found, "crossed snapshots").severity == "warning"
    shown = found.figures.tables["snapshots"].snapshots
    assert shown is not None
    assert (shown.unsorted, shown.one_sided, shown.levels_least, shown.full) == (0, 0, 20, 2_880)


def test_snapshots_with_bids_and_asks_swapped_are_named_and_refused(tmp_path: Path):
    day = clean_day()
    names = {name: name.replace("bid", "ask") if "bid" in name else name.replace("ask", "bid")
             for name in day.snapshots.columns}  # fmt: skip
    found = day.changed(snapshots=day.snapshots.rename(names)).assessed(tmp_path)
    crossed = only(found, "crossed snapshots")
    assert crossed.severity == "serious"
    assert crossed.sentence.endswith("bids and asks look swapped.")
    assert "of the snapshots cannot be books" in found.choice.refused["snapshot_anchored"]
    assert found.choice.strategy is None


def test_levels_out_of_order_are_serious(tmp_path: Path):
    day = clean_day()
    snapshots = day.snapshots.rename({"bid_3_price": "bid_4_price", "bid_4_price": "bid_3_price"})
    found = day.changed(snapshots=snapshots).assessed(tmp_path)
    assert (only(found, "unsorted snapshots").figures or {})["count"] == 2_880


def test_trades_of_another_symbol_lie_outside_the_book(tmp_path: Path):
    day = clean_day()
    found = day.changed(trades=day.trades.with_columns(price=pl.col("price") / 20)).assessed(tmp_path)
    outside = only(found, "trades outside the book")
    assert outside.severity == "serious"
    assert (outside.figures or {})["outside"] == (outside.figures or {})["compared"] == 14_399  # none is near the last
    names = [each for each in found.findings if each.name == "prices of tables"]
    assert all("not of the same market" in each.sentence for each in names)
    assert {each.severity for each in names} == {"serious"}


def test_price_and_size_swapped_are_named(tmp_path: Path):
    day = clean_day()
    swapped = day.trades.rename({"price": "quantity", "quantity": "price"})
    found = day.changed(trades=swapped).assessed(tmp_path)
    told = [each for each in found.findings if each.name == "prices of tables"]
    assert {each.table for each in told} == {"trades"}
    assert all("price and size of trades look swapped" in each.sentence for each in told)


def test_sides_of_trades_swapped_are_named(tmp_path: Path):
    day, buy = clean_day(), pl.col("side") == "buy"
    other = pl.when(buy).then(pl.lit("sell")).otherwise(pl.lit("buy"))
    late = pl.col("origin_time", "received_time") + 50_000_000
    spread = pl.when(buy).then(-0.02).otherwise(0.02)
    answers = day.trades.with_columns(late, side=other, price=pl.col("price") + spread)
    both = pl.concat([day.trades, answers]).sort("received_time").with_row_index("number")
    both = both.with_columns(trade_id=pl.col("number").cast(pl.String)).drop("number")
    found = day.changed(trades=both).assessed(tmp_path)
    assert troubles(found) == set()
    swapped = day.changed(trades=both.with_columns(side=other)).assessed(tmp_path)
    told = only(swapped, "sides of trades").sentence
    assert told.startswith("Of 14,400 buys and sells within a tenth of a second, the buy is dearer in 0 %")


def test_one_wild_price_is_named_with_its_time(tmp_path: Path):
    day = clean_day()
    wild = pl.when(pl.col("trade_id") == "6000").then(pl.col("price") * 3).otherwise("price")
    found = day.changed(trades=day.trades.with_columns(price=wild)).assessed(tmp_path)
    jumps = only(found, "price jumps")
    assert jumps.figures == {"jumps": 2}
    assert f"at {clock_text(MIDNIGHT_NS + 6_001 * NS)} UTC, has 3 times its price" in jumps.sentence


def test_sizes_below_zero_are_serious_and_refuse_the_replay(tmp_path: Path):
    day = clean_day()
    negative = pl.when(pl.col("sequence_number") == 777).then(-pl.col("size") - 1).otherwise("size")
    count = len(day.deltas.filter(pl.col("sequence_number") == 777))
    found = day.changed(deltas=day.deltas.with_columns(size=negative)).assessed(tmp_path)
    assert only(found, "delta numbers").figures == {"size": count}
    assert "no possible price or size" in found.choice.refused["full_event_replay"]
    assert found.choice.strategy == "snapshot_anchored"
    assert found.figures.not_replayed


def test_sample_looks_at_the_beginning_alone(tmp_path: Path):
    found = clean_day().assessed(tmp_path, sample_ns=HOUR_NS)
    assert found.figures.tables["deltas"].messages == 1_800
    assert found.figures.tables["trades"].messages == 600
    assert troubles(found) == set()
