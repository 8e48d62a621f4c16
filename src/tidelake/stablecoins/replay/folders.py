"""A folder of history, whichever kind it is of."""

from pathlib import Path

from tidelake.stablecoins.replay.bars import BAR_FILES, BarsFolder
from tidelake.stablecoins.replay.csv_folder import CsvFolder


def open_history(folder: Path) -> BarsFolder | CsvFolder:
    """Bars where the folder itself holds files of bars, else CSV files.

    Raises:
        ConfigError: It holds neither.
    """
    return BarsFolder(folder) if any(folder.glob(BAR_FILES)) else CsvFolder(folder)
