"""A real node for tests: `anvil`, from PATH or from npm, which puts it into the cache of the test run once.

Tests that ask for it are skipped by name where it is neither found nor to be had.
"""

import fcntl
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest

PACKAGE = "@foundry-rs/anvil@1.7.1"
INSTALL_SECONDS = 120
START_SECONDS = 30
CHAIN_ID = 31_337
OPTIONS = ("--host", "127.0.0.1", "--port", "0")
SLOTS = "--slots-in-an-epoch"


@dataclass(frozen=True)
class Anvil:
    """A node that runs.

    Attributes:
        url: Where it speaks JSON-RPC.
        process: Its process; it is ended with the test.
    """

    url: str
    process: "subprocess.Popen[str]"


def install(folder: Path) -> Path:
    """The program below a folder, installed there if it is not yet.

    Raises:
        LookupError: It is not to be had here; the text says why.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:  # the workers of a parallel run install it once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (found := list(folder.glob("node_modules/@foundry-rs/anvil-*/bin/anvil"))):
            _npm_install(folder)
            found = list(folder.glob("node_modules/@foundry-rs/anvil-*/bin/anvil"))
    if not found:
        raise LookupError(f"{PACKAGE} has no program for this machine")
    return found[0]


def _npm_install(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise LookupError("neither anvil nor npm is installed")
    command = [npm, "install", "--no-audit", "--no-fund", "--fetch-retries=1", "--prefix", str(folder), PACKAGE]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.CalledProcessError as exc:
        raise LookupError(f"npm did not install {PACKAGE}: {exc.stderr.strip()[-200:]}") from exc
    except (subprocess.TimeoutExpired, OSError) as exc:
        raise LookupError(f"npm did not install {PACKAGE}: {exc}") from exc


@contextmanager
def running_anvil(program: Path, *options: str) -> Iterator[Anvil]:
    """A fresh chain on a free local port.

    Args:
        program: What `install` found.
        options: Beyond `OPTIONS`, such as "--chain-id", "1". If they do not say otherwise an epoch has two slots: a
            block is safe after two more, and final after four.
    """
    slots = () if SLOTS in options else (SLOTS, "2")
    command = [str(program), *OPTIONS, *slots, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        lines: SimpleQueue[str] = SimpleQueue()
        reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
        reader.start()
        try:
            yield Anvil(f"http://{_address(lines)}", process)
        finally:
            process.kill()
            reader.join(5)


def _read(process: "subprocess.Popen[str]", lines: "SimpleQueue[str]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)


def _address(lines: "SimpleQueue[str]") -> str:
    said = ""
    try:
        while "Listening on" not in said:
            said = lines.get(timeout=START_SECONDS)
    except Empty:
        raise RuntimeError(f"anvil did not start in {START_SECONDS} s") from None
    return said.split()[-1]


@pytest.fixture(scope="session")
def anvil_program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if found := shutil.which("anvil"):
        return Path(found)
    cache = getattr(request.config, "cache", None)  # absent where the plugin is switched off
    try:
        return install(cache.mkdir("anvil") if cache else tmp_path_factory.mktemp("anvil"))
    except LookupError as exc:
        pytest.skip(f"needs anvil: {exc}")


@pytest.fixture
def start_anvil(anvil_program: Path) -> Iterator[Callable[..., Anvil]]:
    """Starts nodes, with options; they end with the test."""
    with ExitStack() as stack:
        yield lambda *options: stack.enter_context(running_anvil(anvil_program, *options))
