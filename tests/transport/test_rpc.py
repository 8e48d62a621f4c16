"""The pool against small nodes that answer over real HTTP, with faults as planned."""

import asyncio
import logging
import random
import time
from collections import deque
from contextlib import ExitStack

import httpx
import msgspec
import pytest

from tests.transport.rpc_node import CONTRACT, Fault, Refused, hash_of, node, state_at
from tidelake.errors import ConfigError, NotServed, SourceError
from tidelake.transport.breaker import Breaker
from tidelake.transport.http import Http, Patience
from tidelake.transport.rates import Pace, Rates
from tidelake.transport.rpc import RpcPool
from tidelake.transport.rpc_cache import RpcCache
from tidelake.transport.rpc_calls import RpcCall, rpc_request
from tidelake.transport.rpc_providers import UNITS, Provider

QUICK = Patience(attempts=5, total=20.0, timeout=0.5, first_wait=0.001, longest_wait=0.01)


def calls(count, first=100):
    return [RpcCall("eth_call", [{"to": CONTRACT, "data": "0x01"}, hex(first + at)]) for at in range(count)]


def truth(asked):
    return [state_at(call.params[0], int(call.params[1], 16)) for call in asked]


def ask(providers, asked, *, chain_id=None, patience=QUICK, cache=None, pool_of=None, **options):
    async def run():
        async with RpcPool("ethereum", providers, chain_id=chain_id, patience=patience, cache=cache, seed=1) as pool:
            if pool_of is not None:
                pool_of.append(pool)
            return await pool.ask(asked, **options)

    return asyncio.run(run())


def values(answers):
    return [answer.value(str) for answer in answers]


@pytest.fixture
def nodes():
    with ExitStack() as stack:
        yield lambda **attributes: stack.enter_context(node(**attributes))


def test_calls_are_answered_in_order_in_batches_and_counted(nodes):
    one = nodes()
    pools = []
    asked = calls(250)
    answers = ask([one.provider(max_batch=100, units=UNITS["alchemy"])], asked, pool_of=pools)
    assert values(answers) == truth(asked)
    assert [answer.call for answer in answers] == asked
    assert sorted(map(len, one.asked)) == [50, 100, 100]
    usage = pools[0].usage["one"]
    assert (usage.requests, usage.calls["eth_call"], usage.units["eth_call"]) == (3, 250, 250 * 26)
    assert usage.sent_bytes > 0
    assert usage.received_bytes > 250 * 66


def test_an_answer_keeps_its_own_bytes_and_says_who_gave_it_and_when(nodes):
    one = nodes()
    before = time.time_ns()
    for asked in (calls(1), calls(3)):
        for number, answer in enumerate(ask([one.provider("alpha")], asked), start=1):
            said = {"jsonrpc": "2.0", "id": number, "result": truth([answer.call])[0]}
            assert msgspec.json.decode(answer.payload) == said
            assert answer.payload.startswith(b'{"jsonrpc": "2.0", "id"'), "with the node's own spaces"
            assert (answer.provider, answer.attempts, answer.error) == ("alpha", 1, None)
            assert before <= answer.recv_ns <= time.time_ns()
    assert isinstance(one.asked[0][0], dict)
    assert rpc_request(calls(1)[0]) == (
        f'{{"method":"eth_call","params":[{{"data":"0x01","to":"{CONTRACT}"}},"0x64"]}}'
    )


def test_a_revert_is_an_answer_and_is_asked_once(nodes):
    one, two = nodes(), nodes()

    def revert(params):
        raise Refused(3, "execution reverted: rate limit exceeded, header not found", "0x08c379a0")

    one.answers["eth_call"] = revert
    (answer,) = ask([one.provider(), two.provider("two")], calls(1))
    assert (answer.result, answer.error.code, answer.error.data) == (None, 3, '"0x08c379a0"')
    assert (len(one.asked), len(two.asked)) == (1, 0)
    with pytest.raises(SourceError, match="rate limit exceeded"):
        answer.value(str)


