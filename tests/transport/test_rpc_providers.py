"""Providers from the environment: their options, their names, and their secrets."""

import pytest

from tidelake.errors import ConfigError
from tidelake.logs import redact
from tidelake.transport.rates import Pace
from tidelake.transport.rpc import RpcPool
from tidelake.transport.rpc_calls import RpcCall
from tidelake.transport.rpc_providers import UNITS, Provider, providers_from_environment, variable_of

KEY = "canary0123456789abcdef"


def read(text, chain="ethereum"):
    return providers_from_environment(chain, {variable_of(chain): text})


def test_addresses_options_and_defaults_are_read_in_order():
    first, second, third = read(
        f"  https://eth-mainnet.g.alchemy.com/v2/{KEY}#rps=5&cups=330&batch=50&log_blocks=10&logs=10000&archive=no,\n"
        f"\thttps://user:{KEY}@10.0.0.7:8545/#name=home&parallel=2 http://[::1]:8545/x?y=1 "
    )
    assert first == Provider(
        "alchemy.com",
        f"https://eth-mainnet.g.alchemy.com/v2/{KEY}",
        requests=Pace(5, 1.0),
        units=UNITS["alchemy"],
        load=Pace(330, 1.0),
        max_batch=50,
        max_log_blocks=10,
        max_logs=10_000,
        archive=False,
    )
    assert second == Provider("home", f"https://user:{KEY}@10.0.0.7:8545/", parallel=2)
    assert (third.name, third.url, third.load) == ("::1:8545", "http://[::1]:8545/x?y=1", None)


def test_a_socket_for_heads_is_an_option_and_a_secret():
    (found,) = read(f"https://x.infura.io/v3/{KEY}#rps=3&ws=wss://x.infura.io/ws/v3/{KEY[::-1]}%26a=b")
    assert found.socket == f"wss://x.infura.io/ws/v3/{KEY[::-1]}&a=b"
    assert {KEY, KEY[::-1]} <= set(found.secrets())
    assert KEY[::-1] not in repr(found)
    with pytest.raises(ConfigError, match="no ws:// or wss:// address") as failed:
        read(f"https://x.infura.io/v3/1#ws=https://x.infura.io/{KEY}")
    assert KEY not in str(failed.value)


def test_two_of_one_house_are_named_apart():
    names = [one.name for one in read(f"https://a.infura.io/v3/{KEY} https://b.infura.io/v3/{KEY} https://c.infura.io")]
    assert names == ["infura.io", "infura.io#2", "infura.io#3"]


def test_the_variable_is_named_after_the_chain():
    assert [variable_of(chain) for chain in ("ethereum", "zksync-era", "BNB Chain")] == [
        "TIDELAKE_RPC_ETHEREUM",
        "TIDELAKE_RPC_ZKSYNC_ERA",
        "TIDELAKE_RPC_BNB_CHAIN",
    ]
    with pytest.raises(ConfigError, match="set TIDELAKE_RPC_ETHEREUM") as failed:
        read(" ")
    assert failed.value.tried == ("environment: TIDELAKE_RPC_ETHEREUM",)


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        (f"ftp://x/{KEY}", "no http:// or https:// address"),
        (f"{KEY}.example/v2", "no http:// or https:// address"),
        (f"http://[::1/{KEY}", "not an address"),
        (f"http://x:port/{KEY}", "not an address"),
        (f"http://x/{KEY}#speed=3", "unknown option 'speed'; known: name, rps, cups"),
        (f"http://x/{KEY}#rps=0", "option rps cannot be '0'"),
        (f"http://x/{KEY}#cups=nan", "option cups cannot be 'nan'"),
        (f"http://x/{KEY}#batch=-1", "option batch cannot be '-1'"),
        (f"http://x/{KEY}#archive=maybe", "option archive cannot be 'maybe'"),
        (f"http://x/{KEY}#units=gas", "option units cannot be 'gas'"),
    ],
)
def test_an_address_that_cannot_be_used_is_told_by_its_place(address, complaint):
    with pytest.raises(ConfigError) as failed:
        read(f"https://good.example {address}")
    assert f"address 2 in TIDELAKE_RPC_ETHEREUM: {complaint}" in str(failed.value)
    assert "canary" not in str(failed.value)


def test_a_pool_hides_the_keys_of_its_providers_wherever_they_stand():
    words = {
        f"https://x.quiknode.pro/quick{KEY}/": f"quick{KEY}",
        f"https://rpc.ankr.com/eth/ankr{KEY}": f"ankr{KEY}",
        f"https://lb.drpc.org/ogrpc?network=ethereum&dkey=drpc{KEY}": f"drpc{KEY}",
        f"https://me:pass{KEY}@node.example": f"pass{KEY}",
    }
    providers = [provider for address in words for provider in read(address)]
    RpcPool("ethereum", providers)
    for provider, key in zip(providers, words.values(), strict=True):
        assert key in provider.secrets()
        assert key not in redact(f"error near {key} at {provider.url}")
        assert key not in repr(provider)
    assert redact("ethereum at rpc.ankr.com/eth") == "ethereum at rpc.ankr.com/eth", "ordinary words stay"


def test_units_are_billed_and_paced_as_documented():
    blocks = RpcCall("eth_getBlockReceipts", ["0x1"])
    assert [UNITS["alchemy"].price(RpcCall(method)) for method in ("eth_call", "eth_getLogs", "eth_chainId")] == [
        26,
        60,
        0,
    ]
    assert (UNITS["alchemy"].price(blocks), UNITS["alchemy"].load(blocks)) == (20, 500)
    assert (UNITS["infura"].price(blocks), UNITS["quicknode"].price(blocks), UNITS["calls"].price(blocks)) == (
        80,
        20,
        1,
    )


def test_a_pool_needs_providers_with_names_of_their_own():
    with pytest.raises(ConfigError, match="each with a name of its own"):
        RpcPool("ethereum", [Provider("a", "http://x"), Provider("a", "http://y")])
    with pytest.raises(ConfigError, match="at least one provider"):
        RpcPool("ethereum", [])
