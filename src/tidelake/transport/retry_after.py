"""What a Retry-After header asks for."""

import datetime as dt
from email.utils import parsedate_to_datetime


def retry_after_seconds(value: str | None, now: dt.datetime) -> float | None:
    """Seconds to wait: from a number or an HTTP date; None where the header is missing or says neither."""
    text = (value or "").strip()
    if not text:
        return None
    if text.replace(".", "", 1).isdecimal():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=dt.UTC)
    return max(0.0, (at - now).total_seconds())
