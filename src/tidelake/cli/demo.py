"""Commands that show and measure: demo, bench."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from tidelake.cli.options import example, options


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command(epilog=example("demo", "demo --recordings ./captures/cryptofeed"))(demo)
    app.command(
        epilog=example("bench", "bench query --format json"),
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )(bench)


def demo(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Option(help="Folder of the demo's lake; made anew.")] = Path("demo-lake"),
    page: Annotated[Path, typer.Option(help="Page with charts; another, of a coin, beside it.")] = Path("demo.html"),
    recordings: Annotated[
        Path | None,
        typer.Option(help="Folder with recordings (cryptofeed, hftbacktest), to show the same on real frames."),
    ] = None,
) -> None:
    """Show the whole path, offline.

    Six simulated venues, a fault survived, one table, coverage, an SQL answer, an as-of read, books, a
    stablecoin that leaves its peg while a chain reorganises, and pages with charts.
    """
    opts = options(ctx)
    from tidelake.demo import run

    raise typer.Exit(run(folder, page=page, recordings=recordings, show=opts.show, say=opts.say))


def bench(
    ctx: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Only these benchmarks.")] = None,
) -> None:
    """Measure against budgets and peers.

    Runs in a checkout of the project, which holds the benchmarks.
    """
    opts = options(ctx)
    from tidelake.errors import ConfigError

    if not Path("benchmarks/__main__.py").is_file():
        tried = str(Path("benchmarks").resolve())
        raise ConfigError(f"no benchmarks in {tried}; run this in a checkout, or `make bench`", tried=(tried,))
    chosen = [*(names or ()), *ctx.args]
    form = ["--format", opts.form.value] if opts.form.value != "table" else []
    raise typer.Exit(subprocess.run([sys.executable, "-m", "benchmarks", *chosen, *form], check=False).returncode)