PASSING = {
    "429": Fault(429, b"slow down"),
    "429-json": Fault(429, b'{"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"request rate exceeded"}}'),
    "503": Fault(503, b"<html>busy</html>"),
    "500-json": Fault(500, b'{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"internal error"}}'),
    "silence": Fault(silence=0.6),
    "cut": Fault(cut=True),
    "not-json": Fault(change=lambda found: "hello"),
    "null": Fault(change=lambda found: None),
    "no-answer": Fault(change=lambda found: []),
    "neither": Fault(change=lambda found: [{"jsonrpc": "2.0", "id": one["id"]} for one in found]),
    "foreign-ids": Fault(change=lambda found: [{**one, "id": one["id"] + 1000} for one in found]),
    "text-ids": Fault(change=lambda found: [{**one, "id": str(one["id"])} for one in found]),
    "missing": Fault(change=lambda found: found[:-1]),
    "doubled": Fault(change=lambda found: [*found, {**found[0], "result": "0xbad"}]),
    "single-error": Fault(
        change=lambda found: {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "x"}}
    ),
    "busy-inside": Fault(
        change=lambda found: [{"id": one["id"], "error": {"code": 429, "message": "CU"}} for one in found]
    ),
    "text-error": Fault(change=lambda found: [{"id": one["id"], "error": "upstream connect error"} for one in found]),
}


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
@pytest.mark.parametrize("others", [False, True], ids=["alone", "with-another"])
def test_what_may_pass_is_asked_again_of_anybody(nodes, fault, count, others):
    one, two = nodes(faults=deque([fault])), nodes()
    asked = calls(count)
    answers = ask([one.provider()] + [two.provider("two")] * others, asked)
    assert values(answers) == truth(asked)
    assert len(one.asked) + len(two.asked) >= 2


def test_answers_out_of_order_are_matched_by_id(nodes):
    one = nodes(faults=deque([Fault(change=lambda found: found[::-1])]))
    asked = calls(20)
    assert values(ask([one.provider()], asked)) == truth(asked)
    assert len(one.asked) == 1


def test_only_what_a_batch_left_out_is_asked_again(nodes):
    one = nodes(faults=deque([Fault(change=lambda found: found[:15])]))
    asked = calls(20)
    assert values(ask([one.provider()], asked)) == truth(asked)
    again = [call["params"][1] for request in one.asked[1:] for call in request]
    assert sorted(again, key=lambda block: int(block, 16)) == [hex(100 + at) for at in range(15, 20)]


@pytest.mark.parametrize(
    "refusal",
    [
        None,
        Fault(413, b"too large"),
        Fault(
            change=lambda found: {"id": None, "error": {"code": -32000, "message": "batch limit 7 exceeded: 9 given"}}
        ),
        Fault(change=lambda found: [{"id": 1, "error": {"code": -32003, "message": "response too large"}}]),
    ],
    ids=["geth", "413", "erigon", "geth-response"],
)
def test_a_limit_on_batches_is_found_and_kept(nodes, refusal):
    one = nodes(max_batch=7)
    if refusal is not None:
        one.faults.extend([refusal] * 3)  # 60 -> 30 -> 15 -> 7
    asked = calls(60)
    answers = ask([one.provider(max_batch=60, parallel=1)], asked)
    assert values(answers) == truth(asked)
    sizes = [len(request) for request in one.asked]
    assert sizes[:4] == [60, 30, 15, 7]
    assert set(sizes[3:]) <= {7, 4}, "it does not try wider ones again"


def test_retry_after_is_waited_for(nodes):
    one = nodes(faults=deque([Fault(429, headers={"Retry-After": "0.3"})]))
    started = time.monotonic()
    assert ask([one.provider()], calls(1))[0].attempts == 2
    assert time.monotonic() - started >= 0.3


def test_a_long_retry_after_ends_it_and_tells(nodes):
    one = nodes(always=Fault(429, headers={"Retry-After": "3600"}))
    with pytest.raises(SourceError) as failed:
        ask([one.provider()], calls(1))
    assert (failed.value.retryable, failed.value.status, len(one.asked)) == (True, 429, 1)
    assert failed.value.retry_after == 3600


def test_while_one_asks_for_patience_the_other_answers(nodes):
    one, two = nodes(always=Fault(429, headers={"Retry-After": "3600"})), nodes()
    asked = calls(40)
    answers = ask([one.provider(max_batch=10), two.provider("two", max_batch=10)], asked)
    assert values(answers) == truth(asked)
    assert {answer.provider for answer in answers} == {"two"}
    assert len(one.asked) <= 4, "only what was under way at the first refusal"


