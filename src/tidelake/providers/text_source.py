"""The words in which a source of texts is described; `providers/<name>.py` holds one `TextSource` each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec


class Post(msgspec.Struct, frozen=True):
    """A text as a source tells it.

    Attributes:
        id: Its id there: the same post is told again and again.
        time: When it was said: seconds since 1970, or ISO 8601 with a zone.
    """

    id: str
    time: str | float
    text: str


@dataclass(frozen=True)
class TextSource:
    """One source, which is asked only with secrets of the environment, at its own hosts.

    Attributes:
        name: Its id: of its pages in the lane of texts, and of its health.
        url: Where it is asked.
        requests, seconds: At most so many requests in so long.
        interval_s: Time between two requests.
        variables: Of the environment: the bearer token; or id and secret of a client, where `login_url` is told.
        path: Symbols of coins and names of subreddits -> the request, without the host.
        read: The body of an answer -> its posts, in its order; raises FormatDrift where it is of another form.
        login_url: Where a client gets its token (OAuth 2.0, client credentials); "" where the variable is the token.
        headers: Sent with each request.
    """

    name: str
    url: str
    requests: float
    seconds: float
    interval_s: float
    variables: tuple[str, ...]
    path: Callable[[Sequence[str], Sequence[str]], str]
    read: Callable[[bytes], list[Post]]
    login_url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
