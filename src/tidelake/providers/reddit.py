"""Reddit: the newest posts of subreddits, by an application's own token.

Source:  https://www.reddit.com/dev/api#GET_new; token: https://github.com/reddit-archive/reddit/wiki/OAuth2 under
         "application only"; limit of a client, 60 requests a minute, and User-Agent: ../reddit/wiki/API there
Quirks:  Without `raw_json=1` the signs <, > and & are escaped. One answer holds at most 100 posts: where more were
         written between two requests, the older ones are not told. Comments are not told. The text of a post that was
         removed reads "[removed]" or "[deleted]".
Samples: tests/providers/test_text_sources.py, by that documentation: never tried against the service.
"""

from collections.abc import Sequence
from urllib.parse import quote

import msgspec

from tidelake.errors import FormatDrift
from tidelake.providers.text_source import Post, TextSource

GONE = frozenset({"[removed]", "[deleted]"})


class _Submission(msgspec.Struct):
    name: str
    created_utc: float
    title: str
    selftext: str = ""


class _Child(msgspec.Struct):
    data: _Submission


class _Children(msgspec.Struct):
    children: list[_Child]


class _Listing(msgspec.Struct):
    data: _Children


_listing = msgspec.json.Decoder(_Listing).decode


def _path(symbols: Sequence[str], subreddits: Sequence[str]) -> str:
    return f"/r/{'+'.join(quote(name, safe='') for name in subreddits)}/new?limit=100&raw_json=1"


def _read(body: bytes) -> list[Post]:
    try:
        told = _listing(body).data.children
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise FormatDrift(f"posts of reddit: {exc}") from exc
    return [_post(child.data) for child in told]


def _post(told: _Submission) -> Post:
    own = "" if told.selftext in GONE else told.selftext
    return Post(told.name, told.created_utc, f"{told.title}\n{own}".strip())


SOURCE = TextSource(
    name="reddit",
    url="https://oauth.reddit.com",
    requests=60,
    seconds=60.0,
    interval_s=60.0,
    variables=("TIDELAKE_REDDIT_CLIENT_ID", "TIDELAKE_REDDIT_CLIENT_SECRET"),
    path=_path,
    read=_read,
    login_url="https://www.reddit.com/api/v1/access_token",
    headers={"User-Agent": "python:tidelake"},
)
