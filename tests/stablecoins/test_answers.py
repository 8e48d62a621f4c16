"""Frames of a lane of answers, read in order: what counts as an answer, and when it was known."""

import json

import pytest

from tests.jobs.coin_server import market
from tests.stablecoins.told import fact
from tidelake.errors import FormatDrift
from tidelake.providers.coin_source import CoinRef
from tidelake.providers.registry import coin_source
from tidelake.raw.frame import Frame
from tidelake.stablecoins.sources.answers import FEED, TURN_FEED, AnswerReader
from tidelake.stablecoins.sources.feed import Known, Turn

NOW_S = 1_757_614_216
COINS = (CoinRef("USDC", "usd-coin"),)
BODY = json.dumps([market("usd-coin", 0.99, NOW_S - 3_600)]).encode()


def frame(second, payload=BODY, *, kind="page", feed=FEED, status=200):
    request = "GET https://api.coingecko.com/api/v3/coins/markets?vs_currency=usd"
    return Frame(0, (NOW_S + second) * 10**9 + 1, 0, kind, payload, request, feed, "", status)


def reader(known_ns=0):
    return AnswerReader(coin_source("coingecko"), COINS, known_ns)


def test_what_is_known_never_goes_back_though_the_clock_does():
    one = reader()
    known = [one.read(frame(second))[0].known_us for second in (10, 5, 11)]
    assert known == [(NOW_S + second) * 1_000_000 + 1 for second in (10, 10, 11)]
    later = reader((NOW_S + 60) * 10**9)
    assert later.read(frame(10))[0].known_us == (NOW_S + 60) * 1_000_000


@pytest.mark.parametrize(
    "seen",
    [
        frame(0, status=429),
        frame(0, status=500),
        frame(0, b"<html>", status=503),
        frame(0, kind="open"),
        frame(0, kind="note"),
        frame(0, feed="token_prices"),
    ],
)
def test_frame_that_is_no_answer_tells_nothing(seen):
    assert reader().read(seen) == []


def test_answer_of_another_form_is_refused_and_its_clock_counts():
    one = reader()
    with pytest.raises(FormatDrift):
        one.read(frame(20, b"{}"))
    assert one.read(frame(10))[0].known_us == (NOW_S + 20) * 1_000_000 + 1


def test_values_that_cannot_be_are_counted_and_the_last_are_kept():
    one = reader()
    bad = json.dumps([{**market("usd-coin", -1, NOW_S), "total_volume": 7}]).encode()
    for _ in range(150):
        assert [fact(known).feature for known in one.read(frame(0, bad))] == ["volume"]
    assert (one.refusals, len(one.refused)) == (150, 100)


def test_turn_is_read_as_it_was_kept():
    turn = b'{"name":"coingecko","source":"coingecko","is_up":false,"reason":"status 503"}'
    known = reader().read(frame(0, turn, kind="note", feed=TURN_FEED, status=0))
    assert known == [Known(Turn("coingecko", "coingecko", False, "status 503"), NOW_S * 1_000_000 + 1)]
