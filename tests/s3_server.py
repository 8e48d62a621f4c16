"""A simulated S3 API as a process of its own: prints its port and serves until it is killed.

It must not share a process with what it serves: some native calls wait for an answer while they hold the
interpreter's lock. After a request to `/lose-answers?every=N` each Nth put of an object that must be new is done, and
its answer is lost: by turns the connection is cut, and the answer is an error. N = 0 ends that.
"""

import logging
import socket
import threading

from moto.moto_server.werkzeug_app import create_backend_app
from werkzeug.serving import make_server


class Server:
    """The simulation, one request after the other, and how many answers it loses."""

    def __init__(self) -> None:
        self.app = create_backend_app("s3")  # finding it anew for each request takes as long as answering
        self.one_at_a_time = threading.Lock()
        self.every = 0
        self.puts = 0

    def __call__(self, environ, start_response):
        # The simulation looks whether a key is there and then puts it; on S3 the two are one step.
        with self.one_at_a_time:
            if environ["PATH_INFO"] == "/lose-answers":
                self.every, self.puts = int(environ["QUERY_STRING"].removeprefix("every=")), 0
                start_response("200 OK", [])
                return []
            if not self._loses(environ):
                return list(self.app(environ, start_response))
            list(self.app(environ, lambda *_: lambda data: None))
        if self.puts // self.every % 2:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        start_response("500 Internal Server Error", [])
        return []

    def _loses(self, environ) -> bool:
        if not self.every or environ["REQUEST_METHOD"] != "PUT" or "HTTP_IF_NONE_MATCH" not in environ:
            return False
        self.puts += 1
        return self.puts % self.every == 0


def main() -> None:
    """Serve on a free local port."""
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = make_server("127.0.0.1", 0, Server(), threaded=True)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