def test_patience_runs_out_and_says_who_said_what(nodes):
    one = nodes(always=Fault(503, b"down"))
    with pytest.raises(SourceError) as failed:
        ask([one.provider("alpha")], calls(1))
    assert (failed.value.retryable, failed.value.status) == (True, 503)
    assert len(one.asked) == QUICK.attempts
    assert "down" in str(failed.value)


def test_a_refused_key_bars_a_provider_and_not_the_others(nodes):
    one, two = nodes(always=Fault(401, b'{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"no"}}')), nodes()
    pools = []
    asked = calls(30)
    answers = ask([one.provider(parallel=1, max_batch=10), two.provider("two")], asked, pool_of=pools)
    assert values(answers) == truth(asked)
    assert len(one.asked) == 1
    assert list(pools[0].barred) == ["one"]
    with pytest.raises(SourceError, match="one: status 401") as failed:
        ask([one.provider()], calls(1))
    assert not failed.value.retryable


def test_a_provider_of_another_chain_is_refused_by_name(nodes):
    one, two = nodes(chain_id=137), nodes(chain_id=1)
    pools = []
    asked = calls(200)
    providers = [one.provider("polygon-node", max_batch=10), two.provider("two", max_batch=10)]
    answers = ask(providers, asked, chain_id=1, pool_of=pools)
    assert values(answers) == truth(asked)
    assert {answer.provider for answer in answers} == {"two"}
    assert pools[0].barred == {"polygon-node": "it is of chain 137, not of 1"}
    assert one.methods() == ["eth_chainId"], "it was asked for nothing else"
    assert two.methods().count("eth_chainId") == 1
    with pytest.raises(SourceError, match="polygon-node: it is of chain 137, not of 1"):
        ask([one.provider("polygon-node")], asked, chain_id=1)
    with pytest.raises(SourceError, match="no provider beside two can be asked; polygon-node: it is of chain 137"):
        ask(providers, calls(1), chain_id=1, agree=2)


@pytest.mark.parametrize("told", ["one", 1, None, "0x"], ids=str)
def test_a_provider_that_tells_no_chain_is_refused(nodes, told):
    one = nodes(answers={"eth_chainId": lambda params: told})
    with pytest.raises(SourceError, match="one: eth_chainId: no number"):
        ask([one.provider()], calls(1), chain_id=1)
    assert one.methods() == ["eth_chainId"]


@pytest.mark.parametrize("seed", range(3))
def test_whatever_goes_wrong_on_the_way_each_call_has_its_own_answer(nodes, seed):
    draw = random.Random(seed)
    faults = [fault for name, fault in PASSING.items() if name != "silence"]
    three = [nodes(max_batch=draw.choice([3, 20, 100])) for _ in range(3)]
    for one in three:
        one.faults.extend(draw.choice([None, None, *faults]) for _ in range(40))
    asked = calls(400)
    providers = [one.provider(f"n{at}", max_batch=draw.choice([5, 50]), parallel=3) for at, one in enumerate(three)]
    answers = ask(providers, asked, chain_id=1, patience=Patience(attempts=200, first_wait=0.0001, longest_wait=0.001))
    assert values(answers) == truth(asked)
    assert [answer.call for answer in answers] == asked


def test_a_lagging_node_is_passed_over_and_waited_for_where_it_is_alone(nodes):
    one, two = nodes(head=90), nodes()
    assert values(ask([one.provider(), two.provider("two")], calls(3))) == truth(calls(3))
    with pytest.raises(NotServed) as failed:
        ask([one.provider()], calls(1))
    assert (failed.value.what, failed.value.retryable) == ("block", True)
    assert "header not found" in str(failed.value)

    def catch_up(params):
        one.head += 5
        raise Refused(-32000, "header not found") if one.head < 100 else Refused(3, "execution reverted")

    one.answers["eth_call"] = catch_up
    assert ask([one.provider()], calls(1))[0].error.code == 3


