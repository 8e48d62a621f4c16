"""Providers of JSON-RPC nodes: where they are, what they allow, and what a call costs there.

TIDELAKE_RPC_ETHEREUM="https://eth-mainnet.g.alchemy.com/v2/KEY#cups=500 https://rpc.example/KEY#rps=25&batch=50"

Addresses are separated by white space or commas. What stands after `#` is for us and is not sent: see `OPTIONS`. The
addresses hold keys, so they come from the environment alone and are shown nowhere: a provider is told by its name.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tidelake.errors import ConfigError
from tidelake.transport.rates import Pace
from tidelake.transport.rpc_calls import RpcCall

ORDINARY = Pace(25, 1.0)  # our choice, for nodes that state no limit
KEY_LENGTH = 12  # a shorter part of a path is a word such as "ethereum", and no key


class NoProvider(ConfigError):
    """No provider is set for a chain."""


@dataclass(frozen=True, slots=True)
class Units:
    """What calls cost.

    Attributes:
        source: Where the prices stand.
        default: Units of a method that `prices` does not name.
        prices: Units by method, as they are billed.
        paced: Units by method as they count against the limit a second, where that differs.
    """

    source: str
    default: int
    prices: Mapping[str, int] = field(default_factory=dict)
    paced: Mapping[str, int] = field(default_factory=dict)

    def price(self, call: RpcCall) -> int:
        """Units that the call is billed."""
        return self.prices.get(call.method, self.default)

    def load(self, call: RpcCall) -> int:
        """Units that the call counts against the limit a second."""
        return self.paced.get(call.method, self.price(call))


UNITS = MappingProxyType(
    {
        "calls": Units("each call is one, for providers that limit the calls a second, batched or not", 1),
        "alchemy": Units(
            "https://www.alchemy.com/docs/reference/compute-unit-costs",
            20,
            {"eth_chainId": 0, "net_version": 0, "eth_blockNumber": 10, "eth_feeHistory": 10, "eth_call": 26}
            | {"eth_getLogs": 60},
            {"eth_getBlockReceipts": 500},
        ),
        # Its table has dearer methods too; what it does not name there costs this.
        "infura": Units("https://docs.metamask.io/services/get-started/pricing/credit-cost", 80),
        # 30 for Gnosis, Scroll and zkSync, 40 for Celo.
        "quicknode": Units("https://www.quicknode.com/api-credits", 20),
    }
)
UNITS_OF_DOMAIN = {"alchemy.com": "alchemy", "alchemyapi.io": "alchemy", "infura.io": "infura"}
UNITS_OF_DOMAIN |= {"quiknode.pro": "quicknode"}


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider of one chain.

    Attributes:
        name: Stands for it in answers, errors, logs and figures; providers of the same name share their paces.
        url: Where its node answers; a secret.
        requests: HTTP requests that it takes; a batch is one.
        units: What calls cost there.
        load: Units that it takes; None where only requests count.
        max_batch: Calls in one request.
        max_log_blocks: Blocks in one `eth_getLogs`; None where that is to be found out.
        max_logs: Logs at which it cuts an answer without a word; None where it is not known to.
        archive: Whether it has the state of all blocks; one without is asked for old state last.
        parallel: Requests under way at once.
        socket: Where its node tells new heads, "ws://" or "wss://"; "" where it is asked for them. A secret too.
    """

    name: str
    url: str = field(repr=False)
    requests: Pace = ORDINARY
    units: Units = UNITS["calls"]
    load: Pace | None = None
    max_batch: int = 100
    max_log_blocks: int | None = None
    max_logs: int | None = None
    archive: bool = True
    parallel: int = 8
    socket: str = field(default="", repr=False)

    def secrets(self) -> tuple[str, ...]:
        """The parts of the addresses that may be keys, the longest first."""
        keys: set[str] = set()
        for parts in map(urlsplit, (self.url, self.socket)):
            whole = f"{parts.path}?{parts.query}" if parts.query else parts.path
            keys |= {whole.lstrip("/"), parts.username or "", parts.password or "", *re.split(r"[/?&=;]", whole)}
        return tuple(sorted((key for key in keys if len(key) >= KEY_LENGTH), key=len, reverse=True))


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _pace(text: str) -> Pace:
    weight = float(text)
    if not 0 < weight < float("inf"):
        raise ValueError(text)
    return Pace(weight, 1.0)


