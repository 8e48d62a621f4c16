"""X: the newest English posts that name a coin, reposts left out.

Source:  https://docs.x.com/x-api/posts/search/quickstart/recent-search; operators and the length of a query, 512
         characters: https://docs.x.com/x-api/posts/search/integrate/build-a-query; limit, 60 requests in 15 minutes:
         https://docs.x.com/x-api/posts/search/migrate/overview
Quirks:  Where nothing was found there is no `data`. One answer holds at most 100 posts: where more were written between
         two requests, the older ones are not told. Access is paid by use. A post that was edited has a new id.
Samples: tests/providers/test_text_sources.py, by that documentation: never tried against the service.
"""

from collections.abc import Sequence
from urllib.parse import quote

import msgspec

from tidelake.errors import FormatDrift
from tidelake.providers.text_source import Post, TextSource

MOST_LETTERS = 512  # of a query
_REST = " lang:en -is:retweet"


class _Post(msgspec.Struct):
    id: str
    text: str
    created_at: str


class _Meta(msgspec.Struct):
    result_count: int


class _Found(msgspec.Struct):
    meta: _Meta
    data: list[_Post] = []


_found = msgspec.json.Decoder(_Found).decode


def _path(symbols: Sequence[str], subreddits: Sequence[str]) -> str:
    """The search for the first coins that fit into one query."""
    words = [f"${symbol} OR {symbol}" for symbol in symbols]
    while len(asked := f"({' OR '.join(words)}){_REST}") > MOST_LETTERS:
        words.pop()
    return f"/2/tweets/search/recent?query={quote(asked, safe='')}&max_results=100&tweet.fields=created_at,lang"


def _read(body: bytes) -> list[Post]:
    try:
        told = _found(body).data
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise FormatDrift(f"posts of x: {exc}") from exc
    return [Post(post.id, post.created_at, post.text) for post in told]


SOURCE = TextSource(
    name="x",
    url="https://api.x.com",
    requests=60,
    seconds=900.0,
    interval_s=300.0,  # our choice: posts are billed, and each round asks for the newest again
    variables=("TIDELAKE_X_BEARER_TOKEN",),
    path=_path,
    read=_read,
)
