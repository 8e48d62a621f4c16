"""Where a run stands, in one file, and what may go on from it."""

from collections.abc import Collection
from pathlib import Path

import msgspec

from tidelake.errors import ConfigError
from tidelake.stablecoins.fleet import SavedFleet
from tidelake.stablecoins.score import PRIOR, Exponents
from tidelake.stablecoins.state_files import read_state, write_state


class Checkpoint(msgspec.Struct):
    """Where a run stands after a batch.

    Attributes:
        number: Of the batch; the tables have it.
        taken: Observations so far, with the clock's.
        known_us: The virtual clock.
        counts: Records so far, by kind.
        powers: Exponents of the score.
        history: What is played; "" where that was not said.
    """

    number: int
    taken: int
    known_us: int
    fleet: SavedFleet
    sizes: dict[str, int]
    counts: dict[str, int]
    done: bool = False
    powers: Exponents = PRIOR
    history: str = ""


class Checkpoints:
    """The two files of a run: its last checkpoint, and where the batch ends that comes after it.

    Args:
        run: Its name, which names the files.

    Raises:
        ConfigError: The name cannot name a file.
    """

    def __init__(self, folder: Path, run: str) -> None:
        if not run or run.startswith(".") or {"/", "\\", "\0"} & set(run):
            raise ConfigError(
                f"{run!r} cannot be the name of a run: it names files, so it holds no / and begins with no ."
            )
        self._run, self._path = run, folder / f"{run}.json"

    def load(self) -> Checkpoint | None:
        """The last checkpoint; None before the first."""
        found = read_state(self._path)
        return msgspec.json.decode(found, type=Checkpoint) if found else None

    def save(self, checkpoint: Checkpoint) -> None:
        """Put it in the place of the last one."""
        write_state(self._path, msgspec.json.encode(checkpoint))

    def load_end(self) -> int:
        """So many observations were to be taken when the batch ends that was being committed; 0 for none."""
        return int(read_state(self._path.with_suffix(".next")) or 0)

    def save_end(self, taken: int) -> None:
        """Write down where the next batch ends, before it is committed."""
        write_state(self._path.with_suffix(".next"), str(taken).encode())

    def check(self, found: Checkpoint | None, powers: Exponents, history: str, coins: Collection[str]) -> None:
        """Raise where a run was begun with something else than what it shall go on with.

        Raises:
            ConfigError: With other exponents, another history or other coins.
        """
        if found is None:
            return
        if found.powers != powers:
            begun = found.powers.version or "the prior ones"
            raise ConfigError(
                f"run {self._run} was begun with other exponents, {begun}; give it those, or another name"
            )
        if found.history and history and found.history != history:
            raise ConfigError(
                f"run {self._run} plays another history ({found.history}, not {history}); give it that one as it was, "
                "or another name"
            )
        if set(found.fleet.machines) != set(coins):
            begun = ", ".join(sorted(found.fleet.machines))
            raise ConfigError(f"run {self._run} was begun with other coins, {begun}; give it those, or another name")

    def check_tables(self, found: Checkpoint | None, last: int) -> None:
        """Raise where tables and checkpoint cannot be of one run: going on would leave rows out.

        Args:
            last: Number of the newest batch in any table; 0 for none.

        Raises:
            ConfigError: The tables have batches that the checkpoint does not know, or none of those that it does.
        """
        number, taken = (found.number, found.taken) if found else (0, 0)
        if last > number + (self.load_end() > taken):
            raise ConfigError(
                f"the tables hold {last} batches of a run {self._run}, and its state in {self._path.parent} knows of "
                f"{number}: it is of another machine, or was lost. Give it another name"
            )
        if found and found.counts and not last:
            raise ConfigError(
                f"the state of run {self._run} says that its rows are in the tables, and they hold none: give it "
                f"another name, or delete {self._path} to begin anew"
            )
