"""Sentiment: known texts, scores against a slow account of them, and a folder that is followed, killed and replayed."""

import asyncio
import json
import random
from decimal import Decimal

import pytest

import tidelake
from tests.stablecoins.told import fact, rows
from tidelake.errors import FormatDrift, MissingExtra
from tidelake.jobs.coin_texts import TextFeed
from tidelake.providers.coin_source import CoinRef
from tidelake.raw.ledger import Ledger
from tidelake.raw.segments import iter_frames
from tidelake.stablecoins.sources.feed import Known
from tidelake.stablecoins.sources.lexicon import WORDS
from tidelake.stablecoins.sources.sentiment import LANE, Scores, TextReader, vader

S = 1_000_000
NOW_S = 1_757_614_200  # a whole number of five minutes
COINS = (CoinRef("USDC"), CoinRef("USDC.e"), CoinRef("DAI"))


def polarity(text):
    """A double of VADER: the text's last word is its score."""
    return Decimal(text.split()[-1])


def slow(texts, until):
    """Scores of one coin by the rule, from a list of (second, score): (event us, known us, score) in order."""
    told, last = [], None
    for second in range(until + 1):
        held = [score for at, score in texts if second - 3600 < at < second]
        if second % 300 == 0 and held:
            last = sum(held) / len(held)
            told.append((second * S - 1, second * S, last))
        elif not held:
            last = None
        for at, _ in texts:
            if at == second:
                held = [score for when, score in texts if second - 3600 < when <= second]
                mean = sum(held) / len(held)
                if last is None or abs(mean - last) >= Decimal("0.1"):
                    told.append((second * S, second * S, mean))
                    last = mean
    return told


def run(texts, until):
    scores, known = Scores(), list[Known]()
    for at, score in texts:
        known += scores.pass_time(at * S)
        known += scores.take(at * S, "USDC", score)
    known += scores.pass_time(until * S)
    return rows(known)


@pytest.mark.parametrize("seed", range(8))
def test_scores_follow_the_rule(seed):
    draw = random.Random(seed)
    times = sorted(draw.sample(range(1, 12_000), draw.randint(1, 60)))
    texts = [(at, Decimal(draw.randint(-10_000, 10_000)) / 10_000) for at in times]
    expected = slow(texts, 16_000)
    found = run(texts, 16_000)
    assert [row[:2] for row in found] == [row[:2] for row in expected]
    for mine, theirs in zip(found, expected, strict=True):
        assert abs(mine[2] - theirs[2]) <= Decimal("0.00005")


def test_score_is_told_when_it_moved_by_a_tenth_and_when_its_interval_ended():
    texts = [(10, Decimal("0.5")), (20, Decimal("0.3001")), (30, Decimal("0.2")), (40, Decimal("0.5"))]
    assert run(texts, 600) == [
        (10 * S, 10 * S, Decimal("0.5000")),
        (30 * S, 30 * S, Decimal("0.3334")),  # 0.4 at 20 s was 0.09995 away
        (300 * S - 1, 300 * S, Decimal("0.3750")),
        (600 * S - 1, 600 * S, Decimal("0.3750")),
    ]


