import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from tidelake.raw.coverage import StreamCoverage, coverage, holes
from tidelake.raw.entry import FIRST_PREV, Axis, Claim, Entry, Note, Segment, Span

HORIZON = 600  # stands for "open" in the oracle; nothing lies beyond
LOWEST, HIGHEST = -5, 300  # stand for numbers that are not known


def entry(*notes: Note, spans: Any = (), lane: str = "l", axis: Axis = "trade_seq", transport: str = "rest") -> Entry:
    """An entry of the stream toy/trades/X; a span is (first, last), its times are ten times its numbers."""
    scale = 10 if axis == "trade_seq" else 1
    made = tuple(Span(first, last, first * scale, last * scale) for first, last in spans)
    count = sum(span.last - span.first + 1 for span in made)
    claim = Claim("trades", "X", axis, transport, count, made, notes)
    segment = Segment("raw/toy/l/d/0-0", "", 0, "", 0, 1)
    return Entry(lane, 0, FIRST_PREV, "toy", segment, 0, 0, 0, 0, 0, "w", 0, claims=(claim,))


def wanted(since: int, until: int = 0) -> Note:
    return Note("wanted", since_ns=since, until_ns=until)


def one(*entries: Entry) -> StreamCoverage:
    (stream,) = coverage(entries)
    return stream


def shown(stream: StreamCoverage) -> list[tuple[str, int, int]]:
    return [(interval.state, interval.first, interval.last) for interval in stream.intervals]


def test_nothing_covers_nothing():
    assert coverage([]) == []


def test_consecutive_numbers_of_all_lanes_are_one_valid_run():
    stream = one(entry(spans=[(5, 7)], lane="a"), entry(spans=[(1, 4), (6, 9)], lane="b"))
    assert shown(stream) == [("VALID", 1, 9)]
    (run,) = stream.intervals
    assert (run.rule, run.count, run.first_ns, run.last_ns) == ("consecutive-ids", 9, 10, 90)
    assert (stream.messages, stream.gaps, stream.gaps_per_million) == (11, 0, 0.0)


def test_removed_frame_of_a_recording_is_exactly_one_gap():
    stream = one(entry(spans=[(1, 4)], transport="ws"), entry(spans=[(6, 9)], transport="ws"))
    assert shown(stream) == [("VALID", 1, 4), ("GAP", 5, 5), ("VALID", 6, 9)]
    gap = stream.intervals[1]
    assert (gap.rule, gap.count, gap.first_ns, gap.last_ns, gap.out_of_reach) == ("ids-missing", 1, 40, 60, False)
    assert (stream.gaps, stream.gaps_per_million) == (1, 1e6 / 8)
    assert (stream.watermark, stream.watermark_ns) == (4, 40)
    assert holes(stream) == holes([stream]) == [gap]


def test_time_between_two_recordings_is_no_gap():
    stream = one(entry(spans=[(1, 4)], transport="ws", lane="a"), entry(spans=[(60, 90)], transport="ws", lane="b"))
    assert shown(stream) == [("VALID", 1, 4), ("VALID", 60, 90)]
    assert stream.watermark == 90


def test_pages_without_a_wish_have_no_gaps_and_no_watermark():
    stream = one(entry(spans=[(1, 4), (6, 9)]))
    assert stream.gaps == 0
    assert stream.watermark is None


def test_gap_inside_a_wanted_period_stops_the_watermark_until_it_is_filled():
    entries = [entry(wanted(15), spans=[(1, 4)]), entry(spans=[(8, 9)])]
    assert shown(one(*entries)) == [("VALID", 1, 4), ("GAP", 5, 7), ("VALID", 8, 9)]
    assert one(*entries).watermark == 4
    filled = one(*entries, entry(spans=[(5, 7)], lane="repair"))
    assert shown(filled) == [("VALID", 1, 9)]
    assert filled.watermark == 9


def test_no_gap_across_time_that_nobody_asked_for():
    jan = entry(wanted(100, 200), spans=[(9, 20)])
    march = entry(wanted(500, 600), Note("reached", first=51, since_ns=500), spans=[(51, 60)])
    stream = one(march, jan)
    # Trade 20 has the time 200, which is past January's end, so nothing is open there.
    assert shown(stream) == [("VALID", 9, 20), ("VALID", 51, 60)]
    assert stream.watermark == 60
    assert [(period.since_ns, period.until_ns) for period in stream.wanted] == [(100, 200), (500, 600)]


def test_gap_of_two_wanted_periods_with_unwanted_time_between_is_two_gaps_of_unknown_extent():
    stream = one(entry(wanted(100, 200), spans=[(9, 15)]), entry(wanted(500, 600), spans=[(51, 60)]))
    assert shown(stream) == [("VALID", 9, 15), ("GAP", 16, 0), ("GAP", 0, 50), ("VALID", 51, 60)]
    assert [(gap.first_ns, gap.last_ns, gap.count) for gap in holes(stream)] == [(150, 199, 0), (500, 510, 0)]
    assert stream.watermark is None


