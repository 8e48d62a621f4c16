"""Finds wanted fields in many JSON lines at once: where each value starts and ends, without building any object.

The wanted fields stand in a tree of keys, flattened into arrays:

    key_bytes   uint8[..]     all keys, one after the other
    key_at      int32[m, 2]   start and end in key_bytes of the key that leads to node m
    children    int32[m, 2]   first and last + 1 of the nodes below node m; children of a node are numbered in a row
    slot        int32[m]      number of the field that node m is, -1 for an inner node; a node that is both is a field
                              where its value is no object

Node 0 is the line itself. `rows_node` is the node whose value is a list of rows, -1 where each line is one row; the
fields below it are then found once per row, all others once per line. On the way to it there may be other lists, of
objects of which each holds such a list: `outer` says which nodes lead to those.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tidelake.kernels.compiling import kernel

MISSING, STRING, ESCAPED, NUMBER, TRUE, FALSE, NESTED = 0, 1, 2, 3, 4, 5, 6
DEPTH = 16
QUOTE, BACKSLASH, COMMA, COLON = 34, 92, 44, 58
OPEN_OBJECT, CLOSE_OBJECT, OPEN_LIST, CLOSE_LIST = 123, 125, 91, 93
WORD = 8
EACH_BYTE, HIGH_BITS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
QUOTES, BACKSLASHES = np.uint64(0x2222222222222222), np.uint64(0x5C5C5C5C5C5C5C5C)


@kernel(inline="always")
def byte_at(text, at):
    """text[at] for `at` >= 0; of a signed place numba would ask each time whether it counts from the end."""
    return text[np.uint64(at)]


def _load_word(context, text, at):
    """The eight bytes text[at : at + 8] as one number, in the machine's order of bytes: the first is lowest."""

    def generate(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.gep(array.data, [arguments[1]])
        return builder.load(builder.bitcast(place, ir.IntType(64).as_pointer()), align=1)

    return types.uint64(text, types.int64), generate


def _store_word(context, out, at, word):
    """Writes what `load_word` read to out[at : at + 8]."""

    def generate(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.gep(array.data, [arguments[1]])
        builder.store(arguments[2], builder.bitcast(place, ir.IntType(64).as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(out, types.int64, types.uint64), generate


load_word: Any = intrinsic(_load_word)
store_word: Any = intrinsic(_store_word)


@kernel(inline="always")
def _copy(text, first, last, out, at):
    """Writes text[first:last] to `out` from `at` on, and up to seven bytes of anything behind it."""
    while first < last:
        if first + WORD <= len(text):
            store_word(out, at, load_word(text, first))
        else:
            for place in range(first, last):
                out[np.uint64(at + place - first)] = byte_at(text, place)
        first += WORD
        at += WORD


@kernel(inline="always")
def _is_space(byte):
    return byte == 32 or byte == 9 or byte == 13 or byte == 10


@kernel(inline="always")
def _zero_bytes(word):
    """The high bit of each byte that is zero; above the lowest such byte there may be more."""
    return (word - EACH_BYTE) & ~word & HIGH_BITS


@kernel
def _string_end(text, at, end):
    """Place of the closing quote of a string whose first byte is `at`, and whether it holds an escape."""
    while at + WORD <= end:  # most strings hold no escape: eight bytes at once up to the first quote or escape
        word = load_word(text, at)
        found = _zero_bytes(word ^ QUOTES) | _zero_bytes(word ^ BACKSLASHES)
        if found:
            lowest = found & (~found + np.uint64(1))
            at += np.int64((((lowest >> np.uint64(7)) - np.uint64(1)) & EACH_BYTE) * EACH_BYTE >> np.uint64(56))
            break
        at += WORD
    escaped = False
    while at < end:
        byte = byte_at(text, at)
        if byte == QUOTE:
            return at, escaped
        if byte == BACKSLASH:
            escaped = True
            at += 1
        at += 1
    return end, escaped


@kernel
def _nested_end(text, at, end):
    """Place after the object or list that opens at `at`."""
    depth = 0
    while at < end:
        byte = byte_at(text, at)
        if byte == QUOTE:
            at, _ = _string_end(text, at + 1, end)
        elif byte == OPEN_OBJECT or byte == OPEN_LIST:
            depth += 1
        elif byte == CLOSE_OBJECT or byte == CLOSE_LIST:
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    return end


@kernel
def _token(text, at, end):
    """Start, end and type of the value at `at`, and the place after it; a string's ends lie inside its quotes."""
    byte = byte_at(text, at)
    if byte == QUOTE:
        stop, escaped = _string_end(text, at + 1, end)
        return at + 1, stop, ESCAPED if escaped else STRING, stop + 1
    if byte == OPEN_OBJECT or byte == OPEN_LIST:
        stop = _nested_end(text, at, end)
        return at, stop, NESTED, stop
    stop = at
    while stop < end:
        byte = byte_at(text, stop)
        if byte == COMMA or byte == CLOSE_OBJECT or byte == CLOSE_LIST or _is_space(byte):
            break
        stop += 1
    first = byte_at(text, at)
    kind = NUMBER
    if first == 116:  # t
        kind = TRUE
    elif first == 102:  # f
        kind = FALSE
    elif first == 110:  # n
        kind = MISSING
    return at, stop, kind, stop


@kernel
def _child(text, start, stop, node, key_bytes, key_at, children):
    """Node below `node` that the key text[start:stop] leads to; -1 where none is wanted."""
    for child in range(children[node, 0], children[node, 1]):
        first = key_at[child, 0]
        length = key_at[child, 1] - first
        if length != stop - start:
            continue
        same = True
        for i in range(length):
            if byte_at(text, start + i) != byte_at(key_bytes, first + i):
                same = False
                break
        if same:
            return child
    return -1


@kernel
def find_tokens(
    text,
    starts,
    ends,
    key_bytes,
    key_at,
    children,
    slot,
    outer,
    rows_node,
    kept,
    line_tokens,
    line_types,
    row_tokens,
    row_types,
    row_line,
    odd,
    listless,
):
    """Copy the wanted values, and fill in where each stands.

    Args:
        text: uint8[..], the lines. Each is one JSON object.
        starts, ends: int64[n], each line's first byte and the place after its last.
        key_bytes, key_at, children, slot, rows_node: The wanted fields, see above.
        outer: bool[m], nodes whose value is a list of objects on the way to the rows.
        kept: uint8[all bytes of the lines and eight more], written: the bytes of the values, one after the other, as
            they are found: who reads them field by field finds them near each other, and takes a third of the time.
            Where it has no length nothing is copied.
        line_tokens: int64[fields, n, 2], written: start and end, in `kept` or else in `text`, of each value that stands
            once per line.
        line_types: uint8[fields, n], written: its type; 0 (MISSING) must stand there before.
        row_tokens, row_types: The same for values that stand once per row, [fields, rows, ..].
        row_line: int64[rows], written: the line of each row.
        odd: bool[n], written: True where a slower reader must look: a wanted key stands twice, a key is escaped, or
            the line lacks the key (the payload) below which others are wanted.
        listless: bool[n], written: True where there is no list at `rows_node`, or at one of several.

    Returns:
        Number of rows found; where it is above `row_line`'s length, nothing past that length was written: call again
        with more room and clean `line_types`, `odd` and `listless`.

    Trusts: each line is valid JSON, nested at most 16 deep along wanted keys. Stays inside a line whatever it holds.
    Cost: one look at each byte. Oracle: `tables.rows`, see tests/property.
    """
    rows = used = 0
    nodes = np.empty(DEPTH, dtype=np.int32)
    in_list = np.empty(DEPTH, dtype=np.bool_)
    seen = np.full(len(slot), -1, dtype=np.int64)  # the scope in which a key was seen last
    scope = np.empty(DEPTH, dtype=np.int64)  # number of the line or item that we are in, by the lists around it
    scopes = 0
    parted = False
    for child in range(children[0, 0], children[0, 1]):
        parted |= children[child, 0] < children[child, 1]
    for line in range(len(starts)):
        at, end = starts[line], ends[line]
        depth, level, in_row = 0, 0, False
        awaited, lists = 1, 0
        lacking = parted
        scopes += 1
        scope[0] = scopes
        nodes[0], in_list[0] = 0, False
        at += 1
        while depth >= 0 and at < end:
            byte = byte_at(text, at)
            if _is_space(byte) or byte == COMMA:
                at += 1
                continue
            if in_list[depth]:
                if byte == CLOSE_LIST:
                    at += 1
                    depth -= 1
                    level -= 1
                    in_row = False
                    continue
                scopes += 1
                scope[level] = scopes
                if nodes[depth] == rows_node:
                    if rows < len(row_line):
                        row_line[rows] = line
                    rows += 1
                    in_row = True
                else:
                    awaited += 1
                if byte == OPEN_OBJECT:
                    at += 1
                    depth += 1
                    nodes[depth], in_list[depth] = nodes[depth - 1], False
                else:
                    _, _, _, at = _token(text, at, end)
                continue
            if byte == CLOSE_OBJECT:
                at += 1
                depth -= 1
                continue
            stop, escaped = _string_end(text, at + 1, end)
            child = -1
            if escaped:
                odd[line] = True
            else:
                child = _child(text, at + 1, stop, nodes[depth], key_bytes, key_at, children)
            at = stop + 1
            while at < end and (byte_at(text, at) == COLON or _is_space(byte_at(text, at))):
                at += 1
            if at >= end:
                break
            if child < 0:
                _, _, _, at = _token(text, at, end)
                continue
            if seen[child] == scope[level]:
                odd[line] = True
            seen[child] = scope[level]
            lacking &= depth > 0 or children[child, 0] == children[child, 1]
            field = slot[child]
            if field >= 0 and not (text[at] == OPEN_OBJECT and children[child, 0] < children[child, 1]):
                first, last, kind, at = _token(text, at, end)
                if level > 0 and not (in_row and rows <= len(row_line)):
                    continue
                if len(kept):
                    _copy(text, first, last, kept, used)
                    first, last, used = used, used + last - first, used + last - first
                if level == 0:
                    line_tokens[field, line, 0], line_tokens[field, line, 1] = first, last
                    line_types[field, line] = kind
                else:
                    row_tokens[field, rows - 1, 0], row_tokens[field, rows - 1, 1] = first, last
                    row_types[field, rows - 1] = kind
            elif (child == rows_node or outer[child]) and byte_at(text, at) == OPEN_LIST:
                at += 1
                depth += 1
                level += 1
                if child == rows_node:
                    lists += 1
                else:
                    awaited -= 1
                nodes[depth], in_list[depth] = child, True
            elif child != rows_node and not outer[child] and byte_at(text, at) == OPEN_OBJECT:
                at += 1
                depth += 1
                nodes[depth], in_list[depth] = child, False
            else:
                _, _, _, at = _token(text, at, end)
        odd[line] |= lacking
        if rows_node >= 0:
            listless[line] = lists != awaited
    return rows
