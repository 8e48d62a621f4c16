"""Points in time on the command line: ISO 8601, UTC where no zone is given, or a span back from now ("90m")."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import typer

from tidelake.durations import parse_duration


def point(text: str) -> datetime | None:
    """The point in time; None for "".

    Raises:
        BadParameter: The text is neither ISO 8601 nor a span.
    """
    if not text:
        return None
    try:
        with suppress(ValueError):
            return datetime.now(UTC) - parse_duration(text)
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError:
        raise typer.BadParameter(f"{text!r} lies outside the years 1 to 9999 in UTC") from None
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a time (2024-05-01T12:00Z) nor a span back (90m)") from None


def needed_point(text: str) -> datetime:
    """As `point`, of a text that is not empty."""
    found = point(text)
    if found is None:
        raise typer.BadParameter("a time is needed, such as 2024-05-01T12:00Z")
    return found


def span(option: str, text: str) -> timedelta:
    """The span that an option was given, such as "30s", "90m", "2h", "3d" or "1w".

    Raises:
        BadParameter: The text is none; the message names the option.
    """
    try:
        return parse_duration(text)
    except ValueError as exc:
        raise typer.BadParameter(f"{option}: {exc}") from None