def test_start_of_a_wanted_period_that_was_not_reached_is_an_open_gap():
    stream = one(entry(wanted(100), spans=[(30, 40)]))
    assert shown(stream) == [("GAP", 0, 29), ("VALID", 30, 40)]
    assert (stream.intervals[0].rule, stream.intervals[0].first_ns) == ("start-not-reached", 100)
    assert stream.watermark is None


@pytest.mark.parametrize("extra", [entry(Note("reached", first=30, since_ns=100)), entry(spans=[(9, 29)])])
def test_start_that_was_reached_is_no_gap(extra):
    stream = one(entry(wanted(100), spans=[(30, 40)]), extra)
    assert stream.gaps == 0
    assert stream.watermark == 40


def test_first_trade_at_the_very_start_may_have_others_before_it():
    assert shown(one(entry(wanted(300), spans=[(30, 40)]))) == [("GAP", 0, 29), ("VALID", 30, 40)]


def test_reached_note_of_a_later_start_leaves_the_earlier_wish_open():
    stream = one(entry(wanted(100), Note("reached", first=30, since_ns=200), spans=[(30, 40)]))
    (gap,) = holes(stream)
    assert (gap.first, gap.last, gap.first_ns, gap.last_ns) == (0, 29, 100, 199)


def test_wanted_period_without_any_trade_is_a_gap():
    stream = one(entry(wanted(100, 300)))
    assert shown(stream) == [("GAP", 0, 0)]
    assert (stream.intervals[0].first_ns, stream.intervals[0].last_ns) == (100, 299)
    assert shown(one(entry(wanted(100)))) == [("GAP", 0, 0)]
    assert one(entry(wanted(100))).intervals[0].last_ns == 0


def test_unreachable_note_marks_what_it_names_and_nothing_else():
    note = Note("unreachable", first=5, last=7)
    stream = one(entry(wanted(15), spans=[(1, 4), (11, 12), (14, 15)]), entry(note))
    assert [(i.state, i.first, i.last, i.out_of_reach) for i in stream.intervals] == [
        ("VALID", 1, 4, False),
        ("GAP", 5, 7, True),
        ("GAP", 8, 10, False),
        ("VALID", 11, 12, False),
        ("GAP", 13, 13, False),
        ("VALID", 14, 15, False),
    ]
    assert stream.gaps == 3


def test_open_start_past_the_venues_reach_is_marked_and_later_closed():
    entries = [entry(wanted(100), Note("unreachable", first=0, last=29), spans=[(30, 40)])]
    (gap,) = holes(one(*entries))
    assert (gap.first, gap.last, gap.out_of_reach) == (0, 29, True)
    assert (one(*entries).watermark, one(*entries).resume) == (40, 40)
    assert holes(one(*entries, entry(spans=[(5, 29)]))) == []


def test_absent_numbers_are_suspect_and_the_watermark_stays_before_them():
    stream = one(entry(wanted(15), Note("absent", first=5, last=5), spans=[(1, 4), (6, 9)]))
    assert shown(stream) == [("VALID", 1, 4), ("SUSPECT", 5, 5), ("VALID", 6, 9)]
    assert stream.intervals[1].rule == "absent-at-venue"
    assert (stream.gaps, stream.watermark, stream.resume, stream.resume_ns) == (0, 4, 9, 90)
    assert holes(stream) == []
    assert shown(one(entry(wanted(15), Note("absent", first=5, last=5), spans=[(1, 9)]))) == [("VALID", 1, 9)]


def test_absent_counts_more_than_out_of_reach():
    notes = (Note("unreachable", first=5, last=7), Note("absent", first=6, last=6))
    for order in (notes, notes[::-1]):
        stream = one(entry(wanted(15), *order, spans=[(1, 4), (8, 9)]))
        assert [(i.state, i.out_of_reach) for i in stream.intervals[1:-1]] == [
            ("GAP", True), ("SUSPECT", False), ("GAP", True),
        ]  # fmt: skip


def test_resume_stops_at_the_first_hole_that_can_be_closed():
    stream = one(entry(wanted(15), Note("absent", first=5, last=5), spans=[(1, 4), (6, 9), (11, 12)]))
    assert (stream.watermark, stream.resume) == (4, 9)


