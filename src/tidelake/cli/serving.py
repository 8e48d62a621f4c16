"""What commands that serve have in common: where they listen, and how they end."""

import sys
import time
from typing import Annotated

import typer

from tidelake.cli.options import Options

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")]


def serve(opts: Options, addresses: object) -> None:
    """Print the addresses, then wait for Ctrl-C or SIGTERM; whoever read an address may end it at once."""
    try:
        opts.show(addresses)
        sys.stdout.flush()
        opts.say("serving; Ctrl-C ends")
        while True:  # in short waits, so that a signal is seen at once everywhere
            time.sleep(0.5)
    except KeyboardInterrupt:
        opts.say("stopped")
