"""What a source told, as tests look at it."""

from tidelake.providers.coin_source import CoinFact
from tidelake.stablecoins.sources.feed import Known


def fact(known: Known) -> CoinFact:
    """The fact of what must be one."""
    assert isinstance(known.told, CoinFact)
    return known.told


def rows(told: list[Known]):
    """Event time, time known, value."""
    return [(fact(one).event_us, one.known_us, fact(one).value) for one in told]
