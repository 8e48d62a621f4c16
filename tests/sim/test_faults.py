"""Fault plans do what they say, say what they did, and do it again from the same seed."""

import json

import pytest

from tests.sim import walkers
from tidelake.errors import ConfigError
from tidelake.sim.faults import FaultPlan, LostRun, Rule
from tidelake.sim.market import Market
from tidelake.sim.server import SimApi

START = 1_740_787_200 * 10**9
NOW = START + 3000 * 10**9
PAGE = "/products/BTC-USD/trades?after=1500&limit=1000"


def api(plan: str = "", source: str = "coinbase", clock=lambda: NOW, seed: int = 1) -> SimApi:
    return SimApi(source, Market(seed=5, start_ns=START, clock=clock), FaultPlan.parse(plan, seed))


def ids(answer) -> list[int]:
    return [item["trade_id"] for item in answer.json()][::-1]


def test_plan_is_read_from_a_short_text():
    plan = FaultPlan.parse("429:0.1, slow:#3-5=0.5,lost-run:1000-1020@3/BTC-USD,late:0.01=60,jump:500+7", seed=9)
    assert plan == FaultPlan(
        rules=(Rule("429", 0.1), Rule("slow", 0.0, 3, 5, 0.5)),
        lost_runs=(LostRun(1000, 1020, 3, 0.0, "BTC-USD"),),
        late=(type(plan.late[0])(0.01, 60.0),),
        jumps=((500, 7),),
        seed=9,
    )
    assert FaultPlan.parse("") == FaultPlan()
    assert FaultPlan.parse("lost-run:5@30s").lost_runs == (LostRun(5, 5, 0, 30.0),)


@pytest.mark.parametrize("text", ["nonsense:0.1", "429:often", "5xx:2", "lost-run:x-y", "jump:10"])
def test_plan_that_is_not_understood_lists_what_there_is(text):
    with pytest.raises(ConfigError, match=r"lost-run|between 0 and 1"):
        FaultPlan.parse(text)


def test_lost_run_is_missing_for_the_first_asks_and_then_heals():
    sim = api("lost-run:1000-1020@3")
    for _ in range(3):
        found = ids(sim.get(PAGE))
        assert set(range(1000, 1021)).isdisjoint(found)
        assert len(found) == 1000
        assert found[-1] == 1499
        assert found[0] == 1499 - 1000 - 21 + 1
    assert ids(sim.get(PAGE)) == list(range(500, 1500))
    lost = [record for record in sim.injector.injected if record.kind == "lost-run"]
    assert [(record.first, record.last, record.symbol) for record in lost] == [(1000, 1020, "BTC-USD")] * 3


def test_lost_run_counts_only_asks_that_would_have_held_it():
    sim = api("lost-run:1000-1020@1")
    assert len(ids(sim.get("/products/BTC-USD/trades?after=900&limit=100"))) == 100
    assert sim.injector.injected == []
    assert 1010 not in ids(sim.get(PAGE))
    assert 1010 in ids(sim.get(PAGE))


def test_lost_run_of_seconds_heals_by_the_markets_clock():
    now = [NOW]
    sim = api("lost-run:1000-1020@30s", clock=lambda: now[0])
    assert 1010 not in ids(sim.get(PAGE))
    now[0] += 29 * 10**9
    assert 1010 not in ids(sim.get(PAGE))
    now[0] += 2 * 10**9
    assert 1010 in ids(sim.get(PAGE))


def test_lost_run_for_ever_and_of_one_symbol():
    sim = api("lost-run:1000-1020/ETH-USD")
    assert 1010 in ids(sim.get(PAGE))
    for _ in range(5):
        assert 1010 not in ids(sim.get(PAGE.replace("BTC", "ETH")))


@pytest.mark.parametrize(
    ("source", "walk"),
    [
        ("coinbase", lambda get: walkers.coinbase(get, "BTC-USD")),
        ("kraken", lambda get: walkers.kraken(get, "XBTUSD")),
        ("binance-spot", lambda get: walkers.binance(get, "BTCUSDT")),
        ("okx", lambda get: walkers.okx(get, "BTC-USDT")),
    ],
)
def test_a_full_walk_over_a_lost_run_misses_exactly_the_run(source, walk):
    sim = api("lost-run:1000-1020,lost-run:55", source)
    found = [int(row[0]) for row in walk(sim.get)]
    newest = max(found)
    assert found == [n for n in range(1, newest + 1) if n != 55 and not 1000 <= n <= 1020]