def test_a_node_below_the_head_that_is_needed_is_not_believed(nodes):
    one, two = nodes(head=99), nodes(head=100)
    asked = [RpcCall("eth_getLogs", [{"fromBlock": "0x60", "toBlock": "0x64", "topics": []}])]
    (answer,) = ask([one.provider(), two.provider("two")], asked, head=100)
    assert answer.provider == "two"
    assert one.methods() == ["eth_blockNumber"]
    with pytest.raises(NotServed, match="its newest block is 99"):
        ask([one.provider()], asked, head=100)


def test_null_for_a_block_is_believed_when_all_say_so(nodes):
    one, two = nodes(head=90), nodes(head=100)
    asked = [RpcCall("eth_getBlockByNumber", [hex(number), False]) for number in (80, 100, 101)]
    answers = ask([one.provider(), two.provider("two")], asked)
    assert [answer.value() for answer in answers] == [
        {"number": "0x50", "hash": hash_of(80)},
        {"number": "0x64", "hash": hash_of(100)},
        None,
    ]
    assert [answer.provider for answer in answers][:2] == ["one", "two"]


def test_pruned_state_comes_from_an_archive_and_is_not_asked_for_twice(nodes):
    one, two = nodes(pruned_to=150), nodes()
    providers = [one.provider(parallel=1, max_batch=10), two.provider("two", max_batch=10)]
    asked = calls(100)
    assert values(ask(providers, asked)) == truth(asked)
    old = [call for request in one.asked for call in request if int(call["params"][1], 16) <= 150]
    assert len(old) <= 20, "what it refused first, and perhaps a batch beside it"
    with pytest.raises(NotServed, match="missing trie node") as failed:
        ask([one.provider()], calls(1))
    assert (failed.value.what, failed.value.retryable, len(one.asked[-1])) == ("history", False, 1)


def test_a_node_that_is_no_archive_is_asked_for_state_last(nodes):
    one, two = nodes(), nodes()
    answers = ask([one.provider(archive=False), two.provider("two")], calls(5))
    assert {answer.provider for answer in answers} == {"two"}
    two.always = Fault(401)
    assert {answer.provider for answer in ask([one.provider(archive=False), two.provider("two")], calls(5))} == {"one"}


def test_an_unknown_error_is_an_answer_when_each_provider_gives_one(nodes):
    one, two = nodes(), nodes()
    (answer,) = ask([one.provider(), two.provider("two")], [RpcCall("eth_nonsense")])
    assert answer.error.code == -32601
    assert (one.methods(), two.methods()) == (["eth_nonsense"], ["eth_nonsense"])
    two.answers["eth_nonsense"] = lambda params: "0x1"
    assert ask([one.provider(), two.provider("two")], [RpcCall("eth_nonsense")])[0].value(str) == "0x1"


def test_two_that_agree_are_named_and_a_liar_is_found_out(nodes):
    one, two, three = nodes(), nodes(), nodes()
    providers = [one.provider("alpha"), two.provider("beta"), three.provider("gamma")]
    asked = calls(20)
    answers = ask(providers, asked, agree=2)
    assert values(answers) == truth(asked)
    assert all({answer.provider, *answer.agreed} == {"alpha", "beta"} for answer in answers)
    assert not three.asked
    two.answers["eth_call"] = lambda params: "0x" + "00" * 32
    with pytest.raises(SourceError) as failed:
        ask(providers, asked, agree=2)
    assert "alpha and beta do not agree on eth_call" in str(failed.value)
    assert "0x" + "00" * 32 in str(failed.value)


def test_agreement_passes_over_what_clients_add_and_nothing_else(nodes):
    one, two = nodes(logs=lambda block: 2), nodes(logs=lambda block: 2)
    providers = [one.provider("alpha"), two.provider("beta")]
    asked = [RpcCall("eth_getLogs", [{"fromBlock": "0x1", "toBlock": "0x2", "topics": []}])]
    honest = two._logs

    def with_times(params):
        return [
            {**log, "blockTimestamp": "0x65", "address": log["address"].upper().replace("0X", "0x")}
            for log in honest(params[0])
        ]

    two.answers["eth_getLogs"] = with_times
    assert len(ask(providers, asked, agree=2)[0].value(list)) == 4
    two.answers["eth_getLogs"] = lambda params: honest(params[0])[:-1]
    with pytest.raises(SourceError, match="result: 4 items against 3 items"):
        ask(providers, asked, agree=2)
    two.answers["eth_getLogs"] = lambda params: [{**log, "data": "0x01"} for log in honest(params[0])]
    with pytest.raises(SourceError, match=r"result\[0\]\.data: 0x against 0x01"):
        ask(providers, asked, agree=2)
    two.answers["eth_getLogs"] = lambda params: [
        {key: log[key] for key in log if key != "topics"} for log in honest(params[0])
    ]
    with pytest.raises(SourceError, match=r"result\[0\]\.topics"):
        ask(providers, asked, agree=2)


