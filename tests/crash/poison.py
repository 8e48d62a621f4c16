"""Rows put into the files of a history, all of one coin: some that cannot be read, some that cannot be, some absurd."""

import random

SUPPLY = "supply.csv"
AMOUNTS = ("1e14", "-1e14", "0.000000000000000001")
PRICES = ("1e18", "1e-300", "0", "3.99")
FILES = ("price.csv", "liquidity.csv", "circulating.csv", SUPPLY)
TIME = "2024-01-01T01:{:02}:{:02}Z"


def unreadable(folder, coin, seed):
    """Lines that are no rows, or rows of no time, number or coin, or of a time far from all others: for no machine."""
    rng = random.Random(seed)
    for path in sorted(folder.glob("*/*.csv")):
        head, *rows = path.read_bytes().splitlines(keepends=True)
        if b"coin" not in head.split(b","):
            continue
        torn = rng.choice([row for row in rows if coin.encode() in row])
        at = _time(rng).encode()
        name = coin.encode()
        lines = [
            torn[: len(torn) // 2],
            torn.rstrip() + b",more,and more",
            b'"' + torn.rstrip(),
            torn.rstrip() + b'"',
            b"\xff\xfe\x00" + torn.rstrip(),
            b"\x00",
            at,
            b"," * head.count(b","),
            torn.rstrip().replace(name, b" "),
            torn.rstrip().replace(name, b"../" + name),
            torn.rstrip().replace(name, name + b":x"),
            torn.rstrip().replace(b"2024-01-01", b"1704067200 "),
            torn.rstrip().replace(b"2024-01-01", b"2024-13-41"),
            torn.rstrip().replace(b"2024-01-01", b"1970-01-01"),
            torn.rstrip().replace(b"2024-01-01", b"2262-01-01"),
            torn.rstrip().replace(b"2024-01-01", b"2014-01-01"),
            _row(head, at, name, b"high"),
            _row(head, at, name, b"1..2"),
            b"",
        ]
        for line in lines:
            rows.insert(rng.randrange(len(rows) + 1), line + b"\n")
        path.write_bytes(head + b"".join(rows))


def impossible(folder, coin, seed):
    """Rows whose value no machine takes; how many incidents they are."""
    rng, count = random.Random(seed), 0
    values = ["nan", "inf", "-inf", "1e300", "1e999999", "1e1000001", "9" * 60]
    amounts = [*values, "0.0000000000000000001", "100000000000000.000000000000000001", "123456789012345678901", "-1e20"]
    for name in FILES:
        for path in sorted(folder.glob(f"*/{name}")):
            head, *rows = path.read_bytes().splitlines(keepends=True)
            for value in amounts if name == SUPPLY else [*values, "-1"]:
                row = _row(head, _time(rng).encode(), coin.encode(), value.encode())
                rows.insert(rng.randrange(len(rows) + 1), row + b"\n")
                count += 1
            path.write_bytes(head + b"".join(rows))
    return count


def absurd(folder, coin, seed):
    """Values that a machine takes, though nobody would believe them."""
    rng = random.Random(seed)
    for name in FILES:
        for path in sorted(folder.glob(f"*/{name}")):
            head, *rows = path.read_bytes().splitlines(keepends=True)
            for value in (AMOUNTS if name == SUPPLY else PRICES) * 5:
                row = _row(head, _time(rng).encode(), coin.encode(), value.encode())
                rows.insert(rng.randrange(len(rows) + 1), row + b"\n")
            path.write_bytes(head + b"".join(rows))


def too_much(folder, coin):
    """Mints that fit no row of a window."""
    path = next(folder.glob("ethereum/supply.csv"))
    head, *rows = path.read_bytes().splitlines(keepends=True)
    row = _row(head, TIME.format(30, 0).encode(), coin.encode(), b"99999999999999999999")
    more = _row(head, TIME.format(30, 1).encode(), coin.encode(), b"99999999999999999999")
    path.write_bytes(head + b"".join(rows) + row + b"\n" + more + b"\n")


def _time(rng):
    return TIME.format(rng.randrange(60), rng.randrange(60))


def _row(head, at, coin, value):
    """A row of a file with this header: known when it happened, told by somebody of whom nothing else is heard."""
    names = head.decode().strip().split(",")
    cells = dict.fromkeys(names, b"")
    cells |= {"timestamp": at, "known_at": at, "coin": coin, "source": b"nobody", names[2]: value}
    cells |= {name: b"7" for name in ("block_number", "log_index") if name in cells}
    cells |= {
        name: b"0x" + value.hex().encode() + at.hex().encode() for name in ("block_hash", "tx_hash") if name in cells
    }
    return b",".join(cells[name] for name in names)
