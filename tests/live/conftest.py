"""A real Redis on a free port, for tests that need one."""

import contextlib
import random
import shutil
import socket
import subprocess
import time

import pytest

from tests.live.live_rows import BookMessages
from tidelake.books.engine import BookEngine


def free_port():
    """A port that the system gives to no connection that leaves while the server is away."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


class RedisServer:
    """A Redis that can be killed and started again with what it had."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        words = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]
        words += ["--appendfsync", "always", "--dir", str(self.folder)]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        for _ in range(6_000):
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1.0) as link:
                    link.sendall(b"PING\r\n")
                    if link.recv(100).startswith(b"+PONG"):
                        return
            except OSError:
                pass
            time.sleep(0.02)
        raise AssertionError("redis-server did not start")

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def redis_server(tmp_path):
    """Starts and stops as a test wants; runs when it is given."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    pytest.importorskip("redis")
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def compiled():
    """The kernels that judge books: compiling them takes longer than a capture lasts here."""
    messages = BookMessages()
    BookEngine(messages.source).run(*messages.frames())
