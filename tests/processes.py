"""Processes of tests, forked from a server that has imported what they need: importing takes longer than their work.

They begin with the environment that there is when they are made, and are killed as any other process.
"""

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "tidelake.books.reconstruction.day",
        "tidelake.jobs.acquire",
        "tidelake.jobs.collect_lending",
        "tidelake.jobs.imports",
        "tidelake.lending.position_rows",
        "tidelake.sim.chains.server",
        "tidelake.tables.derive",
    ]
)
PATIENT_SECONDS = 300


def process(target: Callable[..., Any], *args: Any, **kwargs: Any) -> ForkServerProcess:
    """A process that is not started yet."""
    return CONTEXT.Process(target=_begin, args=(dict(os.environ), target, args, kwargs))


def run(target: Callable[..., Any], *args: Any, **kwargs: Any) -> int | None:
    """Run it in a process; its exit code, minus the number of the signal that killed it, None where it does not end."""
    child = process(target, *args, **kwargs)
    child.start()
    child.join(PATIENT_SECONDS)
    return child.exitcode


def run_at_once(*children: ForkServerProcess) -> list[int | None]:
    """Run them beside each other; their exit codes."""
    for child in children:
        child.start()
    for child in children:
        child.join(PATIENT_SECONDS)
    return [child.exitcode for child in children]


def _begin(
    environment: dict[str, str], target: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    target(*args, **kwargs)
