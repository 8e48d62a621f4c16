"""Progress of long work on stderr; silent where nobody watches."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Advance(Protocol):
    """Called by long work: how much is done, of how much where that is known, and what is in hand."""

    def __call__(self, done: int, total: int | None = None, what: str = "") -> None: ...


def silent(done: int, total: int | None = None, what: str = "") -> None:
    """Show nothing."""


@contextmanager
def shown(title: str, *, quiet: bool) -> Iterator[Advance]:
    """A progress bar on stderr while the block runs; nothing when quiet or when stderr is not a terminal."""
    if quiet or not sys.stderr.isatty():
        yield silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)

        def advance(done: int, total: int | None = None, what: str = "") -> None:
            bar.update(task, completed=done, total=total, description=f"{title} {what}".rstrip())

        yield advance
