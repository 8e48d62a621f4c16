"""What was told of a chain, read back from its lane in the words of coins' machines: the same as it was followed."""

from collections.abc import Iterable, Iterator

from tidelake.raw.store import Store
from tidelake.stablecoins.chain_words import ChainWords
from tidelake.stablecoins.coin import Coin
from tidelake.stablecoins.observation import Observation
from tidelake.stablecoins.sources.chain_lane import ChainTold, read_chain


def observations_of(words: ChainWords, told: ChainTold) -> list[Observation]:
    """What a note means; nothing of one whose logs are lost, so that its block goes on being awaited."""
    note = told.note
    if note.logs is not None:
        return [] if told.logs is None else words.take_logs(note.logs.block, told.logs, note.seen_us)
    return [] if note.output is None else words.take(note.output)


def read_observations(store: Store, chain: str, coins: Iterable[Coin], run: str) -> Iterator[Observation]:
    """All that a run was told of a chain, in its order; raises as `read_chain` does."""
    words = ChainWords(chain, coins)
    for told in read_chain(store, chain, run):
        yield from observations_of(words, told)
