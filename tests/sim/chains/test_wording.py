"""The errors of simulated nodes are worded so that the pool of providers knows them for what they are."""

import pytest

from tidelake.sim.chains import rpc_errors
from tidelake.transport.rpc_calls import RpcCall, RpcError
from tidelake.transport.rpc_errors import meaning_of, widest_range

CALL = RpcCall("eth_call", [])
LOGS = RpcCall("eth_getLogs", [{"fromBlock": "0x1", "toBlock": "0x100"}])


@pytest.mark.parametrize(
    ("error", "call", "meaning"),
    [
        (rpc_errors.reverted(b""), CALL, "answer"),
        (rpc_errors.reverted(b"\1"), CALL, "answer"),
        (rpc_errors.header_not_found(), CALL, "behind"),
        (rpc_errors.hash_not_found(), CALL, "behind"),
        (rpc_errors.beyond_head(), LOGS, "behind"),
        (rpc_errors.pruned("0x" + "1" * 64), CALL, "pruned"),
        (rpc_errors.pruned_logs(), LOGS, "pruned"),
        (rpc_errors.batch_too_large(7), CALL, "batch"),
        (rpc_errors.too_many_requests(), CALL, "busy"),
        (rpc_errors.range_too_wide(1000), LOGS, "range"),
        (rpc_errors.too_many_logs(3, 1, 16), LOGS, "results"),
    ],
)
def test_pool_knows_what_an_error_means(error, call, meaning):
    assert meaning_of(RpcError(error.code, error.message), call) == meaning


def test_pool_learns_the_range_that_would_do():
    for error, blocks in ((rpc_errors.range_too_wide(1000), 1000), (rpc_errors.too_many_logs(3, 1, 16), 16)):
        assert widest_range(RpcError(error.code, error.message)) == blocks
