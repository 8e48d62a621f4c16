"""Write docs/cli.md, the reference of the command line, from the commands' own help: `make docs`."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
HEAD = """# The command line

Written by `make docs` from the help of each command; do not edit it by hand.
"""


def help_of(args: list[str]) -> str:
    """What `tidelake ARGS --help` prints, 100 columns wide."""
    from tidelake.cli.app import run

    os.environ["COLUMNS"] = "100"
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        run([*args, "--help"])
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()).strip()


def commands() -> Iterator[list[str]]:
    """The words of each command, in the order of the help; groups before what is in them."""
    from tidelake.cli.app import app

    for command in app.registered_commands:
        yield [name_of(command)]
    for group in filter(None, (info.typer_instance for info in app.registered_groups)):
        yield [str(group.info.name)]
        yield from ([str(group.info.name), name_of(command)] for command in group.registered_commands)


def name_of(command: object) -> str:
    """The word that calls a registered command."""
    return str(getattr(command, "name", None) or getattr(command, "callback").__name__.replace("_", "-"))  # noqa: B009


def page() -> str:
    """The whole page."""
    parts = [f"## tidelake\n\n```text\n{help_of([])}\n```\n"]
    parts += [f"## tidelake {' '.join(words)}\n\n```text\n{help_of(words)}\n```\n" for words in commands()]
    return "\n".join([HEAD, *parts])


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}", file=sys.stderr)
