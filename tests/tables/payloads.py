"""Makes payloads for any mapping without `flatten`: good ones, and ones with planned damage."""

import random

from tidelake.raw.frame import Frame, encode_line
from tidelake.tables.mapping import FieldRule, Mapping

RECV_NS = 1_618_677_817_079_762_123
EVENT_US = RECV_NS // 1_000 - 5_000_000
SYMBOLS = {
    "coinbase": ["BTC-USD", "ETH-USD"],
    "coinbase-advanced": ["BTC-USD", "ETH-USD"],
    "kraken": ["BTC/USD", "ETH/EUR"],
    "binance-coinm": ["BTCUSD_PERP", "ETHUSD_PERP"],
    "bybit": ["BTCUSDT", "ETHUSDC"],  # in every category
    "deribit": ["BTC-PERPETUAL", "ETH_USDC-PERPETUAL", "BTC-24SEP21-8000-P"],
    "okx": ["BTC-USDT", "BTC-USD-SWAP", "BTC-USD-220527"],
}
JUNK = (
    *("null", "true", "false", "0", "-1", "1", "1.5", "5.0", "1e3", "1E-3", "-0", "-0.0", "0.000000000000000001"),
    *("0.0000000000000000001", "1.10000000000000000000000", "99999999999999999999", "99999999999999999999.5"),
    *("100000000000000000000", "1e30", "1e400", "9223372036854775807", "9223372036854775808", "-9223372036854775808"),
    *("123456789012345678901234567890123456789", "1e-19", "1e0", "12345678901234567.123456789012345678"),
    *("999999999999999.999999999999999999", "1000000000000000.000000000000000001", "NaN", "Infinity", "-Infinity"),
    *('""', '" "', '"x"', '"NaN"', '"nan"', '"Infinity"', '"inf"', '"1e3"', '"1E-3"', '"1e30"', '"+1"', '".5"', '"1."'),
    *('"1.5"', '" 1"', '"1 "', '"-1"', '"-0"', '"007"', '"0x10"', '"1_000"', '"5.0"', '"1,5"', '"--1"', '"."', '"+"'),
    *('"9223372036854775807"', '"9223372036854775808"', '"123456789012345678901234567890123456789"', '"1\\u0030"'),
    *('"0.0000000000000000001"', '"0.000000000000000001"', '"99999999999999999999.999999999999999999"', '"٣"', '"１"'),
    *(
        '"100000000000000000000"',
        '"1e400"',
        '"1e-19"',
        '"12345678901234567.123456789012345678"',
        '"\\n1"',
        '"1\\u0000"',
    ),
    *('"buy"', '"sell"', '"BUY"', '"b"', '"true"', '"BTC-USD"', '"BTCUSDT"', '"ÄÖ€𝄞"', '"\\ud83d\\ude00"', '"\\u00e9"'),
    *("[]", "{}", "[1]", '["1"]', "[null]", '{"a":1}', '{"a":{"b":[null,{}]}}', "[[[[]]]]"),
    *('"2021-04-17"', '"2021-04-17T16:43:37"', '"2021-04-17T16:43:37Z"', '"2021-04-17 16:43:37.5Z"'),
    *('"2021-04-17T16:43:37.123456789Z"', '"2021-04-17T16:43:37.1234567891Z"', '"2021-04-17T16:43:37+02:00"'),
    *('"2021-04-17T16:43:37-0530"', '"2021-04-17T16:43:37+02"', '"2021-04-17T16:43:37z"', '"2021-04-17T24:00:00Z"'),
    *(
        '"2021-04-17T16:43:60Z"',
        '"2021-02-30T16:43:37Z"',
        '"2021-04-17T16:43Z"',
        '"2021-04-17T16Z"',
        '"20210417T164337Z"',
    ),
    *('"2021-04-17T16:43:37.Z"', '"2021-04-17T16:43:37 Z"', '"1969-12-31T23:59:59.9999999Z"', '"2008-01-01T00:00:00Z"'),
    *('"2021-04-17T16:43:37+25:00"', '"2021-04-17T16:43:37+00:99"', '"2021-04-19T16:43:37Z"', '"9999-12-31T23:59:59Z"'),
    *('"0000-01-01T00:00:00Z"', '"1677-09-21T00:12:43Z"', '"2300-01-01T00:00:00Z"', '"2021-04-17T16:43:37,5Z"'),
    *("1618677812", "1618677812079", "1618677812079762", "1618677812079762123", "1618677812.0797621239", "1e12"),
    *("1618677812.99999999999999999999999999999999", '"1618677812.99999999999999999999999999999999"'),
    *('"1618677812"', '"1618677812079"', '"1618677812.0797621239"', "9223372036854775", '"9223372036854775807000"'),
)


