"""Reddit and X as sources of texts: doubles of their hosts behind real clients, and a clock that nobody waits for."""

import asyncio
import base64
import datetime as dt
import json
import logging
from decimal import Decimal

import httpx
import pytest

import tidelake
from tests.jobs.test_follow_coins import coin_at
from tidelake.jobs.coin_polls import PollSettings
from tidelake.jobs.coin_texts import ONE_TRY, TextFeed
from tidelake.jobs.coin_watched import WatchedHistory
from tidelake.jobs.watch_coins import CoinWatch
from tidelake.providers.coin_source import CoinFact, CoinRef
from tidelake.providers.registry import TEXT_SOURCES
from tidelake.raw.ledger import Ledger
from tidelake.raw.segments import iter_frames
from tidelake.stablecoins.sources.feed import Turn
from tidelake.stablecoins.sources.sentiment import LANE
from tidelake.transport.http import Http

START_NS = 1_757_614_216_000_000_000
COINS = (CoinRef("USDC"), CoinRef("DAI"))
SECRETS = {
    "TIDELAKE_REDDIT_CLIENT_ID": "reddit-client-41",
    "TIDELAKE_REDDIT_CLIENT_SECRET": "reddit-hidden-42",
    "TIDELAKE_X_BEARER_TOKEN": "x-bearer-hidden-43",
}
GIVEN = "reddit-given-44-"  # each login of the double gives this and a number
BASIC = base64.b64encode(b"reddit-client-41:reddit-hidden-42").decode()