def test_late_trades_show_after_newer_ones():
    now = [NOW]
    sim = api("late:0.2=60", clock=lambda: now[0])
    path = "/products/BTC-USD/trades?limit=500"
    early = ids(sim.get(path))
    newest = early[-1]
    missing = set(range(early[0], newest + 1)) - set(early)
    assert 3 < len(missing) < 40
    assert min(missing) > newest - 150
    now[0] += 61 * 10**9
    healed = set(ids(sim.get(f"/products/BTC-USD/trades?after={newest + 1}&limit=1000")))
    assert missing <= healed
    assert sim.injector.injected[0].kind == "late"


def test_429_comes_with_and_without_retry_after():
    sim = api("429:#1=7,429-bare:#2")
    first, second, third = (sim.get(PAGE) for _ in range(3))
    assert (first.status, first.headers["retry-after"]) == (429, "7")
    assert second.status == 429
    assert "retry-after" not in second.headers
    assert third.status == 200


def test_429_is_said_in_the_venues_words():
    assert api("429:1", "kraken").get("/0/public/Trades?pair=XBTUSD").json() == {
        "error": ["EGeneral:Too many requests"]
    }
    assert api("429:1", "okx").get("/api/v5/market/trades?instId=BTC-USDT").json()["code"] == "50011"


def test_broken_answers_are_broken_as_planned():
    sim = api("5xx:#1,truncated:#2,html:#3,torn:#4,empty:#5,slow:#6=0.25,repeat:#7")
    whole = api().get(PAGE).body
    assert sim.get(PAGE).status in (500, 502, 503, 504)
    truncated = sim.get(PAGE)
    assert truncated.cut_at is None
    assert whole.startswith(truncated.body)
    with pytest.raises(json.JSONDecodeError):
        truncated.json()
    page = sim.get(PAGE)
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=UTF-8")
    torn = sim.get(PAGE)
    assert torn.body == whole
    assert torn.cut_at is not None
    assert 0 < torn.cut_at < len(whole)
    assert sim.get(PAGE).json() == []
    slow = sim.get(PAGE)
    assert (slow.delay_s, slow.body) == (0.25, whole)
    assert sim.get("/products/BTC-USD/trades?limit=3").body == whole
    kinds = [record.kind for record in sim.injector.injected]
    assert kinds == ["5xx", "truncated", "html", "torn", "empty", "slow", "repeat"]
    assert [record.number for record in sim.injector.injected] == [1, 2, 3, 4, 5, 6, 7]


def test_a_repeated_page_is_always_of_the_same_symbol():
    sim = api("repeat:#2-3", "kraken")
    first = sim.get("/0/public/Trades?pair=XBTUSD&since=0&count=5")
    other = sim.get("/0/public/Trades?pair=ETHUSD&since=0&count=5")
    assert sim.get(f"/0/public/Trades?pair=XBTUSD&since={first.json()['result']['last']}&count=5").body == first.body
    assert "XETHZUSD" in other.json()["result"]
    assert [record.number for record in sim.injector.injected] == [3]


def test_faults_depend_on_the_request_and_the_seed_but_not_on_the_order():
    targets = [f"/products/{name}/trades?after={n}&limit=5" for name in ("BTC-USD", "ETH-USD") for n in range(50, 250)]
    plan = "429:0.1,5xx:0.1,html:0.05"

    def hit(order, seed: int) -> dict[str, int]:
        sim = api(plan, seed=seed)
        return {target: sim.get(target).status for target in order}

    forwards = hit(targets, 1)
    assert forwards == hit(list(reversed(targets)), 1)
    assert forwards != hit(targets, 2)
    refused = sum(status == 429 for status in forwards.values())
    assert 20 < refused < 65


def test_the_same_request_asked_again_draws_anew():
    sim = api("5xx:0.5")
    statuses = [sim.get(PAGE).status == 200 for _ in range(60)]
    assert 15 < sum(statuses) < 45


def test_faults_leave_the_truth_alone():
    sim = api("lost-run:1-2000,late:1=1000,429:1")
    sim.get(PAGE)
    assert sim.market.truth_rows("coinbase", "BTC-USD") == api().market.truth_rows("coinbase", "BTC-USD")
