"""The options that every command knows, and what commands do with them."""

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

import typer

from tidelake.cli.output import Format, write_rows
from tidelake.cli.progress import Advance, shown

if TYPE_CHECKING:
    from tidelake.client import Lake
    from tidelake.raw.store import Store

DONE, FAILED, WRONG_USE, DONE_WITH_GAPS = 0, 1, 2, 3


class JobReport(Protocol):
    """What a job says at its end."""

    @property
    def rows(self) -> Sequence[object]: ...

    @property
    def summary(self) -> str: ...

    @property
    def exit_code(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said before the command.

    Attributes:
        lake: Path or URL given by --lake; "" where it was not given.
        form: How rows are written.
        quiet: No progress, no report, logs from "warning" up.
        verbose: Tracebacks, logs from "debug" up.
        log_level: Least level that is logged.
        log_json: Whether logs are JSON objects, one a line.
    """

    lake: str = ""
    form: Format = Format.table
    quiet: bool = False
    verbose: bool = False
    log_level: str = "info"
    log_json: bool = False

    def lake_url(self) -> str:
        """Where the lake is; raises ConfigError where no place says it."""
        from tidelake.config import setting

        return setting("lake", self.lake)

    def open_lake(self, *, make: bool = False, dry_run: bool = False) -> "Lake":
        """The lake; with `make` its folder is made where it is missing, else that is refused.

        With `dry_run` it is not made either: one in memory, as empty, stands in for it.
        """
        import tidelake
        from tidelake.config import setting

        mappings = setting("mappings", default="")
        return tidelake.open(self._address(make, dry_run), mappings=Path(mappings) if mappings else None)

    def open_store(self) -> "Store":
        from tidelake.raw.store import Store

        return Store.open(self._address(make=False))

    def _address(self, make: bool, dry_run: bool = False) -> str:
        from tidelake.errors import ConfigError

        url = self.lake_url()
        missing = "://" not in url and not Path(url).expanduser().exists()
        if make and dry_run and missing:
            return "memory:///dry-run"
        if not make and "://" not in url and not Path(url).is_dir():
            raise ConfigError(f"there is no lake at {url}; `tidelake init {url}` makes one", tried=(url,))
        return url

    def show(self, rows: object, columns: Sequence[str] | type = ()) -> None:
        """Write rows to stdout in the chosen format; who may have none says their columns, or their type."""
        write_rows(rows, self.form, sys.stdout, columns)

    def say(self, text: str) -> None:
        """Write a line for people to stderr."""
        if not self.quiet:
            print(text, file=sys.stderr)  # noqa: T201

    def finish(self, report: JobReport, kind: type) -> NoReturn:
        """Write the rows of a job's end report, each a `kind`, to stdout, and leave with its exit code."""
        self.show(report.rows, kind)
        self.say(report.summary)
        raise typer.Exit(report.exit_code)

    def progress(self, title: str) -> AbstractContextManager[Advance]:
        return shown(title, quiet=self.quiet)


def options(ctx: typer.Context) -> Options:
    """The options of this run; every command asks for them first, and logging starts here.

    Help never comes this far: structlog takes longer to import than help takes to draw.
    """
    from tidelake.logs import configure

    found = ctx.find_object(Options)
    assert found is not None, "the callback of the app sets them"
    configure(found.log_level, as_json=found.log_json)
    return found


def example(*lines: str) -> str:
    """The example under a command's help; each line keeps its place."""
    return "\n\n".join(("Example:", "\b\n" + "\n".join(f"  tidelake {line}" for line in lines)))
