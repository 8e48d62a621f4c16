"""The HTTP client against a small local server that answers by script."""

import asyncio
import logging
import socket
import threading
import time
from contextlib import contextmanager

import pytest

from tidelake.errors import SourceError
from tidelake.transport.http import Http, Patience
from tidelake.transport.rates import Pace

PACE = Pace(1e6, 1.0)
QUICK = Patience(attempts=4, total=20.0, timeout=1.0, first_wait=0.001, longest_wait=0.01)
GOOD = b'{"good":true}'


def http(status, body=GOOD, *headers, length=None):
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


@contextmanager
def server(*script):
    """Answers the requests in order with the bytes of the script (a number: silence for so long), the last for ever."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked = []

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            answer = script[min(len(asked), len(script) - 1)]
            with connection:
                asked.append(connection.recv(65_536))
                if isinstance(answer, bytes):
                    connection.sendall(answer)
                else:
                    time.sleep(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def get(url, patience=QUICK, **options):
    async def run():
        async with Http(patience=patience, seed=1) as client:
            return await client.get(url, PACE, **options)

    return asyncio.run(run())


def test_each_whole_answer_is_heard_those_that_are_asked_for_again_too():
    heard = []
    with server(http(429, b"busy"), http(200, b"words"), http(200, b"{}", length=9), http(200)) as (url, asked):
        answer = get(url, heard=heard.append)
    assert [(each.status, each.body) for each in heard] == [(429, b"busy"), (200, b"words"), (200, GOOD)]
    assert heard[-1] == answer
    assert len(asked) == 4  # the third was cut short


def test_redirect_is_followed_where_it_may_be_and_never_with_headers():
    with server(http(200)) as (there, _):
        moved = http(307, b"", f"Location: {there}/elsewhere")
        with server(moved) as (url, _):
            answer = get(url, redirects=True)
            assert (answer.status, answer.body, answer.url) == (200, GOOD, url)
            with pytest.raises(SourceError, match="status 307"):
                get(url)
            with pytest.raises(SourceError, match="status 307"):
                get(url, redirects=True, headers={"x-api-key": "for this host alone"})


@pytest.mark.parametrize(
    "bad",
    [
        http(429),
        http(418),
        http(500),
        http(503, b"busy"),
        http(200, b"<html>one moment</html>"),
        http(200, b'{"good":tr'),
        http(200, b'{"good":tr', length=100),
        b"",
        b"garbage\r\n\r\n",
    ],
    ids=["429", "418", "500", "503", "html", "short-json", "torn", "cut", "garbage"],
)
def test_what_may_pass_is_asked_again(bad):
    with server(bad, bad, http(200)) as (url, asked):
        answer = get(f"{url}/x?y=1")
    assert (answer.body, answer.status, answer.attempts, answer.url) == (GOOD, 200, 3, f"{url}/x?y=1")
    assert len(asked) == 3
    assert asked[0].startswith(b"GET /x?y=1 HTTP/1.1\r\n")


def test_silence_is_cut_off_and_asked_again():
    with server(0.4, http(200)) as (url, _):
        assert get(url, Patience(attempts=4, timeout=0.3, first_wait=0.2)).attempts >= 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 301])
def test_a_plain_refusal_is_final(status):
    with server(http(status, b'{"message":"NotFound"}')) as (url, asked), pytest.raises(SourceError) as failed:
        get(url)
    assert (failed.value.status, failed.value.retryable, len(asked)) == (status, False, 1)
    assert "NotFound" in str(failed.value)
    assert "asked once" in str(failed.value)


def test_patience_runs_out_and_says_so():
    with server(http(503, b"down")) as (url, asked), pytest.raises(SourceError) as failed:
        get(url)
    assert (failed.value.status, failed.value.retryable, len(asked)) == (503, True, 4)
    assert "asked 4 times" in str(failed.value)


def test_retry_after_is_waited_for_and_no_longer_than_patience_allows():
    with server(http(429, b"{}", "Retry-After: 0.4"), http(200)) as (url, _):
        started = time.monotonic()
        assert get(url).attempts == 2
        assert time.monotonic() - started >= 0.4
    with server(http(429, b"{}", "Retry-After: 3600")) as (url, asked), pytest.raises(SourceError) as failed:
        get(url)
    assert (failed.value.retry_after, len(asked)) == (3600.0, 1)


def test_an_error_inside_a_good_answer_is_found():
    def refusal(body):
        return (body.decode(), b"busy" in body) if b"error" in body else None

    with server(http(200, b'{"error":"busy"}'), http(200)) as (url, _):
        assert get(url, refusal=refusal).attempts == 2
    with server(http(200, b'{"error":"unknown pair"}')) as (url, asked), pytest.raises(SourceError) as failed:
        get(url, refusal=refusal)
    assert (failed.value.retryable, len(asked)) == (False, 1)


def test_clocks_are_taken_when_the_body_is_whole():
    with server(http(200)) as (url, _):
        before = time.time_ns(), time.monotonic_ns()
        answer = get(url)
        after = time.time_ns(), time.monotonic_ns()
    assert before[0] <= answer.recv_ns <= after[0]
    assert before[1] <= answer.mono_ns <= after[1]


def test_secrets_in_address_and_headers_are_told_nowhere(caplog, capfd):
    caplog.set_level(logging.DEBUG)
    with server(http(503), http(400, b'{"msg":"bad"}')) as (url, asked):
        host = url.removeprefix("http://")
        with pytest.raises(SourceError) as failed:
            get(
                f"http://user:canary-one@{host}/x?apikey=canary-two&signature=canary-three",
                headers={"X-Key": "canary-4"},
            )
    assert b"canary-4" in asked[0], "the header was sent"
    told = str(failed.value) + caplog.text + "".join(capfd.readouterr())
    assert "status 400" in told
    assert "canary" not in told


def test_backoff_doubles_is_bounded_and_never_undercuts_what_was_asked():
    patience = Patience(first_wait=1.0, longest_wait=8.0)
    assert [patience.wait(attempt, None, 1.0) for attempt in range(1, 6)] == [1.0, 2.0, 4.0, 8.0, 8.0]
    assert patience.wait(3, None, 0.0) == 2.0
    assert patience.wait(1, 10.0, 0.0) >= 10.0
