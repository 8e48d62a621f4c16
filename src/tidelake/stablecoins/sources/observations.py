"""What sources told, as the machines of coins take it."""

from collections.abc import Iterable, Iterator

from tidelake.stablecoins.observation import Observation
from tidelake.stablecoins.sources.feed import Known, Turn


def observation(known: Known) -> Observation:
    """A fact or a turn of a source as an observation.

    Values lose the digits that a double does not hold. A fact that is told again has the id of before, so that another
    value restates it: "source:coin:feature:event_us", and ":chain" behind it where it is of one.
    """
    told = known.told
    if isinstance(told, Turn):
        fact_id = f"{told.name}::source:{known.known_us}"
        value = float(told.is_up)
        return Observation("source", known.known_us, known.known_us, source=told.name, id=fact_id, value=value)
    fact_id = f"{told.source}:{told.coin}:{told.feature}:{told.event_us}" + (f":{told.chain}" if told.chain else "")
    return Observation(
        told.feature,
        told.event_us,
        known.known_us,
        coin=told.coin,
        chain=told.chain,
        source=told.source,
        id=fact_id,
        value=float(told.value),
    )


def observations(told: Iterable[Known]) -> Iterator[Observation]:
    """The same of many, in their order."""
    return map(observation, told)