def _socket(text: str) -> str:
    if urlsplit(text).scheme not in ("ws", "wss") or not urlsplit(text).hostname:
        raise ValueError(text)
    return text


def _yes(text: str) -> bool:
    return {"yes": True, "no": False}[text]


# Option after `#`: field of `Provider`, and what reads its value.
OPTIONS: Mapping[str, tuple[str, Callable[[str], Any]]] = MappingProxyType(
    {
        "name": ("name", str),
        "rps": ("requests", _pace),
        "cups": ("load", _pace),
        "units": ("units", UNITS.__getitem__),
        "batch": ("max_batch", _positive),
        "log_blocks": ("max_log_blocks", _positive),
        "logs": ("max_logs", _positive),
        "archive": ("archive", _yes),
        "parallel": ("parallel", _positive),
        "ws": ("socket", _socket),
    }
)


def variable_of(chain: str) -> str:
    """The variable that holds the addresses of a chain's providers."""
    return "TIDELAKE_RPC_" + re.sub(r"[^A-Z0-9]+", "_", chain.upper())


def providers_from_environment(chain: str, environ: Mapping[str, str] | None = None) -> tuple[Provider, ...]:
    """The providers of a chain, in the order in which they are preferred.

    Raises:
        NoProvider: The variable is not set.
        ConfigError: An address in it cannot be used; it is told by its place.
    """
    variable = variable_of(chain)
    tried = (f"environment: {variable}",)
    addresses = re.split(r"[\s,]+", (os.environ if environ is None else environ).get(variable, "").strip())
    if addresses == [""]:
        raise NoProvider(f"no provider for {chain}: set {variable} to the addresses of its nodes", tried=tried)
    found: list[Provider] = []
    for place, address in enumerate(addresses, start=1):
        try:
            provider = _read(address)
        except (ValueError, KeyError) as exc:
            raise ConfigError(f"address {place} in {variable}: {_complaint(exc)}", tried=tried) from None
        found.append(_named_apart(provider, found))
    return tuple(found)


def _read(address: str) -> Provider:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _Unusable("no http:// or https:// address")
    url = parts._replace(fragment="").geturl()
    domain = _domain(parts.hostname)
    name = domain if domain != parts.hostname or parts.port is None else f"{domain}:{parts.port}"
    fields: dict[str, Any] = {"name": name, "url": url}
    fields["units"] = UNITS[UNITS_OF_DOMAIN.get(domain, "calls")]
    for option, text in parse_qsl(parts.fragment, keep_blank_values=True):
        if option not in OPTIONS:
            raise _Unusable(f"unknown option {option!r}; known: {', '.join(OPTIONS)}")
        field_name, read = OPTIONS[option]
        try:
            fields[field_name] = read(text)
        except (ValueError, KeyError):
            shown = "what it is: no ws:// or wss:// address" if option == "ws" else repr(text)
            raise _Unusable(f"option {option} cannot be {shown}") from None
    return Provider(**fields)


class _Unusable(ValueError):
    """Its text is ours, and holds no part of the address but an option."""


def _complaint(exc: Exception) -> str:
    return str(exc) if isinstance(exc, _Unusable) else "not an address"


def _domain(host: str) -> str:
    """The last two labels: what comes before may be the name of a customer."""
    return host if re.fullmatch(r"[\d.]+|.*:.*", host) else ".".join(host.split(".")[-2:])


def _named_apart(provider: Provider, others: list[Provider]) -> Provider:
    taken = {other.name for other in others}
    names = (provider.name, *(f"{provider.name}#{number}" for number in range(2, len(taken) + 2)))
    return replace(provider, name=next(name for name in names if name not in taken))