def value(rule: FieldRule, source: str, style: str, at: int, rng: random.Random) -> str:
    """The JSON text of a good value; `style` is "text" or "number" where the rule takes both."""
    quote = '"{}"' if style == "text" else "{}"
    match rule.as_:
        case "text":
            return f'"t{at}"'
        case "integer" | "integer_text":
            return quote.format(1_000 + at)
        case "decimal":
            return quote.format(rng.choice(["1", "0.5", "58312.10", "0.00001000", "5.0e-4"]))
        case "symbol" | "size_unit":
            return f'"{rng.choice(SYMBOLS.get(source, ["BTCUSDT", "ETHUSDT"]))}"'
        case "enum":
            word = rng.choice(sorted(rule.values))
            return word if word in ("true", "false") else f'"{word}"'
        case "iso8601":
            return f'"2021-04-17T16:43:{at % 60:02d}{rng.choice(["", ".1", ".123456", ".123456789"])}Z"'
        case "s":
            return quote.format(f"{EVENT_US // 1_000_000 + at % 3}.{rng.randrange(10**6):06d}")
        case "ms":
            return quote.format(EVENT_US // 1_000 + at)
        case "us":
            return quote.format(EVENT_US + at)
    return quote.format(EVENT_US * 1_000 + at)


class Tree(dict[str, "Tree | str"]):
    """A JSON object under construction; leaves are JSON text."""

    def put(self, path: str, text: str) -> None:
        *folders, name = path.split(".")
        node = self
        for folder in folders:
            child = node.setdefault(folder, Tree())
            if not isinstance(child, Tree):
                return
            node = child
        node[name] = text

    def text(self, rng: random.Random, damage: float) -> str:
        pairs = [(key, child if isinstance(child, str) else child.text(rng, damage)) for key, child in self.items()]
        if pairs and rng.random() < damage / 4:
            key, old = rng.choice(pairs)
            pairs.append((key, rng.choice([old, rng.choice(JUNK)])))
        if rng.random() < damage:
            pairs.append((f"more{rng.randrange(3)}", rng.choice(JUNK)))
        rng.shuffle(pairs)
        escape = rng.random() < damage / 4
        return "{" + ",".join(f'"{_escaped(key) if escape else key}":{child}' for key, child in pairs) + "}"


def _escaped(key: str) -> str:
    return f"\\u{ord(key[0]):04x}{key[1:]}"


def _where_text(word: str | int | bool) -> str:
    return str(word).lower() if isinstance(word, bool) else str(word) if isinstance(word, int) else f'"{word}"'


def payload(mapping: Mapping, styles: dict[str, str], at: int, rng: random.Random, damage: float) -> bytes:
    """A payload that the mapping's `where` fits, each value damaged with a chance of `damage`."""
    spec = mapping.spec
    top = Tree()
    for path, words in spec.where.items():
        top.put(path, _where_text(rng.choice(words)))
    for path, words in spec.unless.items():
        if rng.random() < damage:
            top.put(path, _where_text(rng.choice([*words, "another"])))

    def fill(node: Tree, above: bool, number: int) -> None:
        for name, rule in spec.fields.items():
            if not rule.path or rule.path.startswith("^.") != above:
                continue
            text = value(rule, mapping.source, styles[name], number, rng)
            if rng.random() < damage:
                if rng.random() < 0.15:
                    continue
                text = rng.choice(JUNK)
            node.put(rule.path.removeprefix("^."), text)

    if not spec.rows:
        fill(top, False, at)
        fill(top, True, at)
        return top.text(rng, damage).encode()
    fill(top, True, at)
    *outer, inner = spec.rows.removesuffix("[]").split("[].")

    def rows(number: int) -> str:
        items = []
        for i in range(rng.choice([0, 1, 1, 2, 3, 7])):
            row = Tree()
            fill(row, False, number * 10 + i)
            for path in (*spec.has, *(path for path in spec.lacks if rng.random() < 0.2)):
                row.put(path, rng.choice(JUNK) if rng.random() < damage else "1")
            items.append(row.text(rng, damage))
            if rng.random() < damage:
                items.append(rng.choice(["null", "1", '"x"', "[]", "{}"]))
        return in_list(items)

    def in_list(items: list[str]) -> str:
        if rng.random() < damage:
            return rng.choice(["null", "{}", "1", '"x"', "[]", "[null]", "[[]]"])
        return "[" + ",".join(items) + "]"

    def around(lists: list[str], last: str, number: int) -> str:
        if not lists:
            return rows(number)
        items = []
        for i in range(rng.choice([1, 1, 1, 2, 3])):
            item = Tree({"type": '"update"'})
            item.put((*lists[1:], last)[0], around(lists[1:], last, number * 10 + i))
            items.append(item.text(rng, damage) if rng.random() >= damage else rng.choice(["null", "1", "[]", "{}"]))
        return in_list(items)

    listed = around(outer, inner, at)
    if spec.rows == "[]":
        return listed.encode()
    top.put((*outer, inner)[0], listed)
    return top.text(rng, damage).encode()


def styles_for(mapping: Mapping, rng: random.Random) -> dict[str, str]:
    return {name: rng.choice(["text", "number"]) for name in mapping.spec.fields}


def line(mapping: Mapping, n: int, body: bytes, *, recv_ns: int | None = None) -> bytes:
    """The segment line of a payload of this mapping."""
    spec = mapping.spec
    asked = spec.requests[n % len(spec.requests)] if spec.requests else ""
    request = f"GET https://venue.test{asked}?limit=5" if spec.kind == "page" else f"wss://venue.test{asked}"
    symbol = "BTC-USD" if any(rule.frame == "symbol" for rule in spec.fields.values()) else ""
    clock = RECV_NS + n * 1_000_000 if recv_ns is None else recv_ns
    return encode_line(Frame(n, clock, n, spec.kind, body, request, "", symbol, 200 if spec.kind == "page" else 0))