def test_agreement_needs_providers_that_can_answer(nodes):
    one, two = nodes(), nodes(always=Fault(401))
    with pytest.raises(ConfigError, match="2 providers must agree, and there are 1"):
        ask([one.provider()], calls(1), agree=2)
    with pytest.raises(SourceError, match="two: status 401"):
        ask([one.provider(), two.provider("two")], calls(1), agree=2)


def test_secrets_in_addresses_are_told_nowhere(nodes, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    key = "canary-in-the-path-0123"
    one = nodes(faults=deque([Fault(503, key.encode()), Fault(cut=True), Fault(429), Fault(silence=0.6), None]))
    one.answers["eth_call"] = lambda params: (_ for _ in ()).throw(Refused(-1, f"cannot reach http://up/{key}/x"))
    provider = Provider("alpha", f"{one.url}/{key}/?dkey=canary-in-the-query", requests=Pace(1e6, 1.0))
    (answer,) = ask([provider], calls(1), patience=Patience(attempts=20, timeout=0.5, first_wait=0.001))
    told = [str(answer), str(answer.error), answer.payload.decode(), repr(provider)]
    one.faults.extend([Fault(403, key.encode())])
    with pytest.raises(SourceError) as failed:
        ask([provider], calls(1))
    unreachable = Provider("beta", f"http://127.0.0.1:1/{key}")
    with pytest.raises(SourceError) as refused:
        ask([unreachable], calls(1))
    told += [str(failed.value), str(refused.value), caplog.text, *capfd.readouterr()]
    assert "canary" not in "".join(told)
    assert "cannot reach http://up/***" in answer.error.message
    assert "HTTP Request: POST" in caplog.text, "httpx did log addresses"


def test_compute_units_are_obeyed_in_any_ten_seconds():
    """The window in which Alchemy counts (https://www.alchemy.com/docs/reference/throughput)."""
    now = [1_000.0]
    sent = []

    async def sleep(seconds):
        now[0] += seconds
        await asyncio.sleep(0)

    async def answer(request):
        asked = msgspec.json.decode(request.content)
        asked = asked if isinstance(asked, list) else [asked]
        sent.append((now[0], sum(UNITS["alchemy"].load(RpcCall(call["method"])) for call in asked)))
        return httpx.Response(200, json=[{"id": call["id"], "result": "0x1"} for call in asked])

    async def run():
        rates = Rates(clock=lambda: now[0], sleep=sleep)
        provider = Provider(
            "a", "http://node", requests=Pace(1e6, 1.0), units=UNITS["alchemy"], load=Pace(330, 1.0), parallel=1
        )
        async with Http(rates=rates, patience=QUICK, transport=httpx.MockTransport(answer)) as http:
            pool = RpcPool("ethereum", [provider], http=http, clock=lambda: now[0], sleep=sleep)
            return await pool.ask([*calls(300), *[RpcCall("eth_getBlockReceipts", [hex(at)]) for at in range(5)]])

    assert len(asyncio.run(run())) == 305
    total = sum(units for _, units in sent)
    assert total == 300 * 26 + 5 * 500
    for at, (start, _) in enumerate(sent):
        assert sum(units for moment, units in sent[at:] if moment < start + 10) <= 3_300 + 500
    assert all(units <= 165 or units == 500 for _, units in sent), "no request holds more than half a second's units"
    assert total / 330 <= sent[-1][0] - sent[0][0] + 2 <= 1.3 * total / 330, "nor is it needlessly slow"


def test_the_circuit_opens_closes_and_keeps_a_dead_provider_out(nodes, caplog):
    one, two = nodes(always=Fault(503)), nodes()
    now = [0.0]
    asked = calls(1)

    async def run():
        rates = Rates(clock=lambda: now[0], sleep=asyncio.sleep)
        async with Http(rates=rates, patience=QUICK) as http:
            pool = RpcPool("ethereum", [one.provider(), two.provider("two")], http=http, clock=lambda: now[0], seed=1)
            for _ in range(20):
                now[0] += 0.1
                assert (await pool.ask(asked))[0].value(str) == truth(asked)[0]
            tried = len(one.asked)
            now[0] += 16
            await pool.ask(asked)
            probed = len(one.asked)
            await pool.ask(asked)
            still = len(one.asked)
            one.always = None
            now[0] += 31
            healed = [(await pool.ask(asked))[0].provider for _ in range(3)]
            return tried, probed, still, healed

    tried, probed, still, healed = asyncio.run(run())
    assert tried == 5, "after five failures in a row it is left alone"
    assert probed == 6, "then one request probes"
    assert still == 6, "and its failure keeps it out"
    assert healed == ["one"] * 3
    told = [record for record in caplog.records if "left alone" in record.getMessage()]
    assert len(told) == 1, "it is said once, not with each probe"
    assert "503" in told[0].getMessage()


def test_a_breaker_lets_one_probe_in_and_doubles_its_pause():
    now = [0.0]
    breaker = Breaker(failures=2, pause=10.0, longest=25.0, clock=lambda: now[0])
    assert breaker.enter()
    breaker.failed()
    assert breaker.closed
    breaker.failed()
    assert (breaker.closed, breaker.enter(), breaker.wait()) == (False, False, 10.0)
    assert breaker.state == "open"
    for pause in (20.0, 25.0, 25.0):
        now[0] += breaker.wait()
        assert (breaker.enter(), breaker.enter()) == (True, False)
        breaker.failed()
        assert breaker.wait() == pause
    now[0] += 25.0
    assert breaker.enter()
    breaker.abandoned()
    assert breaker.enter(), "a probe that was cancelled leaves its place"
    breaker.succeeded()
    assert (breaker.closed, breaker.wait(), breaker.in_a_row) == (True, 0.0, 0)


def test_final_answers_come_from_the_cache_with_their_own_origin(nodes, tmp_path):
    one = nodes()
    asked = calls(10, first=100)
    first = ask([one.provider("alpha")], asked, cache=RpcCache("ethereum", tmp_path), final=104)
    again = ask([one.provider("beta")], asked, cache=RpcCache("ethereum", tmp_path), final=104)
    assert again[:5] == first[:5], "another process, the same answers"
    assert [answer.provider for answer in again] == ["alpha"] * 5 + ["beta"] * 5
    assert [call["params"][1] for call in one.asked[1]] == [hex(number) for number in range(105, 110)]


def test_a_cancelled_question_leaves_the_pool_in_order(nodes):
    one = nodes(always=Fault(silence=0.5))

    async def run():
        async with RpcPool("ethereum", [one.provider(parallel=2)], patience=QUICK, seed=1) as pool:
            task = asyncio.create_task(pool.ask(calls(300)))
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert [other for other in asyncio.all_tasks() if other is not asyncio.current_task()] == []
            one.always = None
            return await pool.ask(calls(5))

    assert values(asyncio.run(run())) == truth(calls(5))


def test_pools_of_two_chains_share_the_pace_of_one_account(nodes):
    one, two = nodes(), nodes(chain_id=137)
    now = [0.0]

    async def sleep(seconds):
        now[0] += seconds

    async def run():
        pace = Pace(10, 1.0)
        async with Http(rates=Rates(clock=lambda: now[0], sleep=sleep), patience=QUICK) as http:
            pools = [
                RpcPool(
                    chain,
                    [at.provider("account", requests=pace, max_batch=1, parallel=1)],
                    http=http,
                    clock=lambda: now[0],
                )
                for chain, at in (("ethereum", one), ("polygon", two))
            ]
            for pool in pools:
                await pool.ask(calls(20))

    asyncio.run(run())
    assert 4.1 <= now[0] <= 4.4, "40 requests at nine a second"
