"""Stream names of venues that name a channel and a symbol apart: "<channel>:<symbol>"."""

from collections.abc import Callable, Iterable


def named(channel: str) -> Callable[[str], tuple[str, ...]]:
    """The one stream of a symbol on a channel."""
    return lambda symbol: (f"{channel}:{symbol}",)


def channel_of(name: str) -> str:
    """The channel of a name."""
    return name.partition(":")[0]


def symbol_of(name: str) -> str:
    """The symbol of a name."""
    return name.partition(":")[2]


def by_channel(names: Iterable[str]) -> dict[str, list[str]]:
    """The symbols of each channel, in the order of the names."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(channel_of(name), []).append(symbol_of(name))
    return found