def test_times_touch_only_where_they_share_one():
    stream = one(entry(wanted(1), spans=[(1, 5), (5, 9), (10, 12)], axis="event_time"))
    assert shown(stream) == [("UNPROVABLE", 1, 9), ("UNPROVABLE", 10, 12)]
    assert {interval.rule for interval in stream.intervals} == {"unnumbered"}
    assert stream.watermark == 9
    stream = one(entry(wanted(1), spans=[(1, 5), (8, 9)], axis="event_time"))
    assert shown(stream) == [("UNPROVABLE", 1, 5), ("GAP", 6, 7), ("UNPROVABLE", 8, 9)]


def test_run_of_times_that_reaches_back_to_the_one_before_continues_it():
    entries = [
        entry(wanted(1), spans=[(1, 5)], axis="event_time"),
        entry(Note("reached", first=20, since_ns=5), spans=[(20, 30)], axis="event_time"),
    ]
    stream = one(*entries)
    assert shown(stream) == [("UNPROVABLE", 1, 30)]
    assert stream.watermark == 30


def test_latest_wanted_period_gives_the_watermark():
    live = entry(wanted(1000), Note("reached", first=101, since_ns=1000), spans=[(101, 140)])
    backfill = entry(wanted(100, 300), spans=[(9, 20), (25, 31)], lane="backfill")
    stream = one(live, backfill)
    assert stream.watermark == 140
    assert [(gap.first, gap.last) for gap in holes(stream)] == [(21, 24)]


def test_period_with_an_end_is_a_gap_after_its_last_run_until_that_is_reached():
    pages = entry(wanted(10, 95), spans=[(1, 8)])
    [gap] = holes(one(pages))
    assert (gap.first, gap.last, gap.first_ns, gap.last_ns, gap.rule) == (9, 0, 80, 94, "end-not-reached")
    assert not holes(one(pages, entry(Note("reached", last=8, until_ns=95))))
    assert not holes(one(pages, entry(spans=[(9, 10)])))
    assert not holes(one(entry(wanted(10), spans=[(1, 8)])))
    [gap] = holes(one(entry(wanted(1, 20), spans=[(1, 8)], axis="event_time")))
    assert (gap.first, gap.last) == (9, 19)


def test_streams_are_kept_apart_and_in_order():
    claims = [
        Claim("trades", symbol, "trade_seq", "rest", 1, (Span(n, n, n, n),)) for n, symbol in ((3, "B"), (1, "A"))
    ]
    entries = [msgspec.structs.replace(entry(), source=source, claims=tuple(claims)) for source in ("z", "a")]
    assert [(s.source, s.symbol) for s in coverage(entries)] == [("a", "A"), ("a", "B"), ("z", "A"), ("z", "B")]


# The oracle: numbers and times as plain sets, one by one.

numbers = st.integers(10, 24)
times = st.integers(80, 160)
ranges = st.tuples(numbers, st.integers(0, 3)).map(lambda r: (r[0], r[0] + r[1]))
wishes = st.tuples(times, st.integers(1, 50)).map(lambda r: wanted(r[0], r[0] + r[1])) | times.map(wanted)
noted = st.one_of(
    wishes,
    st.builds(lambda r: Note("unreachable", first=r[0], last=r[1]), ranges),
    st.builds(lambda r: Note("absent", first=r[0], last=r[1]), ranges),
    st.builds(
        lambda first, back: Note("reached", first=first, since_ns=first * 10 - back), numbers, st.integers(0, 60)
    ),
    st.builds(lambda last, on: Note("reached", last=last, until_ns=last * 10 + on), numbers, st.integers(0, 60)),
)
parts = st.lists(
    st.tuples(st.lists(ranges, max_size=3), st.lists(noted, max_size=3), st.sampled_from("abc")), min_size=1, max_size=6
)


def blocks(values: set[int]) -> list[list[int]]:
    """Maximal runs of neighbours."""
    found: list[list[int]] = []
    for value in sorted(values):
        if found and value == found[-1][-1] + 1:
            found[-1].append(value)
        else:
            found.append([value])
    return found


def times_of(notes: list[Note]) -> set[int]:
    return {t for note in notes if note.note == "wanted" for t in range(note.since_ns, note.until_ns or HORIZON)}


def reaches_back_to(run: list[int], notes: list[Note]) -> int:
    return min([n.since_ns for n in notes if n.note == "reached" and n.first in run], default=HORIZON)


def with_an_end(asked: set[int]) -> set[int]:
    return {t for block in blocks(asked) if block[-1] != HORIZON - 1 for t in block}


def marks(number: int, notes: list[Note]) -> tuple[str, bool]:
    names = {note.note for note in notes if note.note != "reached" and note.first <= number <= note.last}
    return ("SUSPECT", False) if "absent" in names else ("GAP", "unreachable" in names)