def test_hour_without_a_text_has_no_score_and_not_zero():
    found = run([(10, Decimal("0.5")), (20_000, Decimal("-0.5"))], 24_000)
    times = [event // S for event, _, _ in found]
    assert max(time for time in times if time < 10_000) == 3599
    assert min(time for time in times if time > 10_000) == 20_000
    assert all(score != 0 for _, _, score in found)


def test_order_of_ticks_does_not_matter():
    texts = [(at, Decimal("0.1")) for at in (10, 400, 5_000)]
    scores, known = Scores(), list[Known]()
    for second in range(9_000):
        known += scores.pass_time(second * S)
        for at, score in texts:
            if at == second:
                known += scores.take(at * S, "USDC", score)
    assert rows(known) == run(texts, 8_999)


def read(**line):
    return TextReader([coin.symbol for coin in COINS]).read(json.dumps(line).encode(), NOW_S * 10**9)


@pytest.mark.parametrize(
    ("text", "coins"),
    [
        ("USDC is fine", ("USDC",)),
        ("$usdc and DAI, again USDC", ("USDC", "DAI")),
        ("USDC.e is not USDCx", ("USDC.e",)),
        ("(USDC)", ("USDC",)),
        ("DAI.", ("DAI",)),
        ("dai is a word elsewhere", ()),
        ("xUSDC MYUSDC", ()),
        ("nothing", ()),
    ],
)
def test_coins_are_those_that_a_text_names(text, coins):
    assert read(text=text, time=NOW_S).coins == coins


def test_named_coin_counts_alone():
    assert read(text="USDC and DAI", time=NOW_S, coin="dai").coins == ("DAI",)
    assert read(text="USDC", time=NOW_S, coin="BTC").coins == ()


@pytest.mark.parametrize("time", [NOW_S, float(NOW_S), "2025-09-11T18:10:00Z", "2025-09-11T20:10:00+02:00"])
def test_time_is_seconds_or_iso_with_a_zone(time):
    assert read(text="USDC", time=time).said_us == NOW_S * S


@pytest.mark.parametrize(
    "line",
    [
        b"", b"[]", b"\xff", b'{"text":"USDC"}', b'{"text":"USDC","time":null}', b'{"text":"USDC","time":"soon"}',
        b'{"text":"USDC","time":"2025-09-11T18:10:00"}', b'{"text":"USDC","time":1757614200000}',
        b'{"text":"USDC","time":1e300}', b'{"text":"USDC","time":1757614801}', b'{"text":7,"time":1757614200}',
        b'{"text":" ","time":1757614200}',
    ],
)  # fmt: skip
def test_line_that_cannot_be_is_refused(line):
    with pytest.raises(FormatDrift, match="a text"):
        TextReader(["USDC"]).read(line, NOW_S * 10**9)


def test_vader_with_our_words():
    score = vader()
    for bad in ("USDC depegged", "the issuer is insolvent", "reserves are frozen", "exploited, funds drained"):
        assert score(bad) <= Decimal("-0.4"), bad
    for good in ("USDC repegged", "fully backed, attested and solvent", "bullish on DAI"):
        assert score(good) >= Decimal("0.2"), good
    for plain in ("a stable coin", "interest and shares", "USDC"):
        assert score(plain) == 0, plain
    # By the formula of the package: the sum of valences s to s / sqrt(s^2 + 15).
    assert score("USDC depegged") == round(Decimal(-3) / Decimal(9 + 15).sqrt(), 4)
    assert score("USDC not insolvent") > 0
    assert score("x" * 1_000_000) == 0
    assert all(-4 <= valence <= 4 for valence in WORDS.values())


class Clock:
    def __init__(self):
        self.now_ns = NOW_S * 10**9

    def __call__(self):
        self.now_ns += 1_000
        return self.now_ns


@pytest.fixture
def lake(tmp_path):
    return tidelake.open(tmp_path / "lake")


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "texts"
    path.mkdir()
    return path


def say(folder, clock, score, coin="USDC", name="forum.jsonl", end="\n"):
    line = json.dumps({"text": f"{coin} {score}", "time": clock.now_ns / 1e9})
    with (folder / name).open("a") as file:
        file.write(line + end)
    return line


def frames(lake):
    return [frame for entry in Ledger(lake.store).entries(LANE) for frame in iter_frames(lake.store, entry.segment)]


def feed_of(lake, folder, clock, **others):
    return TextFeed(lake.store, COINS, folder=folder, polarity=polarity, clock=clock, **others)


def follow(feed, folder, clock, ticks, draw):
    """What so many ticks gave, with texts said in between."""
    known, lines = [], []
    for _ in range(ticks):
        for _ in range(draw.randint(0, 3)):
            name = draw.choice(["a.jsonl", "b.jsonl"])
            score = Decimal(draw.randint(-9999, 9999)) / 10_000
            lines.append(say(folder, clock, score, draw.choice(["USDC", "DAI", "BTC"]), name))
        known += asyncio.run(feed.tick())
        clock.now_ns += draw.randint(1, 400) * 10**9
    return known, lines


def test_without_a_folder_the_feature_is_absent_and_says_so(lake, monkeypatch):
    monkeypatch.delenv("TIDELAKE_TEXTS", raising=False)
    feed = TextFeed(lake.store, COINS)
    assert asyncio.run(feed.tick()) == []
    assert list(feed.history()) == []
    (health,) = feed.health()
    assert (health.condition, health.reason) == ("absent", "no texts are configured: setting `texts`, TIDELAKE_TEXTS")
    asyncio.run(feed.close())
    assert list(Ledger(lake.store).entries(LANE)) == []


def test_without_the_extra_the_feature_is_absent_with_the_line_that_installs_it(lake, folder, monkeypatch):
    def missing(module, extra):
        raise MissingExtra(f"pip install 'tidelake[{extra}]'", extra=extra)

    monkeypatch.setattr("tidelake.stablecoins.sources.sentiment.require", missing)
    feed = TextFeed(lake.store, COINS, folder=folder)
    assert asyncio.run(feed.tick()) == []
    assert feed.health()[0].condition == "absent"
    assert "tidelake[sentiment]" in feed.health()[0].reason


def test_folder_is_followed_and_the_lake_tells_the_same_again(lake, folder, monkeypatch):
    clock = Clock()
    monkeypatch.setenv("TIDELAKE_TEXTS", str(folder))
    feed = TextFeed(lake.store, COINS, polarity=polarity, clock=clock)
    live, lines = follow(feed, folder, clock, 120, random.Random(3))
    asyncio.run(feed.close())
    assert len(live) > 100
    assert [known.known_us for known in live] == sorted(known.known_us for known in live)
    assert {fact(known).coin for known in live} == {"USDC", "DAI"}
    assert sorted(frame.payload.decode() for frame in frames(lake)) == sorted(lines)
    again = list(feed.history())
    assert again[: len(live)] == live
    assert all(known.known_us > live[-1].known_us for known in again[len(live) :])  # ends of five minutes after it
    assert feed.health()[0].condition == "up"


def test_killed_feed_reads_no_line_twice_and_goes_on_with_its_scores(lake, folder):
    clock, draw = Clock(), random.Random(5)
    live, lines = [], []
    feed = feed_of(lake, folder, clock)
    for run_number in range(4):
        known, said = follow(feed, folder, clock, 12, draw)
        live, lines = live + known, lines + said
        if run_number == 3:
            asyncio.run(feed.close())
        else:  # as kill -9 leaves it: the part file stays
            assert feed._lane is not None
            feed._lane.abandon()
            feed = feed_of(lake, folder, clock)
    assert sorted(frame.payload.decode() for frame in frames(lake)) == sorted(lines)
    assert [frame.n for frame in frames(lake)] == list(range(len(lines)))
    again, heard = list(feed.history()), set(map(repr, live))
    assert heard <= set(map(repr, again))
    extra = [known for known in again if repr(known) not in heard and known.known_us <= live[-1].known_us]
    assert all(known.known_us % (300 * S) == 0 for known in extra)  # intervals that ended while nobody ran


def test_line_is_waited_for_until_it_ends_and_a_bad_one_is_kept_and_refused(lake, folder):
    clock = Clock()
    feed = feed_of(lake, folder, clock)
    say(folder, clock, "0.5", end="")
    assert asyncio.run(feed.tick()) == []
    with (folder / "forum.jsonl").open("a") as file:
        file.write("\nno JSON\n\n")
    say(folder, clock, "-0.5")
    assert [fact(known).value for known in asyncio.run(feed.tick())] == [Decimal("0.5"), Decimal(0)]
    (health,) = feed.health()
    assert (health.condition, health.refused) == ("up", 1)
    asyncio.run(feed.close())
    assert [frame.payload[:7] for frame in frames(lake)] == [b'{"text"', b"no JSON", b'{"text"']


def test_stale_text_is_kept_and_passed_over(lake, folder):
    clock = Clock()
    feed = feed_of(lake, folder, clock)
    say(folder, clock, "0.5")
    clock.now_ns += 3_600 * 10**9
    assert asyncio.run(feed.tick()) == []
    assert feed.health()[0].refused == 1
    asyncio.run(feed.close())
    assert len(frames(lake)) == 1
    assert list(feed.history()) == []
    said = list(feed_of(lake, folder, clock, when_said=True).history())
    assert fact(said[0]).event_us == said[0].known_us == pytest.approx(NOW_S * S, abs=2)
    assert len(said) == 12  # at once, and at eleven ends of five minutes: at the next it is an hour old


def test_file_that_shrinks_or_a_folder_that_goes_fails_and_says_so(lake, folder):
    clock = Clock()
    feed = feed_of(lake, folder, clock)
    say(folder, clock, "0.5")
    assert len(asyncio.run(feed.tick())) == 1
    (folder / "forum.jsonl").write_text("")
    asyncio.run(feed.tick())
    assert feed.health()[0].condition == "failing"
    assert "may only grow" in feed.health()[0].reason
    (folder / "forum.jsonl").unlink()
    asyncio.run(feed.tick())
    assert feed.health()[0].condition == "up"
    folder.rmdir()
    asyncio.run(feed.tick())
    assert "is no folder" in feed.health()[0].reason
    asyncio.run(feed.close())
