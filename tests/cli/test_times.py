from datetime import UTC, datetime, timedelta

import pytest
import typer

from tidelake.cli.times import needed_point, point, span


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("30s", timedelta(seconds=30)),
        ("90m", timedelta(minutes=90)),
        ("2h", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
        ("1w", timedelta(weeks=1)),
    ],
)
def test_span(text, length):
    assert span("--for", text) == length


@pytest.mark.parametrize("text", ["90", "m", "99999999999w", "", "-1h"])
def test_what_is_no_span_is_refused_by_the_name_of_its_option(text):
    with pytest.raises(typer.BadParameter, match="--for"):
        span("--for", text)


def test_time_without_a_zone_is_utc_and_others_are_turned_to_it():
    noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    assert point("2024-05-01T12:00") == point("2024-05-01T14:00+02:00") == point("2024-05-01T12:00Z") == noon
    assert point("2024-05-01") == datetime(2024, 5, 1, tzinfo=UTC)


def test_span_counts_back_from_now():
    found = needed_point("90m")
    assert timedelta(minutes=89) < datetime.now(UTC) - found < timedelta(minutes=91)


def test_empty_text_is_no_time_and_may_be_refused():
    assert point("") is None
    with pytest.raises(typer.BadParameter):
        needed_point("")


def test_other_text_is_refused_by_name():
    with pytest.raises(typer.BadParameter, match="'yesterday' is neither"):
        point("yesterday")


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00+12:00", "900000d"])
def test_a_time_that_no_calendar_holds_is_refused_by_name(text):
    with pytest.raises(typer.BadParameter, match="outside the years 1 to 9999"):
        point(text)
