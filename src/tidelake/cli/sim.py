"""Commands that simulate: sim venue, sim chain, sim coins, sim tokens, sim playback."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidelake.cli.options import example, options
from tidelake.cli.serving import Host, Port, serve
from tidelake.cli.sim_chain import chain
from tidelake.cli.sim_coins import coins
from tidelake.cli.sim_tokens import tokens

if TYPE_CHECKING:
    from tidelake.raw.frame import Frame


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    sim = typer.Typer(
        name="sim", no_args_is_help=True, rich_markup_mode=None, epilog=example("sim venue coinbase --port 8801")
    )
    sim.callback()(_sim)
    sim.command(
        epilog=example("sim venue coinbase --port 8801", "sim venue kraken okx --faults '429:0.1,torn:#3' --seed 7")
    )(venue)
    sim.command(
        epilog=example(
            "sim chain --chain ethereum --port 8545",
            "sim chain --chain base --requests 100 --latency 25 --also 'lagging=lag:50'",
        )
    )(chain)
    sim.command(
        epilog=example(
            "sim coins --days 30 --seed 7 --out ./history",
            "sim coins --days 7 --out ./crisis --crisis 'depeg:USDC@3d+12h=0.12,reorg:ethereum@75h=40'",
            "sim coins --days 30 --out ./mine --plain",
        )
    )(coins)
    sim.command(
        epilog=example("sim tokens http://127.0.0.1:8545 --every 2", "sim tokens http://127.0.0.1:8545 --blocks 100")
    )(tokens)
    sim.command(epilog=example("sim playback ./captures/COINBASE.gz --from cryptofeed --speed 10"))(playback)
    app.add_typer(sim)


def _sim() -> None:
    """Serve simulated venues and chains, and recordings; write histories of stablecoins.

    Served over the venues' own protocols, so that any client can be pointed at them.
    """


def venue(
    ctx: typer.Context,
    venues: Annotated[list[str], typer.Argument(metavar="VENUE", help="Source ids; several share one port.")],
    host: Host = "127.0.0.1",
    port: Port = 0,
    seed: Annotated[int, typer.Option(help="Seed of market and faults: same seed, same trades.")] = 1,
    rate: Annotated[float, typer.Option(min=0.001, help="Trades per second and product.")] = 1.0,
    hours: Annotated[float, typer.Option(min=0.0, help="History there is at least.")] = 6.0,
    faults: Annotated[
        str, typer.Option(help="What goes wrong, such as 429:0.1,torn:#3,lost-run:1000-1020@3.", metavar="PLAN")
    ] = "",
    updates: Annotated[
        float,
        typer.Option(
            min=0.001, help="Book updates per second and product, by WebSocket; all channels follow from them."
        ),
    ] = 10.0,
    frame_faults: Annotated[
        str,
        typer.Option(help="What goes wrong by WebSocket, per update, such as lost:0.01,reset:0.001.", metavar="PLAN"),
    ] = "",
    limits: Annotated[bool, typer.Option("--limits", help="Enforce the venue's documented rate limit.")] = False,
) -> None:
    """Serve simulated venues until stopped.

    They answer page for page, and stream frame for frame, as the real ones do: trades, book, quotes, candles, and of
    perpetuals funding (with mark price), open interest and liquidations. Their addresses go to stdout.
    """
    opts = options(ctx)
    from tidelake.sim.faults import FaultPlan
    from tidelake.sim.market import Market
    from tidelake.sim.server import SimServer
    from tidelake.sim.sockets.plan import FramePlan

    market = Market(seed, hours=hours, rate=rate)
    plan = FaultPlan.parse(faults, seed)
    names = venues[0] if len(venues) == 1 else venues
    frames = FramePlan.parse(frame_faults, seed)
    with SimServer(
        names, market, plan, limits=limits, frame_faults=frames, updates=updates, host=host, port=port
    ) as server:
        serve(opts, [{"venue": name, "url": server.url_of(name)} for name in venues])


def playback(
    ctx: typer.Context,
    recording: Annotated[Path, typer.Argument(help="A recording, plain or gzip.")],
    form: Annotated[str, typer.Option("--from", help="Format: cryptofeed or hftbacktest.", metavar="FORMAT")],
    host: Host = "127.0.0.1",
    port: Port = 0,
    speed: Annotated[float, typer.Option(min=0.0, help="1 is real time, 10 ten times as fast, 0 at once.")] = 1.0,
) -> None:
    """Serve a recording until stopped.

    Over HTTP and WebSocket, as it was heard; its addresses go to stdout.
    """
    opts = options(ctx)
    from tidelake.sim.playback import Playback

    lines = ((frame.recv_ns, frame.kind, frame.payload, frame.request) for frame in recorded_frames(recording, form))
    server = Playback(lines, speed=speed, host=host, port=port)
    with server:
        serve(opts, {"recording": recording, "http": server.url, "websocket": server.ws_url})


def recorded_frames(path: Path, form: str) -> "Iterator[Frame]":
    """The frames of a recording, in the order of its lines.

    Raises:
        ConfigError: There is no such file.
        FormatDrift: The file is not in the format.
    """
    from tidelake.errors import ConfigError
    from tidelake.raw.recordings import FORMATS, recording_format
    from tidelake.raw.recordings.files import RecordingFile
    from tidelake.raw.recordings.lines import frames_of_block
    from tidelake.raw.recordings.sniff import check_format

    if not path.is_file():
        raise ConfigError(f"no such file: {path}", tried=(str(path),))
    found, count, clock_ns = recording_format(form), 0, -1
    with path.open("rb") as file:
        for block in RecordingFile(file, path.stat().st_size).blocks():
            if clock_ns < 0:
                clock_ns = check_format(found, block, FORMATS.values())
            for frame in frames_of_block(found, block, count, clock_ns):
                count, clock_ns = frame.n + 1, frame.recv_ns
                yield frame
