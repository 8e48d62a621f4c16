"""Markets out of files: ours (`facts/`) and those of a folder of yours, in the same form."""

import csv
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from pathlib import Path

import msgspec

from tidelake.chains.fact_files import fact_files, read_facts
from tidelake.errors import ConfigError
from tidelake.lending.market import KnownAsset, Market

ASSETS = "assets.csv"


class _File(msgspec.Struct, forbid_unknown_fields=True):
    market: tuple[Market, ...] = ()


def read_markets(folder: Path | None = None) -> tuple[Market, ...]:
    """All markets of the files `*.toml`, ours first, then those of `folder`, by name of file.

    Raises:
        ConfigError: A file is not TOML or not of the form; the message names the file and the place in it.
    """
    return tuple(market for file in _all_files(folder, ".toml") for market in read_facts(file, _File).market)


def read_assets(folder: Path | None = None) -> tuple[KnownAsset, ...]:
    """The known assets of `assets.csv`, ours first, then that of `folder` where there is one.

    Raises:
        ConfigError: A file is not of the form; the message names the file and the line.
    """
    found = [file for file in _all_files(folder, ".csv") if file.name == ASSETS]
    return tuple(asset for file in found for asset in _read_assets(file))


def _all_files(folder: Path | None, ending: str) -> Iterator[Traversable]:
    return fact_files("tidelake.lending", folder, ending, "lending markets")


def _read_assets(file: Traversable) -> Iterator[KnownAsset]:
    line = 1
    try:
        for row in csv.DictReader(file.read_text(encoding="utf-8").splitlines(), strict=True):
            line += 1
            yield msgspec.convert({name: value or None for name, value in row.items()}, KnownAsset, strict=False)
    except (UnicodeDecodeError, OSError, csv.Error, msgspec.ValidationError, TypeError) as exc:
        raise ConfigError(f"{file}, line {line}: {exc}", tried=(str(file),)) from exc