def naive_numbered(have: set[int], notes: list[Note], heard: list[range]) -> tuple[set[tuple[Any, ...]], int | None]:
    """Holes as (number, first_ns, last_ns, state, out_of_reach), one by one, and the watermark."""
    asked, runs = times_of(notes), blocks(have)
    found: set[tuple[Any, ...]] = set()
    listened = {t for lane in heard for t in range(lane[0] * 10, lane[-1] * 10 + 1)}
    latest = blocks(asked | listened)[-1] if asked | listened else []
    watermark: int | None = None
    for i, run in enumerate(runs):
        back = reaches_back_to(run, notes)
        until = back if back < run[0] * 10 else run[0] * 10 + 1  # the first time at which nothing is missing
        start = runs[i - 1][-1] * 10 if i else -HORIZON
        between = set(range(start, max(until, start + 1)))
        meant = i > 0 and any(run[0] - 1 in lane for lane in heard)
        before: set[tuple[Any, ...]] = set()
        for piece in blocks(between if meant else between & asked):
            low = runs[i - 1][-1] + 1 if i and piece[0] == start else LOWEST
            high = run[0] - 1 if piece[-1] == max(between) else HIGHEST
            before |= {(n, piece[0], piece[-1], *marks(n, notes)) for n in range(low, high + 1)}
        found |= before
        if watermark is None and latest and run[-1] * 10 >= latest[0] and min(run[0] * 10, back) <= latest[-1]:
            open_before = any(hole[3] == "GAP" and not hole[4] and hole[1] >= latest[0] for hole in before)
            watermark = HIGHEST if open_before else run[-1]
    if runs:
        on = max((n.until_ns for n in notes if n.note == "reached" and n.last in runs[-1]), default=-HORIZON)
        start = max(runs[-1][-1] * 10, on)
        for piece in blocks({t for t in with_an_end(asked) if t >= start}):
            low = runs[-1][-1] + 1 if piece[0] == start else LOWEST
            found |= {(n, piece[0], piece[-1], *marks(n, notes)) for n in range(low, HIGHEST + 1)}
    else:
        found = {(n, p[0], p[-1], *marks(n, notes)) for p in blocks(asked) for n in range(LOWEST, HIGHEST + 1)}
    return found, None if watermark == HIGHEST else watermark


def one_by_one(stream: StreamCoverage) -> set[tuple[Any, ...]]:
    return {
        (number, hole.first_ns, hole.last_ns or HORIZON - 1, hole.state, hole.out_of_reach)
        for hole in stream.intervals
        if hole.state in ("GAP", "SUSPECT")
        for number in range(hole.first or LOWEST, (hole.last or HIGHEST) + 1)
    }


@settings(max_examples=600, deadline=None)
@given(parts, st.sampled_from(["ws", "rest"]))
def test_numbered_coverage_equals_the_sets_of_numbers(made, transport):
    entries = [entry(*notes, spans=spans, lane=lane, transport=transport) for spans, notes, lane in made]
    have = {n for spans, _, _ in made for first, last in spans for n in range(first, last + 1)}
    notes = [note for _, some, _ in made for note in some]
    heard: list[range] = []
    for lane in "abc" if transport == "ws" else "":
        ends = [n for spans, _, at in made if at == lane for span in spans for n in span]
        heard += [range(min(ends), max(ends) + 1)] if ends else []
    stream = one(*entries)
    expected, watermark = naive_numbered(have, notes, heard)
    assert one_by_one(stream) == expected
    valid = [interval for interval in stream.intervals if interval.state == "VALID"]
    assert [list(range(run.first, run.last + 1)) for run in valid] == blocks(have)
    assert stream.watermark == watermark
    shuffled = random.Random(1).sample(entries, len(entries))
    assert coverage(shuffled) == coverage(entries)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(times, st.integers(0, 9)).map(lambda r: (r[0], r[0] + r[1])), max_size=6),
    st.lists(wishes, max_size=2),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30)), max_size=2),
)
def test_unnumbered_coverage_equals_the_sets_of_times(spans, asked, reached):
    back = [Note("reached", first=spans[i][0], since_ns=spans[i][0] - by) for i, by in reached if i < len(spans)]
    stream = one(entry(*asked, *back, spans=spans, axis="event_time"))
    have = {t for first, last in spans for t in range(first, last + 1)}
    known = have | {t for note in back for t in range(note.since_ns, note.first)}
    gaps = {t for hole in holes(stream) for t in range(hole.first, (hole.last or HORIZON - 1) + 1)}
    ended = with_an_end(times_of(asked))
    assert gaps == {t for t in times_of(asked) - known if t < max(have, default=HORIZON) or t in ended}
    present = {t for run in stream.intervals if run.state == "UNPROVABLE" for t in range(run.first, run.last + 1)}
    assert have <= present <= known
    assert (stream.watermark is None) or (stream.watermark in have and not gaps & {stream.watermark})
