"""The detection matrix: a sample of it here, all of it in `make soak`; the benchmark writes docs/detection.md."""

import pytest
from benchmarks.detection import FIRST_SEED, ROWS, TRIALS, applies, cell, outcome

from tidelake.sim.books.faults import FAULTS

ASKED = [pytest.param(row, fault, id=f"{row[0]}-{fault}") for row in ROWS for fault in FAULTS if applies(row[1], fault)]


@pytest.mark.parametrize(("row", "fault"), ASKED)
def test_no_wrong_book_goes_unseen_where_updates_are_numbered(row, fault):
    assert cell(row, fault, range(FIRST_SEED, FIRST_SEED + 2)).broken == []


@pytest.mark.soak
@pytest.mark.parametrize(("row", "fault"), ASKED)
def test_no_wrong_book_goes_unseen_in_the_whole_matrix(row, fault):
    assert cell(row, fault, range(FIRST_SEED, FIRST_SEED + TRIALS)).broken == []


def test_a_venue_that_offers_nothing_never_has_a_valid_book():
    row = next(row for row in ROWS if row[0] == "coinbase")
    for fault in ("lost", "corrupted", "stale-snapshot"):
        told = cell(row, fault, range(FIRST_SEED, FIRST_SEED + 6))
        assert all(t.wrong == 0 for t in told.trials)
        assert any(t.unproven for t in told.trials)
        assert "unseen" not in outcome(told)


def test_a_changed_digit_is_unseen_where_numbers_alone_are_sent():
    """What keeps the matrix honest: a judge that never saw a wrong book would find none unseen."""
    row = next(row for row in ROWS if row[0] == "deribit")
    told = cell(row, "corrupted", range(FIRST_SEED, FIRST_SEED + 6))
    assert len(told.undetected) > 3
    assert "**unseen" in outcome(told)
