"""Planned faults of a simulated venue's sockets: how often each falls on a frame, and a record of those that did."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidelake.errors import ConfigError
from tidelake.sim.books.faults import checked


@dataclass(frozen=True)
class FramePlan:
    """What goes wrong between a venue and each client.

    Attributes:
        chances: By fault (`sim.books.faults.FAULTS`): probability for each book update; of stale-snapshot for each
            snapshot, of sync-disconnect for each subscription of a book. Frames of bars, funding, open interest and
            liquidations are lost, doubled, reordered and late with the same probabilities; trades never are, nor
            Deribit's liquidations, which are told with them.
        seed: Same seed, same draws for the nth client.
    """

    chances: Mapping[str, float] = field(default_factory=dict)
    seed: int = 1

    @classmethod
    def parse(cls, text: str, seed: int = 1) -> "FramePlan":
        """The plan of a short text such as "lost:0.01,reset:0.001"; empty text is no fault.

        Raises:
            ConfigError: A part is not understood.
        """
        chances = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            kind, _, rest = part.partition(":")
            try:
                chance = float(rest)
            except ValueError as exc:
                raise ConfigError(f"frame fault {part!r}: no probability; write it as lost:0.01") from exc
            if not 0 <= chance <= 1:
                raise ConfigError(f"frame fault {part!r}: {chance} is not between 0 and 1")
            chances[checked(kind)] = chance
        return cls(chances, seed)
