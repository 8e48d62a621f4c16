"""Tokens in the manner of issuers, for tests: they keep a ledger, and log by hand-written words what each call logs.

Topics are those that the facts in ../shared tell; nothing of the product encodes or decodes here.
"""

from dataclasses import dataclass, field

from tidelake.chains.logs import LogFact

TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
APPROVAL = "0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925"
USDC_MINT = "0xab8530f87dc9b59234c4623bf917212bb2536d647574c8e7e5da92c2ede0c9f8"
BURN = "0xcc16f5dbb4873280815c1ee09dbd06736cffcc184412cf7a71a0fdb75d397ca5"
TUSD_MINT = "0x0f6798a560793a54c3bcfe86a93cde1e73087d944c0ea20544137d4121396885"
ISSUE = "0xcb8241adb0c3fdb35b70c24ce35c5eb0c17af7431c99f827d44a445ca624176a"
REDEEM = "0x702d5967f45f6513a38ffc42d6ba9bf230bd40e8f53b16363c7eb4fd2deb9a44"
DESTROYED = "0x61e6e66b0d6339b2980aecc6ccc0039736791f0ccde9ed512e789a7fbdd698c6"
DEPRECATE = "0xcc358699805e9a8b7f77b522628c7cb9abd07d9efb86b6fb616af1609036a99e"
INCREASED = "0xf5c174d57843e57fea3c649fdde37f015ef08750759cbee88060390566a98797"
DECREASED = "0x1b7e18241beced0d7f41fbab1ea8ed468732edbcb74ec4420151654ca71c8a63"
FRAX_MINTED = "0x1c0ed02ca521f3f5782d6c218460a4d053afba959cf41837f405d16e201e31c5"
FRAX_BURNED = "0xfead881ad94a58eeaebfdbce8eeb9906a0f42f0c896bab64a6ad08371608131a"
NOBODY = "0x" + 40 * "0"
# What changes a supply, by first topic: the last word of the data says by how much.
SIGNS = {"USDC": {USDC_MINT: 1, BURN: -1}, "USDT": {ISSUE: 1, REDEEM: -1, DESTROYED: -1}}


def word(value):
    """A number, or an address, as the 64 digits of a word."""
    return f"{value:064x}" if isinstance(value, int) else value.removeprefix("0x").lower().rjust(64, "0")


@dataclass
class Token:
    """A token on a chain: `supply` is the truth, `logs` what was told of it."""

    chain: str
    address: str
    style: str
    supply: int = 0
    logs: list[LogFact] = field(default_factory=list)

    def log(self, *topics, data=()):
        place = len(self.logs)
        self.logs.append(
            LogFact(
                chain=self.chain,
                block_number=100 + place // 3,
                block_hash="0x" + word(100 + place // 3),
                tx_hash="0x" + word(10_000 + place),
                tx_index=0,
                log_index=place,
                address=self.address.lower(),
                topics=(topics[0], *("0x" + word(topic) for topic in topics[1:])),
                data="0x" + "".join(map(word, data)),
            )
        )

    def move(self, sender, receiver, units):
        self.log(TRANSFER, sender, receiver, data=(units,))

    def approve(self, owner, spender, units):
        self.log(APPROVAL, owner, spender, data=(units,))

    def mint(self, minter, receiver, units):
        self.supply += units
        if self.style == "usdt":
            self.log(ISSUE, data=(units,))
            return
        if self.style == "usdc":
            self.log(USDC_MINT, minter, receiver, data=(units,))
        elif self.style == "paxos":
            self.log(INCREASED, receiver, data=(units,))
        self.move(NOBODY, receiver, units)
        if self.style == "tusd":
            self.log(TUSD_MINT, receiver, data=(units,))
        elif self.style == "frax":
            self.log(FRAX_MINTED, minter, receiver, data=(units,))

    def burn(self, burner, units):
        units = min(units, self.supply)
        self.supply -= units
        if self.style == "usdt":
            self.log(REDEEM, data=(units,))
            return
        if self.style == "usdc":
            self.log(BURN, burner, data=(units,))
        elif self.style == "paxos":
            self.log(DECREASED, burner, data=(units,))
        self.move(burner, NOBODY, units)
        if self.style == "tusd":
            self.log(BURN, burner, data=(units,))
        elif self.style == "frax":
            self.log(FRAX_BURNED, burner, NOBODY, data=(units,))

    def wipe(self, holder, units):
        if self.style == "usdt":
            units = min(units, self.supply)
            self.supply -= units
            self.log(DESTROYED, data=(holder, units))
        else:
            self.burn(holder, units)
