"""Facts out of files: ours, in the folder `facts/` beside the code that reads them, and those of a folder of yours."""

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, TypeAlias, TypeVar

import msgspec

from tidelake.errors import ConfigError

_SHOWN = 10  # problems that an error lists

# A file of a public repository on GitHub, at a commit: owner/repository@commit:path.
Source: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[^@:\s]+/[^@:\s]+@[0-9a-f]{7,40}:.+$")]
KindT = TypeVar("KindT")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a thing of a registry.

    Attributes:
        of: Its id.
    """

    of: str
    text: str


def fact_files(package: str, folder: Path | None, ending: str, what: str) -> Iterator[Traversable]:
    """The files of that ending, those of `package` first, then those of `folder`, by name.

    Raises:
        ConfigError: `folder` is no folder; the message says that `what` of yours are read from one.
    """
    if folder is not None and not folder.is_dir():
        raise ConfigError(f"{folder} is no folder: {what} of your own are read from a folder", tried=(str(folder),))
    for place in (files(package) / "facts", *([] if folder is None else [folder])):
        yield from sorted((file for file in place.iterdir() if file.name.endswith(ending)), key=lambda file: file.name)


def read_facts(file: Traversable, kind: type[KindT]) -> KindT:
    """What a TOML file holds.

    Raises:
        ConfigError: It is not TOML or not of the form; the message names the file and the place in it.
    """
    try:
        return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), kind)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError, msgspec.ValidationError) as exc:
        raise ConfigError(f"{file}: {exc}", tried=(str(file),)) from exc


def refuse_problems(problems: Sequence[Problem], what: str) -> None:
    """Do nothing where there are none.

    Raises:
        ConfigError: There are; the message lists the first of them.
    """
    if not problems:
        return
    listed = "\n".join(f"  {problem.of}: {problem.text}" for problem in problems[:_SHOWN])
    more = f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    raise ConfigError(f"{len(problems)} problems in the registry of {what}:\n{listed}{more}")