class Services:
    """Both services, by host; a host meets its `faults` in turn: a status, or a body that is no answer.

    Attributes:
        asked: Method, host, Authorization and User-Agent of each request.
        posts: Of both: id, seconds since 1970, text.
        now_s: Seconds that passed.
    """

    def __init__(self):
        self.asked, self.posts, self.faults, self.logins, self.now_s = [], {"reddit": [], "x": []}, {}, 0, 0.0

    def wall_ns(self):
        return START_NS + round(self.now_s * 1e9)

    def say(self, where, name, text, ago_s=5):
        self.posts[where].insert(0, (name, self.wall_ns() // 10**9 - ago_s, text))

    def answer(self, request):
        host = request.url.host
        self.asked.append((request.method, host, request.headers["authorization"], request.headers["user-agent"]))
        fault = (self.faults.get(host) or [None]).pop(0)
        if isinstance(fault, int):  # as bad as can be: it says again what it was sent
            return httpx.Response(fault, headers={"Retry-After": "600"} if fault == 429 else {},
                                  text=json.dumps({"sent": request.headers["authorization"]}))  # fmt: skip
        if fault is not None:
            return httpx.Response(200, content=fault)
        return httpx.Response(200, json=self.told(host, request))

    def told(self, host, request):
        if host == "www.reddit.com":
            assert (request.method, request.content) == ("POST", b"grant_type=client_credentials")
            self.logins += 1
            return {"access_token": f"{GIVEN}{self.logins}", "token_type": "bearer", "expires_in": 3600, "scope": "*"}
        if host == "oauth.reddit.com":
            assert request.url.path == "/r/defi+CryptoCurrency/new"
            posts = [{"name": name, "created_utc": float(at), "title": text} for name, at, text in self.posts["reddit"]]
            return {"kind": "Listing", "data": {"children": [{"kind": "t3", "data": post} for post in posts]}}
        assert request.url.params["query"] == "($USDC OR USDC OR $DAI OR DAI) lang:en -is:retweet"
        posts = [
            {"id": name, "text": text, "created_at": dt.datetime.fromtimestamp(at, dt.UTC).isoformat()}
            for name, at, text in self.posts["x"]
        ]
        return {**({"data": posts} if posts else {}), "meta": {"result_count": len(posts)}}


@pytest.fixture
def lake(tmp_path):
    return tidelake.open(tmp_path / "lake")


@pytest.fixture
def services(monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TIDELAKE_TEXTS", raising=False)
    monkeypatch.setenv("TIDELAKE_SUBREDDITS", "defi, CryptoCurrency")
    return Services()


def feed_of(lake, services, **others):
    def open_http():
        return Http(patience=ONE_TRY, clock=services.wall_ns, transport=httpx.MockTransport(services.answer))

    return TextFeed(
        lake.store,
        COINS,
        polarity=lambda text: Decimal(text.split()[-1]),
        sources=tuple(TEXT_SOURCES.values()),
        polls=PollSettings(clock=services.wall_ns, monotonic=lambda: services.now_s),
        open_http=open_http,
        clock=services.wall_ns,
        **others,
    )


def tick(feed, services, count=1, every_s=60.0):
    known = []
    for _ in range(count):
        known += asyncio.run(feed.tick())
        services.now_s += every_s
    return known


def scores(known):
    return [(one.told.coin, one.told.value) for one in known if isinstance(one.told, CoinFact)]


def turns(known):
    return [(one.told.name, one.told.is_up) for one in known if isinstance(one.told, Turn)]


def health_of(feed):
    return {health.name: health for health in feed.health()}


def frames(lake):
    return [frame for entry in Ledger(lake.store).entries(LANE) for frame in iter_frames(lake.store, entry.segment)]


def test_texts_of_both_and_of_the_folder_make_one_score_and_the_lake_tells_it_again(lake, services, tmp_path):
    feed = feed_of(lake, services, folder=tmp_path)
    services.say("reddit", "t3_a", "USDC is fine 0.5")
    services.say("x", "1", "$usdc is lost -0.9")
    said = dt.datetime.fromtimestamp(START_NS / 1e9, dt.UTC).isoformat()
    (tmp_path / "own.jsonl").write_text(json.dumps({"time": said, "text": "USDC and DAI 0.1"}) + "\n")
    first = tick(feed, services)
    assert dict(scores(first)) == {"DAI": Decimal("0.1"), "USDC": Decimal("-0.1")}
    services.say("x", "2", "DAI 0.7")
    live = first + tick(feed, services, 10)
    assert scores(live)[-2:] == [("DAI", Decimal("0.4")), ("USDC", Decimal("-0.1"))]
    assert {name: one.condition for name, one in health_of(feed).items()} == dict.fromkeys(
        ("vader", "reddit", "x"), "up"
    )
    asyncio.run(feed.close())
    again = list(feed.history())
    assert again[: len(live)] == live
    assert all(known.known_us > live[-1].known_us for known in again[len(live) :])


def test_post_that_is_told_again_counts_once_also_after_a_kill(lake, services):
    feed = feed_of(lake, services)
    services.say("reddit", "t3_a", "USDC 0.9")
    services.say("x", "t3_a", "USDC 0.1")  # the same id of another source is another post
    services.say("x", "old", "USDC -1.0", ago_s=3601)
    assert scores(tick(feed, services))[-1] == ("USDC", Decimal("0.5"))
    feed._lane.abandon()
    feed = feed_of(lake, services)
    services.say("reddit", "t3_b", "USDC 0.2")
    known = tick(feed, services, 3)
    assert scores(known)[-1] == ("USDC", Decimal("0.4"))
    services.now_s += 300
    assert scores(tick(feed, services))[-1] == ("USDC", Decimal("0.4"))  # of three: 0.9, 0.1, 0.2
    asyncio.run(feed.close())
    as_said = scores(feed_of(lake, services, when_said=True).history())
    assert as_said[0] == ("USDC", Decimal("-1.0"))  # the old one counts at its own time


@pytest.mark.parametrize("fault", [401, 403, 429, 500, b"<html>busy</html>", b'{"other": "form"}'])
def test_service_that_fails_is_failing_then_down_and_tells_no_secret(lake, services, fault, caplog):
    caplog.set_level(logging.DEBUG)
    hosts = ("oauth.reddit.com", "api.x.com")
    services.faults = {host: [fault] * 3 for host in hosts}
    feed = feed_of(lake, services)
    services.say("x", "1", "USDC 0.5")
    reasons = []
    live = tick(feed, services)
    assert live == []
    assert [health_of(feed)[name].condition for name in ("reddit", "x")] == ["failing", "failing"]
    for _ in range(2):
        services.now_s += 700
        live += tick(feed, services)
        reasons += [health_of(feed)[name].reason for name in ("reddit", "x")]
    assert [health_of(feed)[name].condition for name in ("reddit", "x")] == ["down", "down"]
    services.now_s += 700
    live += tick(feed, services)
    assert scores(live) == [("USDC", Decimal("0.5"))]
    assert sorted(turns(live)) == [("reddit", False), ("reddit", True), ("x", False), ("x", True)]
    assert [health_of(feed)[name].condition for name in ("reddit", "x")] == ["up", "up"]
    asyncio.run(feed.close())
    assert list(feed.history())[: len(live)] == live
    assert all(reasons)
    told = "".join([*reasons, caplog.text, *(f"{frame.request} {frame.payload!r}" for frame in frames(lake))])
    for secret in (*SECRETS.values(), GIVEN, BASIC):
        assert secret not in told


def test_secrets_go_to_their_own_hosts_alone_and_a_token_is_renewed(lake, services):
    services.faults = {"oauth.reddit.com": [None, 401]}
    feed = feed_of(lake, services)
    tick(feed, services, 3)
    services.now_s += 3600
    tick(feed, services)
    assert services.logins == 3  # at first, after the refusal, and at the end of the hour
    sent = {}
    for _, host, authorization, agent in services.asked:
        sent.setdefault(host, []).append(authorization)
        assert "tidelake" in agent
    assert sent["www.reddit.com"] == [f"Basic {BASIC}"] * 3
    assert sent["oauth.reddit.com"] == [f"Bearer {GIVEN}{n}" for n in (1, 1, 2, 3)]
    assert set(sent["api.x.com"]) == {"Bearer x-bearer-hidden-43"}
    assert set(sent) == {"www.reddit.com", "oauth.reddit.com", "api.x.com"}


LOGINS = [401, b'{"error": "unsupported_grant_type"}', b"no JSON", b'{"access_token": "a\\nb", "expires_in": 9}']


@pytest.mark.parametrize("fault", LOGINS)
def test_login_that_is_refused_is_a_reason_without_what_was_sent(lake, services, fault):
    services.faults = {"www.reddit.com": [fault]}
    feed = feed_of(lake, services)
    tick(feed, services)
    health = health_of(feed)["reddit"]
    assert health.condition == "failing"
    assert health.reason.startswith("POST https://www.reddit.com/api/v1/access_token: ")
    assert not any(secret in health.reason for secret in (*SECRETS.values(), BASIC))
    assert [host for _, host, _, _ in services.asked].count("oauth.reddit.com") == 0


def test_pause_that_a_service_asks_for_is_kept(lake, services):
    services.faults = {"api.x.com": [429]}
    feed = feed_of(lake, services)
    tick(feed, services, 10)  # 600 s
    assert [host for _, host, _, _ in services.asked].count("api.x.com") == 1
    tick(feed, services)
    assert [host for _, host, _, _ in services.asked].count("api.x.com") == 2


def test_services_are_asked_in_their_interval_though_the_folder_is_read_more_often(lake, services):
    feed = feed_of(lake, services)
    tick(feed, services, 31, every_s=10.0)
    hosts = [host for _, host, _, _ in services.asked]
    assert (hosts.count("oauth.reddit.com"), hosts.count("api.x.com")) == (6, 2)


def test_without_keys_services_are_absent_by_the_names_of_the_keys_and_nobody_is_asked(lake, services, monkeypatch):
    for name in SECRETS:
        monkeypatch.delenv(name)
    feed = feed_of(lake, services)
    assert tick(feed, services, 3) == []
    assert services.asked == []
    told = {name: (one.condition, one.reason) for name, one in health_of(feed).items()}
    assert told == {
        "vader": ("absent", "no texts are configured: setting `texts`, TIDELAKE_TEXTS"),
        "reddit": ("absent", "no key is set: TIDELAKE_REDDIT_CLIENT_ID, TIDELAKE_REDDIT_CLIENT_SECRET"),
        "x": ("absent", "no key is set: TIDELAKE_X_BEARER_TOKEN"),
    }


def test_key_that_cannot_be_one_is_absent_without_being_shown_and_an_ended_line_is_cut(lake, services, monkeypatch):
    monkeypatch.setenv("TIDELAKE_X_BEARER_TOKEN", "strange-\u2014-key")
    monkeypatch.setenv("TIDELAKE_REDDIT_CLIENT_SECRET", "reddit-hidden-42\n")
    feed = feed_of(lake, services)
    tick(feed, services)
    assert health_of(feed)["x"].reason == "what is set is no key: TIDELAKE_X_BEARER_TOKEN"
    assert services.asked[0][2] == f"Basic {BASIC}"
    assert health_of(feed)["reddit"].condition == "up"


def test_watch_takes_them_and_its_replay_takes_the_same_turns_included(lake, services):
    coins = [coin_at("0x" + "33" * 20)]
    services.faults = {"api.x.com": [500, 500, 500]}
    feed = feed_of(lake, services)
    feed.interval_s = 0.02
    services.say("reddit", "t3_a", "USDC 0.5")

    async def watched():
        watch = CoinWatch(lake.store, coins, [], feeds=[feed], clock=services.wall_ns, anew=True)
        task = asyncio.create_task(watch.run())
        while health_of(feed)["x"].condition != "up" or feed.health()[0].condition != "up":
            assert not task.done()
            services.now_s += 1
            await asyncio.sleep(0.002)
        task.cancel()
        return await task

    report = asyncio.run(asyncio.wait_for(watched(), 60))
    assert {line.source: line.state for line in report.sources} == {"vader": "up", "reddit": "up", "x": "up"}
    history = WatchedHistory(lake.store, report.run, coins=coins, polarity=lambda text: Decimal(text.split()[-1]))
    taken = [seen for batch in history.batches() for seen in batch]
    assert len(taken) == len(history) == report.observations
    assert history.refused == {}
    assert [seen.source for seen in taken if seen.feature == "source"] == ["x", "x"]
    assert "sentiment" in {seen.feature for seen in taken}
