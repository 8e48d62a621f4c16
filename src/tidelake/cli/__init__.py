"""The command line: a thin door onto the functions that Python users call."""


def main() -> None:
    """Run the command line and leave with its exit code: 0 done, 1 failed, 2 wrong use, 3 done with gaps."""
    from tidelake.cli.app import run

    raise SystemExit(run())
