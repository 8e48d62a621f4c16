"""Settings: argument, environment, tidelake.toml, default, in that order.

`tidelake.toml` is looked for in the current folder and then upwards; a relative path in it is taken from its folder.
Secrets are read from the environment alone, where they are used, and are refused in the file.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tidelake.errors import ConfigError

FILE_NAME = "tidelake.toml"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting; its name is the same as argument, option and file key."""

    name: str
    variable: str
    meaning: str


SETTINGS = {
    setting.name: setting
    for setting in (
        Setting("lake", "TIDELAKE_LAKE", "path or URL of the lake: a folder, s3://, gs://, az:// or memory://"),
        Setting("mappings", "TIDELAKE_MAPPINGS", "folder with field mappings of your own"),
        Setting("markets", "TIDELAKE_MARKETS", "folder with lending markets of your own"),
        Setting("coins", "TIDELAKE_COINS", "folder with stablecoins of your own"),
        Setting("texts", "TIDELAKE_TEXTS", "folder with texts on stablecoins, one JSON object a line (*.jsonl)"),
        Setting("subreddits", "TIDELAKE_SUBREDDITS", "subreddits whose new posts are scored, with commas between"),
        Setting("bus", "TIDELAKE_BUS", "Redis of the live bus: redis://, rediss:// or unix://; none: in the process"),
        Setting("spool", "TIDELAKE_SPOOL", "local folder for part files of a lake that is not local"),
    )
}
SECRETS = ("key",)


def setting(
    name: str,
    argument: str | Path | None = None,
    *,
    default: str | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> str:
    """The value of a setting, from the first place that has one.

    Args:
        name: One of `SETTINGS`.
        argument: What the caller was given; None or "" means nothing.
        default: What holds where no place has a value.
        environ: The environment; the process's own by default.
        folder: Where the search for `tidelake.toml` starts; the current folder by default.

    Raises:
        ConfigError: No place has a value (`tried` lists them all), or the file cannot be used.
    """
    known = SETTINGS[name]
    if argument:
        return str(argument)
    if value := (os.environ if environ is None else environ).get(known.variable):
        return value
    start = (folder or Path.cwd()).resolve()
    file = find_file(start)
    if file is not None and (value := read_file(file).get(name)):
        return value
    if default is not None:
        return default
    raise _missing(known, start, file)


def find_file(folder: Path) -> Path | None:
    """The nearest `tidelake.toml`, from `folder` upwards; None where there is none."""
    candidates = (parent / FILE_NAME for parent in (folder, *folder.parents))
    return next((path for path in candidates if path.is_file()), None)


def read_file(path: Path) -> dict[str, str]:
    """The settings in a `tidelake.toml`, with relative paths made absolute.

    Raises:
        ConfigError: It is not TOML, holds a key that is not a setting, or a value that is not text.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as exc:
        raise ConfigError(f"{path} cannot be read: {exc}", tried=(str(path),)) from exc
    for name, value in found.items():
        _check(path, name, value)
    return {name: _absolute(value, path.parent) for name, value in found.items()}


def _check(path: Path, name: str, value: object) -> None:
    if name in SECRETS:
        text = f"{path}: {name!r} is a secret and is read from the environment only (TIDELAKE_{name.upper()})"
        raise ConfigError(f"{text}. Remove it from the file.", tried=(str(path),))
    if name not in SETTINGS:
        raise ConfigError(f"{path}: unknown setting {name!r}; known: {', '.join(SETTINGS)}", tried=(str(path),))
    if not isinstance(value, str):
        raise ConfigError(f"{path}: {name} must be text, found {type(value).__name__}", tried=(str(path),))


def _absolute(value: str, folder: Path) -> str:
    return value if "://" in value or not value else str(folder / Path(value).expanduser())


def _missing(known: Setting, start: Path, file: Path | None) -> ConfigError:
    where = f"{FILE_NAME} in {start} and the folders above it (none found)"
    tried = (
        f"argument: --{known.name} (not given)",
        f"environment: {known.variable} (not set)",
        f"file: {where}" if file is None else f"file: {file} (has no {known.name!r})",
        "default: none",
    )
    lines = "\n".join(f"  {place}" for place in tried)
    text = f"no value for {known.name!r} ({known.meaning}). Looked in, in this order:\n{lines}"
    return ConfigError(f"{text}\nSay --{known.name}, or set {known.variable}.", tried=tried)
