"""The calls of one market at one block: grouped, split, made again by themselves; no silence is taken for nothing."""

import pytest
from eth_abi.abi import decode, encode

from tests.jobs.lending_chain import BASE, COMETS, MULTICALL, LendingChain, last_block
from tests.lending.contracts import Market, selector
from tidelake.chains.multicall import Call
from tidelake.chains.spec import Multicall3
from tidelake.lending.day_calls import DayCalls, NoState, Pin
from tidelake.lending.families.compound_v3 import FAMILY
from tidelake.transport.rpc_calls import RpcAnswer, RpcError, read_response

NUMBER = last_block(3)
SUPPLY = Call(COMETS["one"], selector("totalSupply()"))


def day(chain=None, **options):
    market = Market({"comet": COMETS["one"]})
    pin = Pin("2024-01-04", NUMBER, "0x", 0)
    multicall = Multicall3(MULTICALL, options.pop("since", 0))
    return DayCalls(pin, lambda: FAMILY.positions(market, ()), COMETS["one"], multicall, **options)


def said(wanted, chain, provider="one", most=10**9):
    """What a provider says to a call; one that makes more than `most` at once is refused."""
    call = wanted.rpc
    if len(wanted.inner) > most:
        return RpcAnswer(call, None, RpcError(-32000, "out of gas"), b'{"error":{}}', provider, 1, 1, 1)
    if call.method == "eth_getCode":
        result = '"0x60"' if chain.stands(call.params[0].lower(), NUMBER) else '"0x"'
    else:
        done, data = chain.run(call.params[0]["to"].lower(), bytes.fromhex(call.params[0]["data"][2:]), NUMBER)
        if not done:
            return answer_of(call, '{"error":{"code":3,"message":"execution reverted"}}', provider)
        result = f'"0x{data.hex()}"'
    return answer_of(call, f'{{"jsonrpc":"2.0","id":1,"result":{result}}}', provider)


def answer_of(call, text, provider):
    response = read_response(text.encode())
    assert response is not None
    return RpcAnswer(call, response.result, response.error, response.payload, provider, 1, 1, 1)


def drive(found, chain, **options):
    sent = []
    while calls := found.take():
        for wanted in calls:
            sent.append(wanted)
            found.answered(wanted, said(wanted, chain, **options))
    return sent


def test_what_the_day_before_asked_goes_out_at_once():
    first = day()
    assert len(drive(first, LendingChain())) == 2
    second = day(likely=first.made)
    assert len(drive(second, LendingChain())) == 1
    assert (second.state, second.positions) == ("OK", first.positions)


def test_what_is_too_much_at_once_is_asked_in_halves():
    found = day()
    sent = drive(found, LendingChain(), most=1)
    assert found.state == "OK"
    assert max(len(wanted.inner) for wanted in sent) == 4
    assert found.positions[0].supplied == LendingChain.truth(COMETS["one"], NUMBER)[0]


def test_a_silent_failure_in_a_multicall_is_asked_again_alone_and_that_stands():
    chain = LendingChain()

    class OutOfGas(LendingChain):
        def run(self, to, data, number):
            done, answer = super().run(to, data, number)
            if to != MULTICALL:
                return done, answer
            (calls,) = decode(["(address,bool,bytes)[]"], data[4:])
            (results,) = decode(["(bool,bytes)[]"], answer)
            starved = [
                (False, b"") if inner == SUPPLY.data else result
                for (_, _, inner), result in zip(calls, results, strict=True)
            ]
            return True, encode(["(bool,bytes)[]"], [starved])

    found = day()
    sent = drive(found, OutOfGas())
    assert [wanted.inner for wanted in sent if wanted.rpc.params[0]["to"] != MULTICALL] == [(SUPPLY,)]
    assert (found.state, found.positions[0].supplied) == ("OK", chain.truth(COMETS["one"], NUMBER)[0])


def test_a_provider_without_state_is_found_out_with_multicall():
    found, stateless = day(), LendingChain()
    stateless.stateless = NUMBER
    (wanted,) = found.take()
    with pytest.raises(NoState, match="Multicall3"):
        found.answered(wanted, said(wanted, stateless))
    drive(found, LendingChain())
    assert found.state == "OK"


def test_before_multicall_two_providers_must_say_that_nothing_stands():
    found, stateless = day(since=NUMBER + 1), LendingChain()
    stateless.stateless = NUMBER
    code = found.take()[0]
    assert code.rpc.method == "eth_getCode"
    with pytest.raises(NoState, match="no contract stands"):
        found.answered(code, said(code, stateless, "one"))
    found.answered(code, said(code, stateless, "two"))
    assert found.state == "NOT_DEPLOYED"


def test_before_multicall_an_empty_answer_of_a_provider_that_showed_no_state_does_not_count():
    found, stateless = day(since=NUMBER + 1), LendingChain()
    stateless.stateless = NUMBER
    code, call, *_ = found.take()
    found.answered(code, said(code, LendingChain(), "one"))
    with pytest.raises(NoState, match="nothing stands"):
        found.answered(call, said(call, stateless, "two"))


def test_a_contract_that_stands_and_answers_otherwise_is_refused_with_the_reason():
    class Other(LendingChain):
        def run(self, to, data, number):
            return (True, b"\x01") if data == SUPPLY.data else super().run(to, data, number)

    found = day()
    drive(found, Other())
    assert found.state == "REFUSED"
    assert "totalSupply()" in found.note().reason


def test_where_no_contract_stands_it_is_not_deployed():
    chain = LendingChain()
    chain.without = {COMETS["one"]}
    found = day(look=True)
    sent = drive(found, chain)
    assert (found.state, sent[-1].rpc.method) == ("NOT_DEPLOYED", "eth_getCode")
    assert BASE not in found.reason
