"""Reddit and X: requests and answers, as their documentation writes them."""

from urllib.parse import parse_qs, urlsplit

import pytest

from tidelake.errors import FormatDrift
from tidelake.providers import reddit, x
from tidelake.providers.text_source import Post

LISTING = b"""{"kind": "Listing", "data": {"after": "t3_a", "dist": 2, "children": [
{"kind": "t3", "data": {"name": "t3_b", "created_utc": 1757614100.0, "title": "USDC < 1?", "selftext": "It is back.",
 "subreddit": "defi", "score": 1}},
{"kind": "t3", "data": {"name": "t3_a", "created_utc": 1757614000.0, "title": "DAI", "selftext": "[removed]"}}]}}"""
FOUND = b"""{"data": [{"id": "1966", "text": "$USDC holds", "created_at": "2025-09-11T18:10:00.000Z", "lang": "en",
"edit_history_tweet_ids": ["1966"]}], "meta": {"newest_id": "1966", "oldest_id": "1966", "result_count": 1}}"""


def test_listing_of_reddit_tells_titles_and_texts_and_nothing_of_what_was_removed():
    posts = reddit.SOURCE.read(LISTING)
    assert posts == [Post("t3_b", 1757614100.0, "USDC < 1?\nIt is back."), Post("t3_a", 1757614000.0, "DAI")]


def test_search_of_x_tells_posts_and_none_where_nothing_was_found():
    assert x.SOURCE.read(FOUND) == [Post("1966", "2025-09-11T18:10:00.000Z", "$USDC holds")]
    assert x.SOURCE.read(b'{"meta": {"result_count": 0}}') == []


@pytest.mark.parametrize("body", [b"[]", b'{"error": "busy"}', b'{"data": [{"id": 5}]}', b"<html>"])
@pytest.mark.parametrize("source", [reddit.SOURCE, x.SOURCE], ids=lambda source: source.name)
def test_answer_of_another_form_is_drift(source, body):
    with pytest.raises(FormatDrift, match=source.name):
        source.read(body)


def test_reddit_is_asked_for_all_subreddits_at_once():
    assert reddit.SOURCE.path(["USDC"], ["defi", "Crypto/.."]) == "/r/defi+Crypto%2F../new?limit=100&raw_json=1"


@pytest.mark.parametrize("count", [1, 2, 30, 200])
def test_query_of_x_names_coins_as_far_as_it_may_be_long(count):
    path = urlsplit(x.SOURCE.path([f"COIN{n}" for n in range(count)], []))
    (query,) = parse_qs(path.query)["query"]
    assert query.startswith("($COIN0 OR COIN0")
    assert query.endswith(") lang:en -is:retweet")
    assert len(query) <= x.MOST_LETTERS
    assert (f"COIN{count - 1} " in query.replace(")", " ")) == (count <= 20)
