"""On which days all logs are known, against the slow way: block by block."""

import datetime as dt

from hypothesis import given, settings, strategies as st

from tidelake.lending.panel.log_days import Told, is_known_since, judge_log_days
from tidelake.lending.recorded import BlockNote, LogsNote

START = dt.date(2024, 1, 1)
PER_DAY = 5
LAST_DAY = 5


@st.composite
def told_ranges(draw):
    """Notes of ranges, some of another market, some that nobody answered, some taken back later."""
    notes = []
    for number in range(draw(st.integers(0, 8))):
        if notes and draw(st.integers(0, 3)) == 0:
            one = draw(st.sampled_from(notes)).note
            stands = draw(st.none() | st.integers(one.first - 1, one.last))
            note = LogsNote(one.first, one.last, one.hash_first, one.hash_last, "RETRACTED", stands=stands)
        else:
            first = draw(st.integers(0, PER_DAY * LAST_DAY))
            last = first + draw(st.integers(0, 12))
            proof = draw(st.sampled_from(("two providers", "one provider")))
            names = draw(st.sampled_from((("m",), ("m", "other"), ("other",))))
            state = draw(st.sampled_from(("COVERED", "COVERED", "SOURCE_FAILED")))
            note = LogsNote(first, last, f"h{first}", f"h{last}", state, proof, names)
        notes.append(Told(note, number))
    return notes


def pins(days):
    """The last block of day n is (n + 1) * PER_DAY - 1."""
    found = []
    for day in days:
        block = ((day - START).days + 1) * PER_DAY - 1
        found.append(Told(BlockNote(day.isoformat(), "PINNED", block, "h", 0), 1_000))
    return found


def slow(ranges, day, deployed):
    """Each block of the day by itself: by whom it is covered once all notes were told in order."""
    number = (day - START).days
    blocks = range(max(number * PER_DAY, deployed), (number + 1) * PER_DAY)
    proofs = []
    for block in blocks:
        standing = []
        for told in ranges:
            note = told.note
            if note.state == "RETRACTED" and (note.stands is None or block > note.stands):
                standing = [one for one in standing if (one.first, one.last) != (note.first, note.last)]
            elif note.state == "RETRACTED":
                continue
            elif note.state == "COVERED" and "m" in note.markets and note.first <= block <= note.last:
                standing.append(note)
        proofs.append({one.proof for one in standing})
    if not proofs or not all(proofs):
        return None
    return "OK" if all("two providers" in one for one in proofs) else "UNPROVEN"


@settings(max_examples=300, deadline=None)
@given(told_ranges(), st.integers(0, 12))
def test_days_whose_logs_are_known(ranges, deployed):
    days = [START + dt.timedelta(days=n) for n in range(LAST_DAY)]
    told = pins([START - dt.timedelta(days=1), *days])
    found = {day: state for _, day, state, _ in judge_log_days("m", told, ranges, days, deployed)}
    wanted = {day: state for day in days if (state := slow(ranges, day, deployed))}
    assert found == wanted
    for day in days:
        whole = all(slow(ranges, one, 0) for one in days[: (day - START).days + 1])
        assert is_known_since("m", ranges, 0, ((day - START).days + 1) * PER_DAY - 1) == whole


def test_day_without_its_block_or_the_one_before_is_not_known():
    days = [START + dt.timedelta(days=n) for n in range(3)]
    covered = [Told(LogsNote(0, 99, "a", "b", "COVERED", "two providers", ("m",)), 7)]
    assert judge_log_days("m", pins([days[0], days[2]]), covered, days, None) == []
    orphaned = [*pins(days), Told(BlockNote(days[0].isoformat(), "RETRACTED", 4, "h", 0), 2_000)]
    assert judge_log_days("m", orphaned, covered, days, None) == [("m", days[2], "OK", 1_000)]


def test_logs_that_were_asked_by_other_topics_tell_nothing():
    note = LogsNote(0, 9, "a", "b", "COVERED", "two providers", ("m",))
    assert Told(note, 1).holds(["x"])
    assert Told(note, 1, frozenset({"x", "y"})).holds(["x"])
    assert not Told(note, 1, frozenset({"y"})).holds(["x"])
