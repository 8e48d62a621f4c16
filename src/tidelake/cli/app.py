"""The app: global options, the commands, and what an error looks like.

The command modules import nothing but typer, so that `--help` answers at once; each command imports what it runs.
Rich markup is off: the plain help is drawn twice as fast and keeps the examples as they are written.
"""

import signal
import sys
import traceback
from collections.abc import Sequence
from enum import StrEnum
from types import FrameType
from typing import Annotated

import typer

from tidelake.cli import (
    books,
    capture,
    coverage,
    demo,
    ingest,
    lake,
    lending,
    live,
    recordings,
    regimes,
    sim,
    stablecoins,
    tables,
)
from tidelake.cli.options import DONE, FAILED, WRONG_USE, Options
from tidelake.cli.output import Format
from tidelake.errors import ConfigError, TidelakeError

VALUED = ("--lake", "--format", "--log-level")
FLAGS = ("-v", "--verbose", "-q", "--quiet", "--log-json")
SIGNAL_BASE = 128

app = typer.Typer(
    name="tidelake",
    help="Crypto market data that can be proved: verbatim capture, exactly-once tables, point-in-time reads.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong use, 3 done with gaps or quarantined rows. Data goes to stdout, logs "
    "and progress to stderr. The options above may also stand behind the command.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"max_content_width": 110},
    pretty_exceptions_enable=False,
)
for group in (
    demo,
    lake,
    coverage,
    recordings,
    ingest,
    capture,
    live,
    tables,
    regimes,
    books,
    lending,
    stablecoins,
    sim,
):
    group.register(app)


class Level(StrEnum):
    """Log levels, lowest first."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


def _version(wanted: bool) -> None:
    if wanted:
        from tidelake import __version__

        typer.echo(f"tidelake {__version__}")
        raise typer.Exit


@app.callback()
def set_options(
    ctx: typer.Context,
    lake: Annotated[
        str, typer.Option(help="Path or URL of the lake. Else: TIDELAKE_LAKE, then tidelake.toml.", show_default=False)
    ] = "",
    format: Annotated[Format, typer.Option(help="How rows are written to stdout.")] = Format.table,
    log_level: Annotated[
        Level | None, typer.Option(help="Least level that is logged to stderr.  [default: info]", show_default=False)
    ] = None,
    log_json: Annotated[bool, typer.Option("--log-json", help="Logs as JSON objects, one a line.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Debug logs, and tracebacks of errors.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress and no report; warnings only.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Keep the global options for the command."""
    level = log_level or (Level.debug if verbose else Level.warning if quiet else Level.info)
    ctx.obj = Options(lake=lake, form=format, quiet=quiet, verbose=verbose, log_level=level.value, log_json=log_json)


def hoist(args: Sequence[str]) -> list[str]:
    """The arguments with the global options moved to the front, so that they may stand behind the command too."""
    front: list[str] = []
    rest: list[str] = []
    left = list(args)
    while left:
        arg = left.pop(0)
        if arg == "--":
            return [*front, *rest, arg, *left]
        if arg in FLAGS or arg.startswith(tuple(f"{name}=" for name in VALUED)):
            front.append(arg)
        elif arg in VALUED and left:
            front += [arg, left.pop(0)]
        else:
            rest.append(arg)
    return front + rest


def run(args: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code.

    Every error ends in one message on stderr, free of secrets; a traceback is shown only with -v.
    """
    given = hoist(sys.argv[1:] if args is None else args)
    caught = _Terminated()
    try:
        app(args=given, prog_name="tidelake")
    except SystemExit as exc:
        return _exit_code(exc, caught)
    except TidelakeError as exc:
        _report(exc, type(exc).__name__, given)
        return WRONG_USE if isinstance(exc, ConfigError) else FAILED
    except KeyboardInterrupt:
        return _exit_code(SystemExit(SIGNAL_BASE + signal.SIGINT), caught)
    except OSError as exc:
        unnamed = "" if exc.filename is not None else "unexpected "  # a file or folder that is named says what to do
        _report(exc, f"{unnamed}{type(exc).__name__}", given)
        return FAILED
    except Exception as exc:
        _report(exc, f"unexpected {type(exc).__name__}", given)
        return FAILED
    finally:
        caught.restore()
    return DONE


class _Terminated:
    """SIGTERM is handled as Ctrl-C is: what runs unwinds, seals what it holds, and ends."""

    def __init__(self) -> None:
        self.signal = 0
        try:
            self._before = signal.signal(signal.SIGTERM, self._on_signal)
        except ValueError:  # not in the main thread
            self._before = None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so it is in the background of a shell script
            signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.raise_signal(signal.SIGINT)

    def restore(self) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)


def _exit_code(exc: SystemExit, caught: _Terminated) -> int:
    code = exc.code if isinstance(exc.code, int) else DONE if exc.code is None else FAILED
    if code == SIGNAL_BASE + signal.SIGINT:
        _print("tidelake: stopped. What was sealed is safe; run the same command again to go on.")
        return SIGNAL_BASE + caught.signal if caught.signal else code
    return code


def _report(exc: Exception, title: str, args: Sequence[str]) -> None:
    if {"-v", "--verbose"} & set(args):
        _print("".join(traceback.format_exception(exc)).rstrip())
        return
    text = str(exc) or "no further message"
    told = isinstance(exc, TidelakeError) or (isinstance(exc, OSError) and exc.filename is not None)
    hint = "" if told else "\nThis is a defect. Run it again with -v for the traceback."
    _print(f"{title}: {text}{hint}")


def _print(text: str) -> None:
    from tidelake.logs import redact

    print(redact(text), file=sys.stderr)  # noqa: T201
