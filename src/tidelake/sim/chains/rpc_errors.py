"""Errors as nodes and providers word them."""


class RpcFault(Exception):
    """An error object in place of a result."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


def bad_parameters(text: str) -> RpcFault:
    """A call with parameters that cannot be read; geth's code."""
    return RpcFault(-32602, f"invalid argument: {text}")


def no_such_method(method: str) -> RpcFault:
    """As geth says it."""
    return RpcFault(-32601, f"the method {method} does not exist/is not available")


def header_not_found() -> RpcFault:
    """A state call at a block beyond the head; geth."""
    return RpcFault(-32000, "header not found")


def hash_not_found() -> RpcFault:
    """A state call at a hash that is not of the chain; geth."""
    return RpcFault(-32000, "header for hash not found")


def pruned(root: str) -> RpcFault:
    """State that is no longer kept; geth."""
    return RpcFault(-32000, f"missing trie node {root[2:]} (path ) state {root} is not available, not found")


def reverted(data: bytes) -> RpcFault:
    """A call that the contract refused; geth gives the code 3 where there are reasons."""
    if not data:
        return RpcFault(-32000, "execution reverted")
    return RpcFault(3, "execution reverted", "0x" + data.hex())


def range_too_wide(limit: int) -> RpcFault:
    """Too many blocks for one `eth_getLogs`; reth."""
    return RpcFault(-32602, f"query exceeds max block range {limit}")


def too_many_logs(limit: int, first: int, last: int) -> RpcFault:
    """Too many logs; Infura, with a range that would do."""
    return RpcFault(
        -32005, f"query returned more than {limit} results. Try with this block range [{first:#x}, {last:#x}]."
    )


def beyond_head() -> RpcFault:
    """Logs of blocks beyond the head; geth."""
    return RpcFault(-32000, "block range extends beyond current head block")


def pruned_logs() -> RpcFault:
    """Logs that are no longer kept (EIP-4444); geth."""
    return RpcFault(4444, "pruned history unavailable")


def batch_too_large(limit: int) -> RpcFault:
    """Too many calls in one request; Erigon."""
    return RpcFault(-32600, f"batch limit {limit} exceeded")


def too_many_requests() -> RpcFault:
    """What stands in the body of a 429."""
    return RpcFault(429, "Too many requests: limit per second exceeded")


def internal() -> RpcFault:
    """A node that fails."""
    return RpcFault(-32603, "Internal error")
